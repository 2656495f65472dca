"""The runner as a process: its socket, its modern face, the official client, and its sudden death."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import uuid
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import mcp
import psutil
import pytest
from mcp.client.streamable_http import streamable_http_client

from gateway.egress import Egress, Target
from registry.addresses import AddressPolicy

ROOT = Path(__file__).parents[2]
PROGRAM = str(Path(__file__).with_name("stdio_server.py"))
AWKWARD = {"uid": "awkward", "command": [sys.executable, "-S", PROGRAM]}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def answers(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


class Runner:
    """A runner process and a client for its socket."""

    def __init__(self, directory, *servers):
        self.socket = directory / "run" / "stdio.sock"
        command = [sys.executable, "-m", "gateway.stdio", "--socket", str(self.socket), "--config", "-"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.process.stdin.write(json.dumps(servers).encode())
        self.process.stdin.close()
        self.egress = Egress(policy=AddressPolicy())

    async def ask(self, path, body=None, *headers, verb=b"POST"):
        target = Target("", "stdio", 0, path, False, str(self.socket))
        data = b"" if body is None else json.dumps(body).encode()
        return await self.egress.post(target, headers, data, timeout=60, max_bytes=1 << 24, verb=verb)

    async def ready(self):
        await until(lambda: answers(self.socket) or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.stderr.read().decode()
        assert (await self.ask("/-/health", verb=b"GET")).status == 200

    async def rpc(self, uid, method, params=None, *, name=None, version="2026-07-28", number=1, meta=META):
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": {**(params or {}), "_meta": meta}}
        headers = [(b"mcp-method", method.encode()), (b"mcp-protocol-version", version.encode())]
        headers += [(b"mcp-name", name.encode())] if name else []
        return await self.ask(f"/{uid}", body, *headers)

    async def call(self, uid, tool, **arguments):
        reply = await self.rpc(uid, "tools/call", {"name": tool, "arguments": arguments}, name=tool)
        return json.loads(reply.body)

    async def states(self):
        reply = await self.ask("/-/servers", verb=b"GET")
        return {state["uid"]: state for state in json.loads(reply.body)}

    async def until_in_flight(self, count):
        async with asyncio.timeout(10):
            while (await self.states())["awkward"]["in_flight"] != count:
                pass

    async def stop(self):
        await self.egress.close()
        if self.process.poll() is None:
            self.process.terminate()
            await asyncio.to_thread(self.process.wait, 10)
        self.process.stderr.close()


@asynccontextmanager
async def running(*servers):
    with tempfile.TemporaryDirectory(prefix="hs") as directory:
        runner = Runner(Path(directory), *servers)
        try:
            await runner.ready()
            yield runner
        finally:
            await runner.stop()


def said(message):
    return message["result"]["content"][0]["text"]


def processes_with(mark):
    running = psutil.process_iter(["cmdline"])
    return [process for process in running if any(mark in part for part in process.info["cmdline"] or [])]


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the process table sends no events
            await asyncio.sleep(0.01)


def test_the_socket_is_its_owners_alone():
    async def scenario():
        async with running() as runner:
            mode = os.stat(runner.socket).st_mode  # noqa: PTH116 - a test may block
            assert stat.S_IMODE(mode) == 0o600
            assert stat.S_IMODE(os.stat(runner.socket.parent).st_mode) == 0o700  # noqa: PTH116
        assert runner.process.returncode == 0
        assert not runner.socket.exists()

    asyncio.run(scenario())


def test_a_second_runner_leaves_the_first_alone():
    async def scenario():
        async with running(AWKWARD) as runner:
            command = [sys.executable, "-m", "gateway.stdio", "--socket", str(runner.socket)]
            second = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, check=False)
            assert second.returncode == 2
            assert b"another runner" in second.stderr
            assert said(await runner.call("awkward", "echo", text="still here")) == "still here"

    asyncio.run(scenario())


def test_results_are_those_of_the_newer_revision():
    async def scenario():
        async with running(AWKWARD) as runner:
            found = json.loads((await runner.rpc("awkward", "server/discover")).body)["result"]
            assert found["supportedVersions"] == ["2026-07-28"]
            assert (found["resultType"], found["ttlMs"], found["cacheScope"]) == ("complete", 0, "private")
            assert (found["capabilities"], found["instructions"]) == ({"tools": {}}, "Be careful.")
            assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "awkward"
            listed = json.loads((await runner.rpc("awkward", "tools/list")).body)["result"]
            assert (listed["resultType"], listed["ttlMs"], listed["cacheScope"]) == ("complete", 0, "private")
            assert "echo" in [tool["name"] for tool in listed["tools"]]
            called = await runner.call("awkward", "echo", text="x")
            assert (called["result"]["resultType"], called["id"]) == ("complete", 1)
            unknown = await runner.call("awkward", "no-such-tool")
            assert unknown["error"] == {"code": -32602, "message": "Unknown tool"}

    asyncio.run(scenario())


def test_a_request_that_is_not_modern_is_refused():
    async def scenario():
        async with running(AWKWARD) as runner:
            cases = [
                (await runner.rpc("gone", "tools/list"), 404, None),
                (await runner.rpc("awkward", "prompts/list"), 404, -32601),
                (await runner.rpc("awkward", "tools/call", {"name": "a"}, name="b"), 400, -32020),
                (await runner.rpc("awkward", "tools/list", version="2025-11-25"), 400, -32020),
                (await runner.rpc("awkward", "tools/list", version="2025-11-25", meta={}), 400, -32022),
                (await runner.rpc("awkward", "tools/list", meta={}), 400, -32602),
                (await runner.rpc("awkward", "tools/call", {"name": "a", "arguments": []}, name="a"), 400, -32602),
                (await runner.ask("/awkward", verb=b"GET"), 405, None),
                (await runner.ask("/awkward", ["batch"]), 400, -32600),
                (await runner.ask("/-/unknown", verb=b"GET"), 404, None),
                (await runner.ask("/-/servers", {"uid": "a"}), 400, None),
            ]
            for position, (reply, status, code) in enumerate(cases):
                error = json.loads(reply.body)["error"]
                assert (position, reply.status) == (position, status), error
                assert code is None or error["code"] == code, position
            assert (await runner.states())["awkward"]["starts"] == 0

    asyncio.run(scenario())


def test_the_list_can_be_replaced_and_keeps_what_did_not_change():
    async def scenario():
        async with running(AWKWARD) as runner:
            await runner.call("awkward", "echo")
            first = (await runner.states())["awkward"]["pid"]
            other = {**AWKWARD, "uid": "other", "env": {"API_KEY": "secret-value"}}
            reply = await runner.ask("/-/servers", [AWKWARD, other])
            assert reply.status == 200
            assert b"secret-value" not in reply.body
            assert (await runner.states())["awkward"]["pid"] == first
            assert said(await runner.call("other", "echo", text="2")) == "2"
            await runner.ask("/-/servers", [{**AWKWARD, "env": {"NEW": "1"}}])
            assert not psutil.pid_exists(first)
            assert set(await runner.states()) == {"awkward"}
            assert (await runner.rpc("other", "tools/list")).status == 404

    asyncio.run(scenario())


def test_one_bad_entry_stops_no_other_server():
    async def scenario():
        async with running() as runner:
            bad = {"uid": "bad", "command": ["x"], "env": {"LD_PRELOAD": "hunter2"}}
            reply = await runner.ask("/-/servers", [bad, AWKWARD, AWKWARD | {"command": ["twice"]}, 7])
            assert reply.status == 200
            assert b"hunter2" not in reply.body
            answer = json.loads(reply.body)
            assert (answer["servers"], set(answer["refused"])) == (1, {"bad", "awkward", "servers[3]"})
            assert said(await runner.call("awkward", "echo", text="runs")) == "runs"
            states = {name: state["state"] for name, state in (await runner.states()).items()}
            assert (states["bad"], states["servers[3]"]) == ("refused", "refused")
            assert (await runner.rpc("bad", "tools/list")).status == 404

    asyncio.run(scenario())


def test_a_process_that_dies_in_a_call_is_a_clear_error():
    async def scenario():
        async with running(AWKWARD) as runner:
            waiting = asyncio.create_task(runner.call("awkward", "hang"))
            await asyncio.sleep(0)
            died = await runner.call("awkward", "die")
            for message in (died, await waiting):
                assert message["error"]["data"] == {"code": "stdio_died", "sent": True}
            assert said(await runner.call("awkward", "echo", text="back")) == "back"
            # The operator sees the last words, a caller never does.
            assert "last words" not in json.dumps(died)

    asyncio.run(scenario())


def test_a_caller_that_hangs_up_cancels():
    async def scenario():
        async with running(AWKWARD) as runner:
            await runner.call("awkward", "echo")
            waiting = asyncio.create_task(runner.call("awkward", "hang"))
            await runner.until_in_flight(1)
            waiting.cancel()
            await runner.until_in_flight(0)
            assert len(json.loads(said(await runner.call("awkward", "cancelled")))) == 1

    asyncio.run(scenario())


def test_a_thousand_calls_keep_the_number_of_processes():
    async def scenario():
        async with running(AWKWARD) as runner:
            await runner.call("awkward", "echo")
            process = psutil.Process(runner.process.pid)
            before = len(process.children(recursive=True))
            files = process.num_fds()

            async def work(caller):
                for number in range(50):
                    text = f"{caller}-{number}"
                    # Every caller counts from 1, as real clients do.
                    params = {"name": "echo", "arguments": {"text": text}}
                    reply = await runner.rpc("awkward", "tools/call", params, name="echo", number=number + 1)
                    message = json.loads(reply.body)
                    assert (message["id"], said(message)) == (number + 1, text)

            await asyncio.gather(*(work(caller) for caller in range(20)))
            assert len(process.children(recursive=True)) == before == 2
            assert process.num_fds() <= files + 20
            assert (await runner.states())["awkward"]["starts"] == 1

    asyncio.run(scenario())


@pytest.mark.kill
def test_nothing_outlives_a_runner_that_is_killed():
    async def scenario():
        mark = f"mark-{uuid.uuid4()}"
        async with running({**AWKWARD, "command": [*AWKWARD["command"], mark]}) as runner:
            await runner.call("awkward", "spawn", mark=mark)
            await until(lambda: len(processes_with(mark)) >= 4)
            runner.process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(runner.process.wait)
            await until(lambda: processes_with(mark) == [])
        assert runner.process.returncode == -signal.SIGKILL

    asyncio.run(scenario())


@pytest.mark.kill
def test_a_runner_that_is_stopped_takes_everything_along():
    async def scenario():
        mark = f"mark-{uuid.uuid4()}"
        async with running({**AWKWARD, "command": [*AWKWARD["command"], mark]}) as runner:
            await runner.call("awkward", "spawn", mark=mark)
            hanging = asyncio.create_task(runner.call("awkward", "hang"))
            await asyncio.sleep(0.05)
            runner.process.terminate()
            await asyncio.to_thread(runner.process.wait, 10)
            assert processes_with(mark) == []
            assert not (runner.socket.parent / "stdio-homes").exists()
            await asyncio.gather(hanging, return_exceptions=True)
        assert runner.process.returncode == 0

    asyncio.run(scenario())


def test_a_runner_starts_over_what_a_killed_one_left():
    async def scenario():
        async with running(AWKWARD) as runner:
            await runner.call("awkward", "echo")
            runner.process.kill()
            await asyncio.to_thread(runner.process.wait)
            assert runner.socket.exists()
            again = Runner(runner.socket.parents[1], AWKWARD)
            try:
                await again.ready()
                assert said(await again.call("awkward", "echo", text="again")) == "again"
            finally:
                await again.stop()

    asyncio.run(scenario())


def test_the_official_client_calls_the_real_servers(tmp_path):
    repository = tmp_path / "repository"
    for arguments in (
        ["init", "-q", "-b", "main", str(repository)],
        ["-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first", "--allow-empty"],
    ):
        subprocess.run(["git", *arguments], check=True)
    time = {"uid": "time", "command": ["mcp-server-time", "--local-timezone", "UTC"]}
    git = {"uid": "git", "command": ["mcp-server-git", "--repository", str(repository)]}

    async def talk(runner, uid, tool, arguments):
        transport = httpx2.AsyncHTTPTransport(uds=str(runner.socket))
        http = httpx2.AsyncClient(transport=transport, timeout=60)
        async with http, mcp.Client(streamable_http_client(f"http://stdio/{uid}", http_client=http)) as client:
            tools = await client.list_tools()
            assert tool in [listed.name for listed in tools.tools]
            result = await client.call_tool(tool, arguments)
            assert not result.is_error
            return result.content[0].text

    async def scenario():
        async with running(time, git) as runner:
            assert "Europe/Berlin" in await talk(runner, "time", "get_current_time", {"timezone": "Europe/Berlin"})
            assert "first" in await talk(runner, "git", "git_log", {"repo_path": str(repository)})

    asyncio.run(scenario())
