"""Arguments that a tool wants in headers: what the header says must be what the body says."""

import json

import pytest

from tests.gateway.estate import add_delegation, add_server, add_tool
from tests.gateway.wire_client import modern, modern_headers, wait_until

SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "inner": {"type": "object", "properties": {"count": {"type": "integer", "x-mcp-header": "Count"}}},
    },
}


@pytest.fixture(scope="module")
def delegation(gateway_database, estate, upstream):
    import psycopg

    with psycopg.connect(gateway_database("superuser")) as connection:
        add_server(connection, estate, "glass", "team", f"{upstream.url}/glass")
        add_tool(connection, estate, "glass", "mirror", 0, schema=SCHEMA)
        return add_delegation(connection, estate, tool_groups=["glass"])[1]


@pytest.fixture
def caller(client, tokens, delegation, upstream):
    upstream.reset()
    client.token = tokens.mint(dlg=delegation)
    wait_until(lambda: len(client.ask("tools/list").result["tools"]) == 1, "the tool does not appear")
    return client


def send(client, arguments, **headers):
    message = modern("tools/call", {"name": "glass__mirror", "arguments": arguments})
    extra = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return client.send(json.dumps(message).encode(), [*client.headers(), *modern_headers(message).items(), *extra])


def test_headers_that_agree_pass_and_are_written_anew_for_the_server(caller, upstream):
    arguments = {"region": "é", "inner": {"count": 3}}
    assert send(caller, arguments, Mcp_Param_Region="=?base64?w6k=?=", Mcp_Param_Count=" 3 ").status == 200
    assert upstream.seen[0].header("mcp-param-region") == "=?base64?w6k=?="
    assert upstream.seen[0].header("mcp-param-count") == "3"


def test_absent_on_both_sides_agrees(caller, upstream):
    assert send(caller, {}).status == 200
    assert upstream.seen[0].header("mcp-param-region") is None


WRONG = {
    "missing header": ({"region": "eu"}, {}),
    "header without argument": ({}, {"Mcp_Param_Region": "eu"}),
    "another value": ({"region": "eu"}, {"Mcp_Param_Region": "us"}),
    "another number": ({"inner": {"count": 3}}, {"Mcp_Param_Count": "4"}),
    "broken base64": ({"region": "eu"}, {"Mcp_Param_Region": "=?base64?!?="}),
}


@pytest.mark.parametrize("case", WRONG)
def test_headers_that_disagree_are_refused(caller, upstream, case):
    arguments, headers = WRONG[case]
    got = send(caller, arguments, **headers)
    assert (got.status, got.error["code"]) == (400, -32020)
    assert upstream.seen == []


def test_the_handshake_revisions_know_no_such_headers(caller, upstream):
    got = caller.ask_legacy("tools/call", {"name": "glass__mirror", "arguments": {"region": "eu"}})
    assert got.result["content"]
    assert upstream.seen[0].header("mcp-param-region") == "eu"
