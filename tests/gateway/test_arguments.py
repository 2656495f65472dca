"""Arguments that do not fit the approved schema never leave the house, and whoever sent them learns what to mend."""

import json

import psycopg
import pytest

from tests.gateway.estate import add_delegation, add_server, add_tool
from tests.gateway.wire_client import wait_until

SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 8},
        "count": {"type": "integer", "minimum": 1},
        "to": {"type": "string", "pattern": r"^(?!\.)[a-z]+@[a-z]+$"},
    },
    "required": ["title"],
    "additionalProperties": False,
}
UNUSABLE = {"type": "object", "properties": {"x": {"$ref": "https://elsewhere.example/x.json"}}}


@pytest.fixture(scope="module")
def delegation(gateway_database, estate, upstream):
    with psycopg.connect(gateway_database("superuser")) as connection:
        add_server(connection, estate, "strict", "team", f"{upstream.url}/strict")
        add_tool(connection, estate, "strict", "file", 1, schema=SCHEMA)
        add_tool(connection, estate, "strict", "outward", 0, schema=UNUSABLE)
        return add_delegation(connection, estate, tool_groups=["strict"])[1]


@pytest.fixture
def caller(client, tokens, delegation, upstream):
    upstream.reset()
    client.token = tokens.mint(dlg=delegation)
    wait_until(lambda: len(client.ask("tools/list").result["tools"]) == 2, "the tools do not appear")
    return client


WRONG = {
    "missing": ({}, 'at the top: "required": "title"'),
    "another type": ({"title": 1}, 'at /title: "type": ["string"]'),
    "too long": ({"title": "a-secret-" * 1_000}, 'at /title: "maxLength": 8'),
    "too small": ({"title": "x", "count": 0}, 'at /count: "minimum": 1'),
    "not an integer": ({"title": "x", "count": 1.5}, 'at /count: "type": ["integer"]'),
    "not there": ({"title": "x", "extra": 1}, 'at the top: "additionalProperties": ["extra"]'),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_a_failure_of_the_tool_and_goes_nowhere(caller, upstream, events, case):
    arguments, rule = WRONG[case]
    got = caller.call("strict__file", arguments)
    assert (got.status, got.result["isError"], got.result["resultType"]) == (200, True, "complete")
    text = got.result["content"][0]["text"]
    assert text.startswith(f"The arguments do not fit the tool's input schema: {rule}")
    assert "a-secret-" not in text
    assert upstream.seen == []
    (denied,) = events()
    assert (denied["kind"], denied["decision"], denied["leaf"]["reasons"]) == ("denied", "deny", ["arguments.invalid"])
    assert denied["call"] == got.headers["hanse-call"]
    assert json.loads(denied["body"]) == arguments


def test_what_fits_passes(caller, upstream, events):
    arguments = {"title": "x", "count": 3, "to": ".."}
    assert "isError" not in caller.call("strict__file", arguments).result
    assert upstream.seen[0].message["params"]["arguments"] == arguments
    assert [event["kind"] for event in events()] == ["intent", "outcome"]


def test_integers_of_any_size_are_compared_as_they_are(caller, upstream):
    assert "isError" not in caller.call("strict__file", {"title": "x", "count": 10**40}).result
    assert caller.call("strict__file", {"title": "x", "count": -(10**40)}).result["isError"] is True
    assert len(upstream.seen) == 1


def test_the_handshake_revisions_hear_the_same(caller, upstream):
    got = caller.ask_legacy("tools/call", {"name": "strict__file", "arguments": {}})
    assert got.result["isError"] is True
    assert "resultType" not in got.result
    assert upstream.seen == []


def test_a_schema_that_cannot_be_used_closes_its_tool(caller, upstream, events):
    got = caller.call("strict__outward", {})
    assert (got.status, got.error["data"]["code"]) == (503, "schema_unusable")
    assert upstream.seen == []
    assert [(event["kind"], event["leaf"]["reasons"]) for event in events()] == [
        ("denied", ["arguments.schema_unusable"])
    ]


def test_who_may_not_call_a_tool_learns_nothing_of_its_schema(client, upstream):
    upstream.reset()
    assert client.call("strict__file", {}).error["message"] == "Unknown tool: strict__file"
