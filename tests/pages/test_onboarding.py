"""The wizard as people fill it in, without JavaScript and with it, and the page of what a team takes and gives."""

from dataclasses import replace

import pytest
from django.test import override_settings
from django.urls import reverse

from registry.models import Server
from registry.surfaces import Shown, take_in_probe
from registry.tasks import probe_server
from tenants import onboarding
from tenants.models import Agent, Delegation, Onboarding

TEAM = {"name": "Nordic cards", "kind": "acquired", "domains": ["payments"], "lead": "lead"}
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


def begin(client, name="Nordic cards"):
    response = client.post("/onboarding/", {"name": name, "kind": "acquired"})
    assert response.status_code == 302, response.content.decode()
    return Onboarding.objects.get(name=name)


def at(row, key, act=""):
    return reverse(f"onboarding_{act or 'step'}", args=[row.uid, key])


def fill(client, row, key, act="save", **values):
    revision = onboarding.held(Onboarding.objects.get(pk=row.pk), key).revision
    return client.post(at(row, key, act), {"revision": revision, **values})


def stand(browse):
    admin = browse("admin")
    row = begin(admin)
    response = fill(admin, row, "tenant", "commit", **TEAM)
    assert response.status_code == 302, response.content.decode()
    return Onboarding.objects.get(pk=row.pk)


def test_a_team_is_brought_on_board_without_javascript(browse, cast, asked, django_capture_on_commit_callbacks):
    row = stand(browse)
    team = row.owner
    assert (team.slug, team.origin, row.lead) == ("nordic-cards", "acquired", cast.lead.person)
    lead = browse("lead")
    assert lead.get(reverse("onboarding", args=[row.uid])).url == at(row, "people")
    response = fill(lead, row, "people", "commit", people="Member,member@example.test", agents="Nordic bot, builder")
    assert response.url == at(row, "server")
    assert Agent.objects.get(slug="nordic-bot").home == team
    answers = {"name": "Nordic ledger", "url": "http://127.0.0.1:9/mcp", "credential_kind": "none"}
    with django_capture_on_commit_callbacks(execute=True):
        assert fill(lead, row, "server", "commit", **answers).url == at(row, "server")
    server = Server.objects.get(owner=team)
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
    assert Delegation.objects.get(team=team).tool_groups == [server.slug]
