"""The main path: a call goes through under two identities, with the credential, and stands in the log."""

import json

import pytest

from tests.gateway.estate import SECRET
from tests.gateway.servers import reply, result_of


@pytest.fixture(autouse=True)
def fresh(upstream):
    upstream.reset()


def test_a_call_reaches_its_server_and_stands_in_the_log(client, upstream, events, estate):
    got = client.call("books__echo", {"text": "hi"}, id="abc")
    assert got.status == 200
    assert got.json["id"] == "abc"
    assert json.loads(got.result["content"][0]["text"]) == {"text": "hi"}
    intent, outcome = events()
    assert (intent["kind"], outcome["kind"]) == ("intent", "outcome")
    assert intent["call"] == outcome["call"]
    assert intent["object"] == "books/echo"
    assert (intent["person"], intent["agent"]) == (estate.uids["person"], estate.uids["agent"])
    assert intent["delegation"] == estate.uids["delegation"]
    assert json.loads(intent["body"]) == {"text": "hi"}
    assert outcome["result"] == "ok"


def test_the_upstream_gets_its_own_tool_name_our_credential_and_nothing_of_the_caller(client, upstream, tokens):
    extra = [
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("Proxy-Authorization", "Basic eA=="),
        ("Baggage", "x=y"),
    ]
    from tests.gateway.wire_client import modern, modern_headers

    message = modern("tools/call", {"name": "books__write", "arguments": {"text": "x"}})
    got = client.send(json.dumps(message).encode(), [*client.headers(), *modern_headers(message).items(), *extra])
    assert got.status == 200
    (seen,) = upstream.seen
    assert seen.path == "/books"
    assert seen.message["params"]["name"] == "write"
    assert seen.header("mcp-name") == "write"
    assert seen.header("mcp-method") == "tools/call"
    assert seen.header("x-ledger-key") == SECRET
    raw = b"\n".join(name + b":" + value for name, value in seen.headers) + seen.body
    assert client.token.encode() not in raw
    names = {name for name, _ in seen.headers}
    assert not names & {b"authorization", b"cookie", b"x-forwarded-for", b"proxy-authorization", b"baggage"}


def test_the_tools_are_those_that_all_three_legs_allow(client):
    got = client.ask("tools/list")
    assert [tool["name"] for tool in got.result["tools"]] == ["books__echo", "books__write"]
    assert got.result["cacheScope"] == "private"
    assert got.result["resultType"] == "complete"
    assert got.result["ttlMs"] > 0


def test_one_server_s_address_uses_its_own_names(client, tokens, estate, upstream):
    client.path = f"/mcp/{estate.team}/books"
    assert [tool["name"] for tool in client.ask("tools/list").result["tools"]] == ["echo", "write"]
    assert client.call("echo", {"text": "x"}).status == 200
    client.token = tokens.mint(aud=f"{tokens.base}/mcp/{estate.team}/books")
    assert client.call("echo").status == 200


def test_an_injected_secret_never_comes_back(client, upstream, events):
    async def reflect(seen, receive, send):
        text = f"your key is {seen.header('x-ledger-key')}"
        await reply(send, result_of(seen, {"content": [{"type": "text", "text": text}], "resultType": "complete"}))

    upstream.answer = reflect
    got = client.call("books__echo")
    assert got.status == 200
    assert SECRET not in got.body.decode()
    assert SECRET not in json.dumps(events())
