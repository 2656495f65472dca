"""One local server: what it gets, what it may not do, and that nothing of it stays."""

import asyncio
import json
import os
import sys
import uuid
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from gateway.stdio.channel import StdioError
from gateway.stdio.runner import Runner
from gateway.stdio.server import Server
from gateway.stdio.specs import Limits, ServerSpec, read_specs
from kernel.errors import Invalid

PROGRAM = str(Path(__file__).with_name("stdio_server.py"))
COMMAND = (sys.executable, "-S", PROGRAM)


@asynccontextmanager
async def serving(tmp_path, *options, env=(), **limits):
    server = Server(ServerSpec("s", (*COMMAND, *options), env), Limits(**limits), tmp_path / "home")
    try:
        yield server
    finally:
        await server.stop()


async def call(server, name, **arguments):
    answer = await server.call("tools/call", {"name": name, "arguments": arguments})
    return answer.message


def said(message):
    return message["result"]["content"][0]["text"]


def processes_with(mark):
    running = psutil.process_iter(["cmdline"])
    return [process for process in running if any(mark in part for part in process.info["cmdline"] or [])]


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the process table sends no events
            await asyncio.sleep(0.01)


def test_a_call_starts_the_process_and_the_next_one_finds_it(tmp_path):
    async def scenario():
        async with serving(tmp_path) as server:
            assert server.describe()["state"] == "stopped"
            assert said(await call(server, "echo", text="hé")) == "hé"
            assert said(await call(server, "echo", text="2")) == "2"
            state = server.describe()
            assert (state["state"], state["starts"], state["protocol"]) == ("running", 1, "2025-11-25")
            assert server.info["seen"]["capabilities"] == {}

    asyncio.run(scenario())


def test_nothing_is_inherited(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "leak-me")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/leak")

    async def scenario():
        async with serving(tmp_path, env=(("API_KEY", "given"),)) as server:
            seen = json.loads(said(await call(server, "environment")))
            # Python adds LC_CTYPE to its own environment when the locale is plain.
            assert seen["env"].keys() - {"LC_CTYPE"} == {"API_KEY", "PATH", "HOME", "TMPDIR", "LANG"}
            assert "leak" not in json.dumps(seen)
            assert seen["env"]["API_KEY"] == "given"
            assert (seen["cwd"], seen["home"]) == (seen["env"]["HOME"], [])
            assert os.stat(seen["cwd"]).st_mode & 0o777 == 0o700  # noqa: PTH116 - a test may block
            assert json.loads(said(await call(server, "descriptors"))) == []

    asyncio.run(scenario())


def test_the_kernel_holds_the_limits(tmp_path):
    async def scenario():
        async with serving(tmp_path, memory_mb=1024, cpu_seconds=77, open_files=99, file_mb=3) as server:
            assert json.loads(said(await call(server, "limits"))) == {
                "RLIMIT_AS": 1024 * 1024 * 1024,
                "RLIMIT_CPU": 77,
                "RLIMIT_NOFILE": 99,
                "RLIMIT_FSIZE": 3 * 1024 * 1024,
                "RLIMIT_CORE": 0,
            }

    asyncio.run(scenario())


def test_concurrent_callers_each_get_their_own_answer(tmp_path):
    async def scenario():
        async with serving(tmp_path, in_flight=64) as server:
            answers = await asyncio.gather(*(call(server, "echo", text=str(n)) for n in range(64)))
            assert [said(answer) for answer in answers] == [str(n) for n in range(64)]
            assert server.describe()["starts"] == 1

    asyncio.run(scenario())


def test_too_many_calls_at_once_are_refused(tmp_path):
    async def scenario():
        async with serving(tmp_path, in_flight=2) as server:
            await call(server, "echo")
            waiting = [asyncio.create_task(call(server, "hang")) for _ in range(2)]
            await until(lambda: server.describe()["in_flight"] == 2)
            with pytest.raises(StdioError) as caught:
                await call(server, "echo")
            assert (caught.value.code, caught.value.sent) == ("stdio_busy", False)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scenario())


def test_a_process_that_dies_in_a_call_fails_it_and_comes_back(tmp_path):
    async def scenario():
        async with serving(tmp_path) as server:
            await call(server, "echo")
            other = asyncio.create_task(call(server, "hang"))
            await until(lambda: server.describe()["in_flight"] == 1)
            for task in (call(server, "die"), other):
                with pytest.raises(StdioError) as caught:
                    await task
                assert (caught.value.code, caught.value.sent) == ("stdio_died", True)
            assert said(await call(server, "echo", text="back")) == "back"
            assert server.describe()["starts"] == 2

    asyncio.run(scenario())


@pytest.mark.kill
@pytest.mark.parametrize("which", ["guardian", "server"])
def test_a_process_killed_from_outside_fails_its_calls_and_comes_back(tmp_path, which):
    async def scenario():
        async with serving(tmp_path) as server:
            await call(server, "echo")
            guardian = psutil.Process(server.describe()["pid"])
            (process,) = guardian.children()
            waiting = asyncio.create_task(call(server, "hang"))
            await until(lambda: server.describe()["in_flight"] == 1)
            (guardian if which == "guardian" else process).kill()
            with pytest.raises(StdioError) as caught:
                await waiting
            assert caught.value.sent
            assert said(await call(server, "echo", text="back")) == "back"
            await until(lambda: not process.is_running() and not guardian.is_running())

    asyncio.run(scenario())


@pytest.mark.parametrize("tool", ["flood_line", "flood_lines"])
def test_a_flood_ends_the_process(tmp_path, tool):
    async def scenario():
        async with serving(tmp_path, message_bytes=1 << 20, noise_bytes=1 << 20) as server:
            with pytest.raises(StdioError) as caught:
                await call(server, tool)
            assert caught.value.code == "stdio_died"
            assert said(await call(server, "echo", text="back")) == "back"

    asyncio.run(scenario())


def test_a_large_answer_passes_and_a_larger_one_ends_the_process(tmp_path):
    async def scenario():
        async with serving(tmp_path, message_bytes=1 << 20) as server:
            assert len(said(await call(server, "big", size=1_000_000))) == 1_000_000
            with pytest.raises(StdioError, match="size limit"):
                await call(server, "big", size=1_100_000)

    asyncio.run(scenario())


def test_what_is_no_answer_is_ignored(tmp_path):
    async def scenario():
        async with serving(tmp_path) as server:
            assert said(await call(server, "noise")) == "after noise"

    asyncio.run(scenario())


def test_a_call_that_hangs_times_out_is_cancelled_and_then_ends_the_process(tmp_path):
    async def scenario():
        async with serving(tmp_path, call_seconds=0.2, timeouts=2) as server:
            await call(server, "echo")
            with pytest.raises(StdioError) as caught:
                await call(server, "hang")
            assert (caught.value.code, caught.value.sent) == ("stdio_timeout", True)
            await until(lambda: server.describe()["in_flight"] == 0)
            assert len(json.loads(said(await call(server, "cancelled")))) == 1
            for _ in range(2):
                with pytest.raises(StdioError):
                    await call(server, "hang")
            assert said(await call(server, "echo", text="back")) == "back"
            assert server.describe()["starts"] == 2

    asyncio.run(scenario())


def test_a_caller_that_goes_away_cancels_at_the_server(tmp_path):
    async def scenario():
        async with serving(tmp_path) as server:
            await call(server, "echo")
            waiting = asyncio.create_task(call(server, "hang"))
            await until(lambda: server.describe()["in_flight"] == 1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert len(json.loads(said(await call(server, "cancelled")))) == 1

    asyncio.run(scenario())


def test_a_caller_that_goes_away_does_not_take_the_start_from_the_others(tmp_path):
    async def scenario():
        async with serving(tmp_path) as server:
            first = asyncio.create_task(call(server, "echo", text="1"))
            second = asyncio.create_task(call(server, "echo", text="2"))
            await until(lambda: server.describe()["state"] == "starting")
            first.cancel()
            assert said(await second) == "2"
            assert server.describe()["starts"] == 1

    asyncio.run(scenario())


def test_a_server_gets_nothing_from_its_client(tmp_path):
    async def scenario():
        async with serving(tmp_path) as server:
            await call(server, "ask")
            answers = {}
            for _ in range(1000):
                answers = json.loads(said(await call(server, "answers")))
                if len(answers) == 3:
                    break
            assert answers == {"ping-1": "result", "sample-1": "error", "roots-1": "error"}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "command",
    [("no-such-program",), (*COMMAND, "--refuse"), (*COMMAND, "--old"), ("/",), (sys.executable, "-c", "pass")],
)
def test_a_server_that_cannot_start_is_left_alone_for_a_while(tmp_path, command):
    async def scenario():
        server = Server(ServerSpec("s", command), Limits(backoff_seconds=30), tmp_path / "home")
        codes = []
        for _ in range(4):
            with pytest.raises(StdioError) as caught:
                await server.connect()
            assert not caught.value.sent
            codes.append(caught.value.code)
        assert codes == ["stdio_start_failed", "stdio_start_failed", "stdio_backoff", "stdio_backoff"]
        assert server.describe()["state"] == "waiting"
        assert server.describe()["last_error"]
        await server.stop()

    asyncio.run(scenario())


def test_a_directory_that_is_not_there_is_a_failed_start(tmp_path):
    async def scenario():
        spec = ServerSpec("s", COMMAND, cwd=str(tmp_path / "gone"))
        server = Server(spec, Limits(), tmp_path / "home")
        with pytest.raises(StdioError, match="could not be started"):
            await server.connect()
        await server.stop()

    asyncio.run(scenario())


def test_a_start_that_hangs_ends(tmp_path):
    async def scenario():
        mark = f"mark-{uuid.uuid4()}"
        command = (sys.executable, "-S", "-c", "import time; time.sleep(600)", mark)
        server = Server(ServerSpec("s", command), Limits(start_seconds=0.3), tmp_path / "home")
        with pytest.raises(StdioError, match="could not be started"):
            await server.connect()
        await server.stop()
        assert processes_with(mark) == []

    asyncio.run(scenario())


@pytest.mark.kill
def test_stopping_takes_the_whole_tree(tmp_path):
    async def scenario():
        mark = f"mark-{uuid.uuid4()}"
        async with serving(tmp_path, "--mark", mark) as server:
            await call(server, "spawn", mark=mark)
            await until(lambda: len(processes_with(mark)) >= 4)
            await server.stop()
            assert processes_with(mark) == []
            assert not list((tmp_path / "home").glob("*/*"))
            with pytest.raises(StdioError) as caught:
                await call(server, "echo")
            assert caught.value.code == "stdio_stopped"

    asyncio.run(scenario())


def test_an_idle_process_ends_and_comes_back(tmp_path):
    async def scenario():
        async with serving(tmp_path, idle_seconds=0) as server:
            await call(server, "echo")
            assert server.is_idle
            await server.stop(for_good=False)
            assert not server.is_idle
            assert server.describe()["pid"] is None
            assert said(await call(server, "echo", text="back")) == "back"

    asyncio.run(scenario())


def test_no_more_than_the_limit_run_at_once(tmp_path):
    async def scenario():
        specs = {uid: ServerSpec(uid, COMMAND) for uid in ("a", "b", "c")}
        runner = Runner(tmp_path / "homes", Limits(running=2), specs=specs)
        await runner.start()
        try:
            for uid in ("a", "b"):
                await call(runner.server(uid), "echo")
            with pytest.raises(StdioError) as caught:
                await call(runner.server("c"), "echo")
            assert (caught.value.code, caught.value.sent) == ("stdio_full", False)
            await runner.server("a").stop(for_good=False)
            assert said(await call(runner.server("c"), "echo", text="now")) == "now"
        finally:
            await runner.stop()

    asyncio.run(scenario())


def test_a_server_that_stops_reading_is_ended(tmp_path):
    async def scenario():
        async with serving(tmp_path, message_bytes=1 << 20, call_seconds=0.5, timeouts=99) as server:
            await call(server, "deaf")
            for _ in range(3):
                # The third call finds a new process, because the first two filled the old one's input.
                try:
                    answer = await call(server, "echo", text="z" * 900_000)
                except StdioError:
                    continue
            assert len(said(answer)) == 900_000
            assert server.describe()["last_error"] == "it does not read its input"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "value",
    [
        {},
        [1],
        [{"uid": "a"}],
        [{"uid": "../x", "command": ["x"]}],
        [{"uid": "a", "command": "x"}],
        [{"uid": "a", "command": []}],
        [{"uid": "a", "command": [""]}],
        [{"uid": "a", "command": ["x\0"]}],
        [{"uid": "a", "command": ["x"], "shell": True}],
        [{"uid": "a", "command": ["x"], "cwd": "relative"}],
        [{"uid": "a", "command": ["x"], "memory_mb": 1}],
        [{"uid": "a", "command": ["x"], "env": {"A": 1}}],
        [{"uid": "a", "command": ["x"], "env": {"A=B": "1"}}],
        [{"uid": "a", "command": ["x"]}, {"uid": "a", "command": ["y"]}],
        *(
            [{"uid": "a", "command": ["x"], "env": {name: "1"}}]
            for name in ("LD_PRELOAD", "PATH", "HOME", "PYTHONPATH")
        ),
        *(
            [{"uid": "a", "command": ["x"], "env": {name: "1"}}]
            for name in ("NODE_OPTIONS", "BASH_ENV", "HANSE_SECRET_KEY")
        ),
    ],
)
def test_a_doubtful_list_is_refused_whole(value):
    with pytest.raises(Invalid):
        read_specs(value)


def test_a_spec_does_not_print_its_values():
    (spec,) = read_specs([{"uid": "a", "command": ["x", "--key=hunter2"], "env": {"API_KEY": "hunter2"}}]).values()
    assert "hunter2" not in repr(spec)
    assert os.environ.get("API_KEY") is None
