"""Upstreams that hang, flood, lie, redirect or die: a clear answer, a record, and nothing else disturbed."""

import asyncio
import json
import socket
import threading
import time

import pytest

from tests.gateway.servers import answer_echo, reply, result_of
from tests.gateway.wire_client import modern, modern_headers


@pytest.fixture(autouse=True)
def fresh(upstream):
    upstream.reset()
    yield
    upstream.reset()


def say(body, *, status=200, kind=b"application/json"):
    async def answer(seen, receive, send):
        await reply(send, body(seen) if callable(body) else body, status=status, kind=kind)

    return answer


def envelope(seen, **members):
    return json.dumps({"jsonrpc": "2.0", "id": seen.message["id"], **members}).encode()


async def hang(seen, receive, send):
    while (await receive())["type"] != "http.disconnect":
        pass


async def flood(seen, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    for _ in range(64):
        await send({"type": "http.response.body", "body": b" " * 65_536, "more_body": True})


async def die(seen, receive, send):
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"jsonrpc"', "more_body": True})
    raise ConnectionResetError


LIES = {
    "hangs": (hang, "upstream_timeout"),
    "floods": (flood, "upstream_too_large"),
    "dies mid-call": (die, "upstream_closed"),
    "is not JSON": (say(b"<html>"), "upstream_not_an_answer"),
    "is a page": (say(b"<html>", kind=b"text/html"), "upstream_not_json"),
    "is empty": (say(b""), "upstream_not_an_answer"),
    "answers another call": (say(lambda s: result_of(s, {}).replace(b'"id":', b'"id":9')), "upstream_not_an_answer"),
    "has no id": (say(b'{"jsonrpc":"2.0","result":{}}'), "upstream_not_an_answer"),
    "has both": (say(lambda s: envelope(s, result={}, error={"code": 1, "message": "x"})), "upstream_not_an_answer"),
    "has a list as result": (say(lambda s: envelope(s, result=[])), "upstream_not_an_answer"),
    "has two results": (
        say(lambda s: envelope(s, result={})[:-1] + b',"result":{"isError":true}}'),
        "upstream_not_an_answer",
    ),
    "hides a result in a result": (
        say(lambda s: result_of(s, {})[:-1] + b',"result":{"isError":true}}'),
        "upstream_not_an_answer",
    ),
    "asks for input": (say(lambda s: envelope(s, result={"resultType": "input_required"})), "upstream_unsupported"),
    "redirects": (say(b"", status=302), "upstream_status"),
    "fails": (say(b"oops", status=500, kind=b"text/plain"), "upstream_status"),
    "wants another credential": (say(b"no", status=401, kind=b"text/plain"), "upstream_refused"),
    "does not know the method": (
        say(lambda s: envelope(s, error={"code": -32601, "message": "x"}), status=404),
        "upstream_protocol",
    ),
    "has a broken error": (say(lambda s: envelope(s, error="x")), "upstream_not_an_answer"),
    "streams nothing": (say(b": ping\n\n", kind=b"text/event-stream"), "upstream_not_an_answer"),
}


@pytest.mark.parametrize("case", LIES)
@pytest.mark.parametrize("tool", ["books__echo", "books__write"])
def test_an_upstream_that_lies_is_a_clear_error_and_a_record(client, upstream, events, case, tool):
    upstream.answer, code = LIES[case]
    got = client.call(tool, {"text": "x"}, id=7)
    assert (got.status, got.json["id"], got.error["data"]["code"]) == (200, 7, code)
    assert got.error["code"] < -32768 or got.error["code"] > -32000
    assert [event["kind"] for event in events()] == ["intent", "outcome"]
    assert f"upstream_{events()[-1]['result']}" == code
    upstream.reset()
    assert client.call(tool).status == 200


def test_a_server_that_is_not_there_is_a_clear_error(client, upstream, events, admin, estate):
    from tests.gateway.estate import add_delegation, add_server, add_tool
    from tests.gateway.wire_client import wait_until

    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    add_server(admin, estate, "gone", "team", f"http://127.0.0.1:{port}/")
    add_server(admin, estate, "inside", "team", "http://10.11.12.13/")
    for slug in ("gone", "inside"):
        add_tool(admin, estate, slug, "x", 0)
    _, delegation = add_delegation(admin, estate, tool_groups=["gone", "inside"])
    from tests.gateway.estate import TokenMaker

    client.token = TokenMaker(estate, client.base).mint(dlg=delegation)
    wait_until(lambda: len(client.ask("tools/list").result["tools"]) == 2, "the new tools do not appear")
    assert client.call("gone__x").error["data"] == {"code": "upstream_connect_failed", "sent": False}
    assert client.call("inside__x").error["data"] == {"code": "upstream_address_refused", "sent": False}
    assert [event["result"] for event in events() if event["kind"] == "outcome"] == [
        "connect_failed",
        "address_refused",
    ]


def test_a_tool_s_own_error_passes_unchanged(client, upstream, events):
    upstream.answer = say(lambda s: envelope(s, error={"code": 1234, "message": "No such book", "data": {"a": 1}}))
    assert client.call("books__echo").error == {"code": 1234, "message": "No such book", "data": {"a": 1}}
    assert events()[-1]["result"] == "error"


def test_a_secret_in_an_error_is_cut_out(client, upstream):
    upstream.answer = say(lambda s: envelope(s, error={"code": 1, "message": f"bad key {s.header('x-ledger-key')}"}))
    assert "s3cr3t" not in client.call("books__echo").body.decode()


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize(
    "order", [["jsonrpc", "id", "result"], ["result", "jsonrpc", "id"], ["id", "result", "jsonrpc"]]
)
def test_any_spelling_of_an_answer_is_understood(client, upstream, order, separators):
    result = {
        "resultType": "complete",
        "content": [],
        "structuredContent": {"n": 12345678901234567890123, "e": "\u00e9"},
    }

    async def answer(seen, receive, send):
        members = {"jsonrpc": "2.0", "id": seen.message["id"], "result": result}
        text = json.dumps({name: members[name] for name in order}, separators=separators)
        await reply(send, text.encode())

    upstream.answer = answer
    got = client.call("books__echo", id="x")
    assert got.json == {"jsonrpc": "2.0", "id": "x", "result": result}


def test_a_stream_of_events_ends_in_the_answer(client, upstream):
    async def answer(seen, receive, send):
        note = b'event: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\r\n\r\n'
        data = result_of(seen, {"resultType": "complete", "content": []})
        await reply(send, note + b"id: 1\r\ndata: " + data + b"\r\n\r\n: bye\r\n\r\n", kind=b"text/event-stream")

    upstream.answer = answer
    assert client.call("books__echo").result == {"resultType": "complete", "content": []}


def test_an_older_upstream_s_result_is_completed(client, upstream):
    upstream.answer = say(lambda s: envelope(s, result={"content": []}))
    assert client.call("books__echo").result == {"content": [], "resultType": "complete"}


@pytest.mark.parametrize(
    "text", ["\u00e9\u4e2d\U0001f600", 'quote " and \\ and \x00', "12345678901234567890123456789", "a:b:c"]
)
def test_arguments_arrive_as_they_were_sent(client, upstream, text):
    assert client.call("books__echo", {"text": text}).status == 200
    assert upstream.seen[0].message["params"]["arguments"] == {"text": text}


@pytest.mark.parametrize("number", [2**53 + 1, 2**64, 10**40, -(10**25), 1.5, 1e300, 0.1])
def test_numbers_arrive_as_they_were_sent(client, upstream, number):
    assert client.call("books__echo", {"n": number}).status == 200
    assert upstream.seen[0].message["params"]["arguments"] == {"n": number}


def test_large_arguments_pass_and_only_their_commitment_is_kept(client, upstream, events):
    assert client.call("books__write", {"text": "x" * 200_000}).status == 200
    assert len(upstream.seen[0].message["params"]["arguments"]["text"]) == 200_000
    intent, outcome = events()
    assert (intent["body"], outcome["body"]) == (None, None)
    assert len(intent["leaf"]["commitments"]["arguments"]) == 64


def test_a_caller_who_hangs_up_cancels_the_call_and_the_record_says_so(client, upstream, events):
    from tests.gateway.wire_client import wait_until

    started, stopped = threading.Event(), threading.Event()

    async def answer(seen, receive, send):
        started.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        stopped.set()

    upstream.answer = answer
    message = json.dumps(modern("tools/call", {"name": "books__write", "arguments": {}})).encode()
    headers = [*client.headers(), *modern_headers(json.loads(message)).items()]
    place = client.base.removeprefix("http://").split(":")
    raw = socket.create_connection((place[0], int(place[1])))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    raw.sendall(
        f"POST {client.path} HTTP/1.1\r\nhost: {place[0]}\r\n{head}content-length: {len(message)}\r\n\r\n".encode()
        + message
    )
    assert started.wait(10)
    raw.close()
    assert stopped.wait(2.5), "the upstream was not stopped before its deadline"
    wait_until(lambda: len(events()) == 2, "no outcome was recorded")
    assert events()[-1]["result"] == "cancelled"


def test_one_hanging_call_does_not_hold_up_another(client, upstream, gateway):
    async def answer(seen, receive, send):
        if seen.message["params"]["arguments"] == {"wait": True}:
            await asyncio.sleep(1.0)
        await answer_echo(seen, receive, send)

    upstream.answer = answer
    slow = threading.Thread(target=client.call, args=("books__echo", {"wait": True}))
    slow.start()
    while not upstream.seen:
        time.sleep(0.005)
    assert client.call("books__echo").status == 200
    assert slow.is_alive()
    slow.join()
