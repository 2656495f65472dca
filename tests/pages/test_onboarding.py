"""The wizard as people fill it in, without JavaScript and with it, and the page of what a team takes and gives."""

import re
from dataclasses import replace
from uuid import uuid4

import pytest
from django.test import override_settings
from django.urls import reverse

from portal import steps
from portal.calling import Called
from registry.models import Server, ToolGroup
from registry.surfaces import Shown, approve_tool, take_in_probe
from registry.tasks import probe_server
from tenants import onboarding
from tenants.models import Agent, Delegation, Onboarding, Tenant
from tenants.rules import Effect, Sensitivity
from tests.pages.boarding import TEAM, at, begin, fill, stand

TOOL = {
    "name": "read_balance",
    "description": "Reads the balance of one account.",
    "inputSchema": {"type": "object", "properties": {}},
    "annotations": {"readOnlyHint": True},
}


@pytest.fixture(autouse=True)
def a_host_of_ours(installation, plain_settings):
    """The address of our servers may be registered, as an operator would allow it."""
    with override_settings(HANSE=replace(installation, upstream_allow=("127.0.0.1:9",))):
        yield


@pytest.fixture
def asked(monkeypatch):
    """Returns the servers that a probe was asked for."""
    found = []
    monkeypatch.setattr(probe_server, "delay", found.append)
    return found


def test_a_team_is_brought_on_board_without_javascript(browse, cast, asked, django_capture_on_commit_callbacks):
    row = stand(browse)
    team = row.owner
    assert (team.slug, team.origin, row.lead) == ("nordic-cards", "acquired", cast.lead.person)
    lead = browse("lead")
    assert lead.get(reverse("onboarding", args=[row.uid])).url == at(row, "people")
    response = fill(lead, row, "people", "commit", people="Member,member@example.test", agents="Nordic bot, builder")
    assert response.url == at(row, "documents")
    assert Agent.objects.get(slug="nordic-bot").home == team
    answers = {"name": "Nordic ledger", "url": "http://127.0.0.1:9/mcp", "credential_kind": "none"}
    with django_capture_on_commit_callbacks(execute=True):
        assert fill(lead, row, "server", "commit", **answers).url == at(row, "server")
    server = Server.objects.get(owner=team, transport="http")
    assert asked == [server.pk]
    assert "It is being looked at" in lead.get(at(row, "server")).content.decode()
    take_in_probe(server=server, shown=Shown(ok=True, protocol="2026-07-28", tools=[TOOL], bare=True))
    text = lead.get(at(row, "server")).content.decode()
    assert "It answers anybody" in text
    tool = server.tools.get()
    cells = {f"effect-{tool.uid}": "read", f"sensitivity-{tool.uid}": "internal", f"pin-{tool.uid}": tool.seen_pin}
    response = fill(lead, row, "server", "commit", **answers, tools="read_balance", **cells)
    assert response.url == at(row, "call"), response.content.decode()
    server.refresh_from_db()
    assert server.status == "active"
    response = fill(lead, row, "call", "commit", agent="nordic-bot", tool=tool.exposed_name, arguments="{}")
    assert response.url == at(row, "call")
    assert set(Delegation.objects.get(team=team).tool_groups) == {"context", server.slug}


def test_an_answer_is_saved_as_one_goes_and_the_dry_run_comes_back(browse):
    admin = browse("admin")
    row = begin(admin)
    revision = onboarding.held(row, "tenant").revision
    response = admin.post(at(row, "tenant", "save"), {"revision": revision, **TEAM}, headers={"HX-Request": "true"})
    text = response.content.decode()
    assert "<html" not in text
    assert "Nordic cards (nordic-cards)" in text
    assert f'value="{revision + 1}" hx-swap-oob="true"' in text
    assert not Tenant.objects.filter(slug="nordic-cards").exists()
    assert onboarding.held(Onboarding.objects.get(pk=row.pk), "tenant").values["domains"] == ["payments"]


def test_somebody_who_read_an_older_step_is_told_who_changed_it(browse):
    row = stand(browse)
    old = {"revision": 0, "people": "", "agents": "Mine"}
    fill(browse("admin"), row, "people", agents="Theirs")
    response = browse("lead").post(at(row, "people", "save"), old, headers={"HX-Request": "true"})
    assert response.status_code == 412
    assert "Admin changed this step in the meantime" in response.content.decode()
    assert browse("lead").post(at(row, "people", "save"), old).status_code == 412
    assert onboarding.held(Onboarding.objects.get(pk=row.pk), "people").values["agents"] == "Theirs"


def test_a_secret_is_neither_kept_nor_shown(browse, asked):
    row = stand(browse)
    lead = browse("lead")
    answers = {
        "name": "Ledger",
        "url": "http://127.0.0.1:9/mcp",
        "credential_kind": "bearer",
        "credential": "swordfish",
    }
    fill(lead, row, "server", "save", **answers)
    assert fill(lead, row, "server", "commit", **{**answers, "credential": ""}).status_code == 422
    assert fill(lead, row, "server", "commit", **answers).status_code == 302
    row.refresh_from_db()
    assert "swordfish" not in str(row.answers)
    assert "swordfish" not in lead.get(at(row, "server")).content.decode()
    assert Server.objects.get(owner=row.owner, transport="http").credential.kind == "bearer"


def test_an_error_of_the_contract_stops_the_activation(browse, asked):
    row = stand(browse)
    lead = browse("lead")
    answers = {
        "name": "Ledger",
        "url": "http://127.0.0.1:9/mcp",
        "credential_kind": "bearer",
        "credential": "swordfish",
    }
    fill(lead, row, "server", "commit", **answers)
    server = Server.objects.get(owner=row.owner, transport="http")
    take_in_probe(server=server, shown=Shown(ok=True, protocol="2026-07-28", tools=[TOOL], bare=True))
    tool = server.tools.get()
    cells = {f"effect-{tool.uid}": "read", f"sensitivity-{tool.uid}": "internal", f"pin-{tool.uid}": tool.seen_pin}
    response = fill(lead, row, "server", "commit", **{**answers, "credential": ""}, tools="read_balance", **cells)
    assert response.status_code == 422
    assert "It answers without its credential" in response.content.decode()
    server.refresh_from_db()
    assert server.status == "draft"
    assert "1 error" in lead.get(reverse("server", args=[server.slug])).content.decode()


def test_a_steward_proposes_hands_over_and_the_lead_goes_on(browse, cast):
    steward = browse("steward")
    row = begin(steward)
    text = steward.get(at(row, "tenant")).content.decode()
    assert "Propose it to a platform admin" in text
    assert "Stand it up" not in text
    assert fill(steward, row, "tenant", "commit", **TEAM).status_code == 403
    assert browse("outsider").get(at(row, "tenant")).status_code == 404
    assert browse("lead").get(at(row, "tenant")).status_code == 404
    assert steward.post(reverse("onboarding_hand", args=[row.uid]), {"person": "nobody"}).status_code == 422
    steward.post(reverse("onboarding_hand", args=[row.uid]), {"person": "lead"})
    assert browse("lead").get(at(row, "tenant")).status_code == 200
    revision = onboarding.held(Onboarding.objects.get(pk=row.pk), "tenant").revision
    proposal = {"revision": revision, **TEAM}
    assert steward.post(reverse("onboarding_propose", args=[row.uid]), proposal).status_code == 302
    assert "Proposed" in browse("admin").get("/onboarding/?state=proposed").content.decode()


def test_who_only_looks_is_told_what_is_missing(browse, cast):
    row = stand(browse)
    text = browse("steward").get(at(row, "people")).content.decode()
    assert "You may not plan a step of an onboarding" in text
    assert "team_lead in nordic-cards" in text
    assert "Take them in" not in text


def test_first_passwords_are_shown_once_and_nowhere_else(browse, cast):
    row = stand(browse)
    admin = browse("admin")
    answers = {"people": "Ada Example,ada@example.test", "agents": "", "passwords": "on"}
    text = fill(admin, row, "people", "commit", **answers).content.decode()
    (password,) = re.findall(r"<dt>ada@example.test</dt><dd><code>([^<]+)</code>", text)
    assert password not in admin.get(at(row, "people")).content.decode()
    assert password not in str(Onboarding.objects.get(pk=row.pk).answers)


@pytest.mark.parametrize("ok", [True, False])
def test_the_call_is_shown_with_what_came_of_it(browse, cast, asked, monkeypatch, ok):
    row = stand(browse)
    lead, call = browse("lead"), uuid4()
    Agent.objects.create(slug="nordic-bot", name="Nordic bot", home=row.owner, sponsor=cast.lead.person)
    server = Server.objects.create(
        owner=row.owner, slug="nl", name="NL", transport="http", url="http://127.0.0.1:9/mcp", status="active"
    )
    ToolGroup.objects.create(owner=row.owner, slug="nl", name="NL", server=server)
    take_in_probe(server=server, shown=Shown(ok=True, protocol="2026-07-28", tools=[TOOL]))
    tool = server.tools.get()
    approve_tool(
        actor=cast.admin, tool=tool, seen_pin=tool.seen_pin, effect=Effect.READ, sensitivity=Sensitivity.PUBLIC
    )
    body = {"result": {"content": [{"text": "42"}]}} if ok else {"error": {"code": -32602, "message": "Unknown tool"}}
    asked_for = []
    monkeypatch.setattr(steps, "call_tool", lambda **facts: asked_for.append(facts) or Called(200, body, call))
    assert lead.post(reverse("onboarding_call", args=[row.uid])).status_code == 409
    answers = {"agent": "nordic-bot", "tool": tool.exposed_name, "arguments": '{"a": 1}'}
    assert fill(lead, row, "call", "commit", **answers).status_code == 302
    assert "The call is being made" in lead.get(at(row, "call")).content.decode()
    assert "The call is being made" not in lead.get(at(row, "call")).content.decode()
    text = lead.post(reverse("onboarding_call", args=[row.uid]), headers={"HX-Request": "true"}).content.decode()
    assert (asked_for[0]["tool"], asked_for[0]["arguments"]) == (tool.exposed_name, {"a": 1})
    assert ("First governed call after" in text) is ok
    row.refresh_from_db()
    assert row.first_call == (call if ok else None)


def test_a_step_that_is_none_is_not_there(browse):
    row = stand(browse)
    assert browse("lead").get(at(row, "nothing")).status_code == 404
    assert browse("lead").post(at(row, "nothing", "commit"), {}).status_code == 404


def test_what_a_team_takes_and_gives_is_counted(browse, cast):
    text = browse("lead").get("/teams/ledger/adoption/").content.decode()
    assert re.search(r"Forked</span><span class=\"value\">1<", text)
    assert "Accounts ledger" in text
    assert browse("lead").get("/teams/payments/adoption/").status_code == 404
