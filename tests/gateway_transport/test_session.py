"""Upstreams of the handshake era: scripted ones that misbehave, and the official SDK's stateful server."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.egress import Egress, ProtocolBroken, Target, TimedOut, UpstreamFailed
from gateway.session import LegacySessions
from gateway.upstream_errors import BadStatus
from registry.addresses import AddressPolicy
from tests.gateway_transport.peer import message, talking_to

JSON = b"content-type: application/json"
INFO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "old", "version": "1"},
    "instructions": "Slowly.",
}


class Old:
    """A scripted server of the handshake era. `tool` answers everything that is not part of the handshake."""

    def __init__(self, tool=None, info=INFO, session=b"s-%d"):
        self.tool = tool
        self.info = info
        self.session = session
        self.seen = []
        self.opened = 0
        self.known = set()

    async def __call__(self, peer, reader, writer):
        while True:
            request = await peer.read(reader)
            head, _, body = request.partition(b"\r\n\r\n")
            sent = json.loads(body)
            headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
            self.seen.append((sent, headers))
            await self.answer(sent, headers, writer)

    async def answer(self, sent, headers, writer):
        if sent.get("method") == "initialize":
            self.opened += 1
            session = self.session and self.session % self.opened
            self.known.add(session)
            extra = [b"mcp-session-id: " + session] if session else []
            writer.write(message(result(sent, self.info), b"200 OK", JSON, *extra))
        elif self.session and headers.get(b"mcp-session-id") not in self.known:
            writer.write(message(b"", b"404 Not Found"))
        elif "id" not in sent or "method" not in sent:
            writer.write(message(b"", b"202 Accepted"))
        else:
            await self.tool(self, sent, writer)

    def methods(self):
        return [sent.get("method") for sent, _ in self.seen]


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is a message to the other side
            await asyncio.sleep(0.001)


def result(sent, value):
    return json.dumps({"jsonrpc": "2.0", "id": sent["id"], "result": value}).encode()


async def as_json(old, sent, writer):
    writer.write(message(result(sent, {"content": [], "echo": sent["params"]}), b"200 OK", JSON))


def events(*data):
    body = b"".join(b"event: message\ndata: " + part + b"\n\n" for part in data)
    return message(body, b"200 OK", b"content-type: text/event-stream")


def run(old, scenario):
    async def main():
        async with talking_to(old) as (_, egress, target):
            sessions = LegacySessions(egress)
            await scenario(sessions, target)
            await sessions.close()

    asyncio.run(main())


async def call(sessions, target, method="tools/call", *, timeout=5.0, partition="", headers=(), **params):  # noqa: ASYNC109
    body = await sessions.call(
        target,
        headers,
        method,
        params,
        request_id=b'"mine"',
        protocol="2025-06-18",
        timeout=timeout,
        max_bytes=1 << 20,
        partition=partition,
    )
    return json.loads(body)


def test_one_handshake_serves_many_calls():
    old = Old(as_json)

    async def scenario(sessions, target):
        headers = [(b"Authorization", b"Bearer x"), (b"Mcp-Name", b"no"), (b"MCP-Protocol-Version", b"2026-07-28")]
        answers = await asyncio.gather(*(call(sessions, target, headers=headers, n=n, _meta={}) for n in range(20)))
        assert [answer["result"]["echo"] for answer in answers] == [{"n": n} for n in range(20)]
        assert {(answer["id"], answer["result"]["resultType"]) for answer in answers} == {("mine", "complete")}

    run(old, scenario)
    assert old.methods()[:2] == ["initialize", "notifications/initialized"]
    assert (old.opened, len(old.seen)) == (1, 22)
    first, others = old.seen[0], old.seen[1:]
    assert first[0]["params"]["capabilities"] == {}
    assert b"mcp-session-id" not in first[1]
    for _, headers in others:
        assert headers[b"mcp-session-id"] == b"s-1"
        assert headers[b"mcp-protocol-version"] == b"2025-06-18"
        assert headers[b"authorization"] == b"Bearer x"
        assert b"mcp-name" not in headers
    assert len({sent["id"] for sent, _ in old.seen if "id" in sent}) == 21


def test_credentials_never_share_a_session():
    old = Old(as_json)

    async def scenario(sessions, target):
        for partition in ("a", "b", "a", "b"):
            await call(sessions, target, partition=partition)

    run(old, scenario)
    assert old.opened == 2


def test_a_server_without_sessions_is_served():
    old = Old(as_json, session=None)

    async def scenario(sessions, target):
        assert (await call(sessions, target))["result"]["resultType"] == "complete"

    run(old, scenario)
    assert all(b"mcp-session-id" not in headers for _, headers in old.seen)


def test_a_forgotten_session_is_opened_again_and_the_call_repeated_once():
    old = Old(as_json)

    async def scenario(sessions, target):
        await call(sessions, target)
        old.known.clear()
        answers = await asyncio.gather(*(call(sessions, target, n=n) for n in range(5)))
        assert all("result" in answer for answer in answers)
        assert old.opened == 2

    run(old, scenario)


def test_a_server_that_always_forgets_is_given_up():
    async def forget(old, sent, writer):
        old.known.clear()
        writer.write(message(b"", b"404 Not Found"))

    old = Old(forget)

    async def scenario(sessions, target):
        with pytest.raises(BadStatus):
            await call(sessions, target)

    run(old, scenario)
    assert old.methods().count("tools/call") == 2


def test_a_lost_connection_is_not_repeated():
    async def drop(old, sent, writer):
        writer.close()

    old = Old(drop)

    async def scenario(sessions, target):
        with pytest.raises(UpstreamFailed) as caught:
            await call(sessions, target)
        assert caught.value.sent

    run(old, scenario)
    assert old.methods().count("tools/call") == 1


def test_the_answer_is_found_in_an_event_stream():
    async def stream(old, sent, writer):
        note = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}'
        writer.write(events(note, b'{"jsonrpc":"2.0","id":999,"result":{}}', result(sent, {"content": [1]})))

    old = Old(stream)

    async def scenario(sessions, target):
        for _ in range(3):
            assert (await call(sessions, target))["result"] == {"content": [1], "resultType": "complete"}
        assert sessions._egress.open_connections == 1

    run(old, scenario)


def test_questions_are_refused_and_the_answer_still_found():
    async def ask(old, sent, writer):
        if sent["method"] != "tools/call":
            return
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        question = b'data: {"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}\n\n'
        ping = b'data: {"jsonrpc":"2.0","id":"p","method":"ping"}\n\n'
        writer.write(head + question + ping)
        await until(lambda: sum("method" not in seen for seen, _ in old.seen) == 2)
        writer.write(b"data: " + result(sent, {"content": []}) + b"\n\n")
        writer.close()

    old = Old(ask)

    async def scenario(sessions, target):
        assert "result" in await call(sessions, target)

    run(old, scenario)
    replies = {sent["id"]: sent for sent, _ in old.seen if "method" not in sent}
    assert replies["q"]["error"]["code"] == -32601
    assert replies["p"]["result"] == {}


def test_a_call_that_times_out_or_is_given_up_is_cancelled_at_the_server():
    async def hang(old, sent, writer):
        await asyncio.Event().wait()

    old = Old(hang)

    async def scenario(sessions, target):
        with pytest.raises(TimedOut):
            await call(sessions, target, timeout=0.2)
        waiting = asyncio.create_task(call(sessions, target))
        await until(lambda: old.methods().count("tools/call") == 2)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: old.methods().count("notifications/cancelled") == 2)
        numbers = {sent["id"] for sent, _ in old.seen if sent.get("method") == "tools/call"}
        cancelled = {s["params"]["requestId"] for s, _ in old.seen if s.get("method") == "notifications/cancelled"}
        assert numbers == cancelled

    run(old, scenario)


def test_discovery_is_answered_from_the_handshake():
    old = Old(as_json)

    async def scenario(sessions, target):
        found = (await call(sessions, target, "server/discover"))["result"]
        assert (found["supportedVersions"], found["instructions"]) == (["2026-07-28"], "Slowly.")
        assert (found["resultType"], found["cacheScope"], found["capabilities"]) == (
            "complete",
            "private",
            {"tools": {}},
        )
        listed = (await call(sessions, target, "tools/list"))["result"]
        assert (listed["ttlMs"], listed["cacheScope"]) == (0, "private")

    run(old, scenario)


def test_errors_are_translated_and_numbers_kept():
    async def fail(old, sent, writer):
        error = {"code": -32002, "message": "gone", "data": 12345678901234567890123}
        body = json.dumps({"jsonrpc": "2.0", "id": sent["id"], "error": error}).encode()
        writer.write(message(body, b"400 Bad Request", JSON))

    async def scenario(sessions, target):
        error = (await call(sessions, target))["error"]
        assert error == {"code": -32602, "message": "gone", "data": 12345678901234567890123}

    run(Old(fail), scenario)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (message(b"<html>", b"200 OK", b"content-type: text/html"), BadStatus),
        (message(b"no", b"401 Unauthorized", b"content-type: text/plain"), BadStatus),
        (message(b"{}", b"500 Oops", JSON), BadStatus),
        (message(b"{}", b"200 OK", JSON), ProtocolBroken),
        (message(b"[1]", b"200 OK", JSON), ProtocolBroken),
        (message(b"{", b"200 OK", JSON), ProtocolBroken),
        (message(b'{"jsonrpc":"2.0","id":12345,"result":{}}', b"200 OK", JSON), ProtocolBroken),
        (message(b'{"jsonrpc":"2.0","id":2,"result":{},"error":{}}', b"200 OK", JSON), ProtocolBroken),
        (message(b'{"jsonrpc":"2.0","id":2}', b"200 OK", JSON), ProtocolBroken),
        (message(b"[" * 500 + b"]" * 500, b"200 OK", JSON), ProtocolBroken),
        (events(b"not json"), ProtocolBroken),
        (events(b'{"jsonrpc":"2.0","method":"notifications/x"}'), ProtocolBroken),
        (events(*[b'{"jsonrpc":"2.0","id":"q","method":"ping"}'] * 40), ProtocolBroken),
        (message(b"", b"302 Found", b"location: /"), BadStatus),
    ],
)
def test_what_is_no_answer_is_an_error(reply, error):
    async def lie(old, sent, writer):
        writer.write(reply)

    async def scenario(sessions, target):
        with pytest.raises(error) as caught:
            await call(sessions, target)
        assert caught.value.sent

    run(Old(lie), scenario)


@pytest.mark.parametrize(
    "old",
    [
        Old(info={**INFO, "protocolVersion": "2024-01-01"}),
        Old(info=[]),
        Old(session=b"bad id %d"),
    ],
)
def test_a_handshake_that_fails_is_tried_again_by_the_next_call(old):
    async def scenario(sessions, target):
        for _ in range(2):
            with pytest.raises(ProtocolBroken):
                await call(sessions, target)
        assert old.opened == 2

    run(old, scenario)


def test_sessions_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("gateway.session.MAX_SESSIONS", 3)

    async def scenario(sessions, target):
        for number in range(10):
            await call(sessions, target, partition=str(number))
        assert len(sessions._sessions) == 3

    run(Old(as_json), scenario)


SDK_SERVER = """
import sys, uvicorn
from mcp.server import MCPServer
server = MCPServer("official")
@server.tool()
def add(a: int, b: int) -> int:
    return a + b
uvicorn.run(server.streamable_http_app(json_response=sys.argv[2] == "json"), port=int(sys.argv[1]), log_level="error")
"""


@pytest.mark.parametrize("form", ["json", "events"])
def test_the_official_stateful_server_is_served(form):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SDK_SERVER, str(port), form]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2])

    async def scenario():
        egress = Egress(policy=AddressPolicy([f"127.0.0.1:{port}"]))
        sessions = LegacySessions(egress)
        target = Target(f"http://127.0.0.1:{port}", "127.0.0.1", port, "/mcp", False)
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    assert process.poll() is None
                    await asyncio.sleep(0.05)
        listed = await call(sessions, target, "tools/list")
        assert [tool["name"] for tool in listed["result"]["tools"]] == ["add"]
        answers = await asyncio.gather(
            *(call(sessions, target, name="add", arguments={"a": n, "b": 1}) for n in range(20))
        )
        assert [answer["result"]["structuredContent"] for answer in answers] == [{"result": n + 1} for n in range(20)]
        (opened,) = sessions._sessions.values()
        assert opened.result().id
        await sessions.close()
        await egress.close()

    try:
        asyncio.run(scenario())
    finally:
        process.kill()
        process.wait()
