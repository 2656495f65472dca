"""What is allowed at this very moment, what a refusal gives away (nothing), and how fast a change holds."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.gateway.estate import add_delegation
from tests.gateway.wire_client import wait_until


@pytest.fixture(autouse=True)
def fresh(upstream):
    upstream.reset()


REFUSED = {
    "does not exist": ("books__nothing", ["tool.unknown"]),
    "effect too high": ("books__destroy", ["agent.profile_effect", "delegation.effect_ceiling"]),
    "too sensitive": (
        "books__secret_read",
        ["person.clearance_too_low", "agent.profile_sensitivity", "delegation.sensitivity_ceiling"],
    ),
    "of another team": ("theirs__echo", ["tool.unknown"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unknown_and_forbidden_are_one_answer(client, upstream, events, case):
    name, reasons = REFUSED[case]
    got, unknown = client.call(name), client.call("z" * len(name))
    assert (got.status, got.error["code"], got.error["message"]) == (400, -32602, f"Unknown tool: {name}")
    assert got.body.replace(name.encode(), b"z" * len(name)) == unknown.body
    own = {"date", "hanse-call"}  # the call's name is another each time, for every call
    assert "hanse-call" in got.headers
    assert got.headers.keys() == unknown.headers.keys()
    assert all(value == unknown.headers[key] for key, value in got.headers.items() if key not in own)
    assert upstream.seen == []
    denied, other = events()
    assert (denied["kind"], denied["decision"], denied["leaf"]["reasons"]) == ("denied", "deny", reasons)
    assert other["leaf"]["reasons"] == ["tool.unknown"]


def test_a_server_out_of_reach_shows_nothing_and_says_so_only_in_the_log(client, estate, events, upstream):
    client.path = f"/mcp/{estate.team}/theirs"
    assert client.ask("tools/list").result["tools"] == []
    assert client.call("echo").error["message"] == "Unknown tool: echo"
    assert "tool.out_of_reach" in events()[-1]["leaf"]["reasons"]
    client.path = f"/mcp/{estate.team}/nothing"
    assert client.ask("tools/list").result["tools"] == []


def test_the_list_is_the_same_bytes_each_time(client):
    assert len({client.ask("tools/list").body for _ in range(5)}) == 1


class TestChange:
    """A change in the portal holds at the next call, within a second."""

    def test_a_delegation_made_now_works_now(self, client, tokens, estate, admin):
        for _ in range(5):
            _, delegation = add_delegation(admin, estate)
            client.token = tokens.mint(dlg=delegation)
            assert client.call("books__echo").status == 200

    def test_a_revoked_delegation_and_all_below_it_stop(self, client, tokens, estate, admin, events, upstream):
        top, _ = add_delegation(admin, estate)
        _, below = add_delegation(admin, estate, parent_id=top, depth=1)
        client.token = tokens.mint(dlg=below)
        assert client.call("books__echo").status == 200
        admin.execute("UPDATE tenants_delegation SET revoked_at = now() WHERE id = %s", (top,))
        took = wait_until(lambda: client.call("books__echo").status != 200, "a revoked delegation still works")
        assert took < 5
        upstream.reset()
        assert client.call("books__echo").error["message"] == "Unknown tool: books__echo"
        assert upstream.seen == []
        assert events()[-1]["leaf"]["reasons"] == ["parent.revoked"]
        assert client.ask("tools/list").result["tools"] == []

    def test_a_suspended_agent_stops_and_comes_back(self, client, estate, admin, events):
        agent = estate.ids["agent"]
        try:
            admin.execute("UPDATE tenants_agent SET status = 'suspended' WHERE id = %s", (agent,))
            wait_until(lambda: client.call("books__echo").status != 200, "a suspended agent still works")
            client.call("books__echo")
            assert events()[-1]["leaf"]["reasons"] == ["agent.suspended"]
        finally:
            admin.execute("UPDATE tenants_agent SET status = 'active' WHERE id = %s", (agent,))
        wait_until(lambda: client.call("books__echo").status == 200, "the agent does not come back")

    def test_a_person_who_left_the_team_stops(self, client, estate, admin):
        person = estate.ids["person"]
        try:
            admin.execute(
                "UPDATE tenants_membership SET tenant_id = %s WHERE person_id = %s", (estate.ids["rival"], person)
            )
            wait_until(lambda: client.call("books__echo").status != 200, "a stranger's agent still works")
        finally:
            admin.execute(
                "UPDATE tenants_membership SET tenant_id = %s WHERE person_id = %s", (estate.ids["team"], person)
            )
        wait_until(lambda: client.call("books__echo").status == 200, "the member does not come back")

    def test_a_tool_that_changed_is_gone_until_it_is_approved(self, client, estate, admin):
        tool = estate.ids["tool:books/echo"]
        try:
            admin.execute("UPDATE registry_tool SET state = 'changed' WHERE id = %s", (tool,))
            wait_until(lambda: client.call("books__echo").status != 200, "a changed tool is still served")
        finally:
            admin.execute("UPDATE registry_tool SET state = 'approved' WHERE id = %s", (tool,))
        wait_until(lambda: client.call("books__echo").status == 200, "the approved tool does not come back")

    def test_a_quarantined_server_is_gone(self, client, estate, admin):
        server = estate.ids["server:books"]
        try:
            admin.execute("UPDATE registry_server SET status = 'quarantined' WHERE id = %s", (server,))
            wait_until(lambda: client.call("books__echo").status != 200, "a quarantined server is still served")
        finally:
            admin.execute("UPDATE registry_server SET status = 'active' WHERE id = %s", (server,))
        wait_until(lambda: client.call("books__echo").status == 200, "the server does not come back")

    def test_a_changed_address_drops_its_credential_and_stops_calls(self, client, estate, admin, upstream, events):
        server = estate.ids["server:books"]
        try:
            admin.execute(
                "UPDATE registry_server SET url = replace(url, '127.0.0.1', 'localhost') WHERE id = %s", (server,)
            )
            wait_until(lambda: client.call("books__echo").status != 200, "the credential went to another address")
            upstream.reset()
            got = client.call("books__echo")
            assert (got.status, got.error["data"]["code"]) == (503, "credential_origin")
            assert upstream.seen == []
            assert (events()[-1]["kind"], events()[-1]["leaf"]["reasons"]) == ("denied", ["credential_origin"])
        finally:
            admin.execute(
                "UPDATE registry_server SET url = replace(url, 'localhost', '127.0.0.1') WHERE id = %s", (server,)
            )
        wait_until(lambda: client.call("books__echo").status == 200, "the server does not come back")


def test_a_delegation_begins_and_ends_by_the_clock(client, tokens, estate, admin):
    now = datetime.now(UTC)
    _, ended = add_delegation(admin, estate, not_before=now - timedelta(hours=2), not_after=now - timedelta(minutes=1))
    _, later = add_delegation(admin, estate, not_before=now + timedelta(minutes=5), not_after=now + timedelta(hours=2))
    for delegation in (ended, later):
        client.token = tokens.mint(dlg=delegation)
        assert client.ask("tools/list").result["tools"] == []
        assert client.call("books__echo").status == 400


def test_a_delegation_that_ends_while_it_is_cached_is_not_listed_any_more(client, tokens, estate, admin):
    _, short = add_delegation(admin, estate, not_after=datetime.now(UTC) + timedelta(seconds=1))
    client.token = tokens.mint(dlg=short)
    assert [tool["name"] for tool in client.ask("tools/list").result["tools"]] == ["books__echo", "books__write"]
    wait_until(lambda: client.ask("tools/list").result["tools"] == [], "an ended delegation is still listed")
