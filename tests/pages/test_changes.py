"""What can be changed on the pages: done by who may, refused with a reason, and left in the log."""

import re
from datetime import timedelta

import pytest
from django.db import transaction
from django.urls import reverse

from audit.models import Event
from kernel import clock
from kernel.secrets import Secret
from portal.keyring import sealing_key
from portal.rest.models import ApiKey
from registry.models import Credential, Server, Tool, ToolGroup
from registry.services import set_credential
from tenants.models import Agent, DomainMembership, Tenant
from tenants.scope import ALL, tenant_scope


def last_act() -> str:
    return Event.objects.filter(kind="change").latest("id").verb


def test_a_team_is_made_described_and_joined_to_a_domain(browse, cast):
    admin = browse("admin")
    form = {
        "tier": "team",
        "name": "Atlas",
        "slug": "atlas",
        "origin": "acquired",
        "region": "north",
        "summary": "New.",
    }
    assert admin.post("/tenants/new/", form | {"concern": "business"}).status_code == 422
    assert admin.post("/tenants/new/", form).url == "/teams/atlas/"
    made = Event.objects.filter(kind="change", scope=Tenant.objects.get(slug="atlas").pk).order_by("id")
    assert [event.verb for event in made] == ["tenants.tenant.created", "registry.server.provided"]
    assert admin.post("/tenants/new/", form).status_code == 422, "the short name is taken"
    assert admin.post("/tenants/new/", form | {"tier": "platform", "slug": "second"}).status_code == 422
    described = {"name": "Atlas Two", "summary": "Newer.", "region": "", "version": 1}
    assert admin.post("/teams/atlas/edit/", described).status_code == 302
    assert last_act() == "tenants.tenant.changed"
    assert admin.post("/teams/atlas/edit/", described).status_code == 412, "somebody changed it meanwhile"
    assert "Choose a domain" in admin.get("/teams/atlas/").content.decode()
    assert admin.post("/teams/atlas/domains/join/", {"other": "payments"}).status_code == 302
    assert last_act() == "tenants.domain.joined"
    assert "Atlas Two" in admin.get("/teams/payments/").content.decode()
    assert admin.post("/teams/payments/domains/leave/", {"other": "atlas"}).status_code == 302
    assert last_act() == "tenants.domain.left"
    assert not DomainMembership.objects.filter(team__slug="atlas").exists()
    assert admin.post("/teams/atlas/domains/join/", {"other": "rival"}).status_code == 422, "not a domain"
    assert admin.post("/teams/atlas/domains/join/", {"other": "nowhere"}).status_code == 404


def test_a_steward_keeps_the_teams_of_the_domain(browse, cast):
    steward = browse("steward")
    assert "Take out" in steward.get("/teams/payments/").content.decode()
    assert steward.post("/teams/payments/domains/leave/", {"other": "ledger"}).status_code == 302
    lead = browse("lead")
    assert "Take out" not in lead.get("/teams/ledger/").content.decode()
    assert lead.post("/teams/ledger/edit/", {"name": "Ledger", "summary": "S", "version": 1}).status_code == 302
    cast.team.refresh_from_db()
    assert cast.team.summary == "S"


def test_an_agent_is_changed_under_its_version(browse):
    client, url = browse("lead"), "/identity/agents/builder-bot/edit/"
    form = {"name": "Builder", "purpose": "Builds.", "profile": "reader", "risk": 2, "version": 1}
    assert 'value="builder-bot"' in client.get(url).content.decode()
    assert client.post(url, form | {"profile": "king"}).status_code == 422
    assert client.post(url, form).status_code == 302
    assert client.post(url, form).status_code == 412
    assert (Agent.objects.get(slug="builder-bot").profile, last_act()) == ("reader", "tenants.agent.changed")


@pytest.fixture
def sealed(cast):
    key = sealing_key()
    with transaction.atomic(), tenant_scope(ALL):
        return set_credential(
            actor=cast.lead,
            server=Server.objects.get(slug="accounts"),
            kind="bearer",
            header="",
            value=Secret(b"swordfish"),
            public_key=key.public,
            key_id=key.key_id,
        )


def test_a_new_target_has_to_be_meant(browse, sealed):
    client, url = browse("member"), "/servers/accounts/edit/"
    page = client.get(url).content.decode()
    assert "its credential is dropped" in page
    version = int(re.search(r'name="version" value="(\d+)"', page)[1])
    form = {"name": "Books", "summary": "", "url": "http://127.0.0.1:9/mcp", "version": version}
    assert client.post(url, form).status_code == 302
    assert (Server.objects.get(slug="accounts").status, Credential.objects.count()) == ("active", 1)
    moved = form | {"url": "http://8.8.8.8/mcp", "version": version + 1}
    refused = client.post(url, moved)
    assert refused.status_code == 422
    assert "Tick this if you mean it" in refused.content.decode()
    assert client.post(url, moved | {"moved": "on", "url": "http://169.254.169.254/"}).status_code == 422
    assert client.post(url, moved | {"moved": "on"}).status_code == 302
    server = Server.objects.get(slug="accounts")
    assert (server.status, server.url, Credential.objects.count()) == ("draft", "http://8.8.8.8/mcp", 0)
    assert last_act() == "registry.server.changed"
    assert client.post(url, moved | {"moved": "on"}).status_code == 412


def test_a_command_is_changed_by_admins_alone(browse, cast):
    Server.objects.filter(slug="pipeline").update(transport="stdio", url="", command=["run", "--fast"])
    url = "/servers/pipeline/edit/"
    assert browse("lead").get(url).status_code == 403
    assert url not in browse("lead").get("/servers/pipeline/").content.decode()
    admin = browse("admin")
    form = {"name": "Pipeline", "summary": "Same words.", "command": "run\r\n--fast\r\n", "version": 1}
    assert admin.post(url, form).status_code == 302, "the same words are the same target"
    assert Server.objects.get(slug="pipeline").summary == "Same words."
    slow = form | {"command": "run\r\n--slow", "moved": "on", "version": 2}
    assert admin.post(url, slow).status_code == 302
    assert Server.objects.get(slug="pipeline").command == ["run", "--slow"]


def test_an_approved_tool_is_classified_anew(browse):
    tool = Tool.objects.get(name="post_entry")
    client, url = browse("lead"), reverse("tool_classify", args=[tool.uid])
    assert url in client.get("/servers/accounts/").content.decode()
    assert client.post(url, {"effect": "7"}).status_code == 422
    assert client.post(url, {"effect": "2", "sensitivity": "3"}).status_code == 302
    tool.refresh_from_db()
    assert (tool.effect, tool.sensitivity, tool.state, last_act()) == (2, 3, "approved", "registry.tool.classified")


def test_tool_groups_hold_tools_of_their_owner(browse):
    client, post, close = browse("lead"), *(Tool.objects.get(name=name) for name in ("post_entry", "close_books"))
    form = {"name": "Month end", "slug": "month-end", "tools": [post.uid]}
    assert client.post("/teams/ledger/groups/new/", form | {"tools": ["nothing"]}).status_code == 422
    assert client.post("/teams/ledger/groups/new/", form).url == "/groups/month-end/"
    assert client.post("/teams/ledger/groups/new/", form).status_code == 422
    assert "post_entry" in client.get("/groups/month-end/").content.decode()
    page = client.get("/groups/month-end/change/").content.decode()
    assert re.search(rf'value="{post.uid}"[^>]* checked', page)
    assert str(close.uid) not in page, "only approved tools are offered"
    assert client.post("/groups/month-end/change/", {"tools": [], "version": 1}).status_code == 302
    assert last_act() == "registry.group.changed"
    assert "opens nothing yet" in client.get("/groups/month-end/").content.decode()
    assert client.post("/groups/month-end/change/", {"tools": [], "version": 1}).status_code == 412
    assert client.get("/groups/accounts/change/").status_code == 409, "kept by approvals"
    listed = client.get("/teams/ledger/groups/?kind=named").content.decode()
    assert "month-end" in listed
    assert "Pipeline" not in listed
    assert client.get("/teams/ledger/groups/?format=json").json()[0]["slug"] == "accounts"
    assert ToolGroup.objects.get(slug="month-end").tools.count() == 0


def test_a_key_is_shown_once_listed_and_revoked(browse):
    client = browse("stranger")
    made = client.post("/me/keys/", {"name": "nightly", "scope": "read", "days": 7})
    key = re.search(r'id="key-text" tabindex="0">(hanse_[\w-]+)<', made.content.decode())[1]
    assert "no-store" in made["Cache-Control"]
    assert last_act() == "rest.key.created"
    listed = client.get("/me/keys/").content.decode()
    assert key not in listed
    assert key[:12] in listed
    assert "nightly" not in browse("lead").get("/me/keys/").content.decode()
    assert client.post("/me/keys/", {"name": "", "scope": "all", "days": 9}).status_code == 422
    row = ApiKey.objects.get(name="nightly")
    assert browse("admin").post(reverse("key_revoke", args=[row.uid])).status_code == 404
    assert client.post(reverse("key_revoke", args=[row.uid])).status_code == 302
    row.refresh_from_db()
    assert row.revoked_at
    assert last_act() == "rest.key.revoked"
    assert '<th scope="row">nightly' not in client.get("/me/keys/?state=live").content.decode()
    assert '<th scope="row">nightly' in client.get("/me/keys/?state=ended").content.decode()
    assert client.get("/me/keys/?format=json").json()[0]["begins"] == key[:12]


def test_an_ended_key_cannot_be_revoked_on_the_page(browse, cast):
    past = clock.now() - timedelta(days=2)
    ApiKey.objects.create(
        person=cast.lead.person, name="old", digest="x", created_at=past, expires_at=past + timedelta(days=1)
    )
    text = browse("lead").get("/me/keys/").content.decode()
    assert "ended" in text
    assert "Revoke old" not in text


def test_a_team_leads_to_its_own_log(browse):
    client = browse("lead")
    url = re.search(r'href="(/audit/\?stream=[0-9a-f-]{36})"', client.get("/teams/ledger/").content.decode())[1]
    text = client.get(url).content.decode()
    assert "Log: ledger" in text
    assert "accounts/balance" in text
    assert client.get(url + "&format=json").json()
    assert {row["stream_name"] for row in client.get(url + "&format=json").json()} == {"ledger"}
    assert url.partition("?")[2] in text, "what is searched next stays in this log"


def test_the_log_names_people_and_shortens_ids(browse, cast):
    client = browse("lead")
    text = client.get("/audit/?kind=change&q=tenants.role").content.decode()
    gave = re.search(r"Gave a role <span[^>]*>([^<]+)</span>", text)
    assert gave
    assert gave[1] in {"Lead", "Member", "Reviewer"}
    text = client.get("/audit/?kind=change&q=delegation").content.decode()
    assert re.search(r'title="delegation:[0-9a-f-]{36}">…[0-9a-f]{8}<', text)


def test_denials_of_a_day_lead_to_them(browse):
    client = browse("lead")
    assert "/audit/?time=24h&amp;decision=deny" in client.get("/").content.decode()
    rows = client.get("/audit/?time=24h&decision=deny&format=json").json()
    assert [row["object"] for row in rows] == ["accounts/close_books"]


def test_home_says_something_to_everybody(browse):
    admin = browse("admin").get("/").content.decode()
    assert "Teams by domain" in admin
    assert "1 team: Ledger" in admin
    assert "You are in no team" not in admin
    assert "You look after more than one team" in browse("steward").get("/").content.decode()
    stranger = browse("stranger").get("/").content.decode()
    assert "They ask for your handle" in stranger
    assert ">stranger</code>" in stranger


def test_the_demo_estate_says_that_it_is_invented(browse, cast):
    assert "Invented" not in browse("lead").get("/").content.decode()


def test_an_invented_platform_says_so_on_every_page(browse, cast):
    Tenant.objects.filter(slug__in=["platform", "ledger"]).update(invented=True)
    for who in ("lead", "stranger"):
        for url in ("/", "/catalog/", "/audit/", "/servers/no-such-thing/"):
            assert 'class="estate"' in browse(who).get(url).content.decode()
    assert '<span class="badge note" title="Part of the demo estate">Invented' in (
        browse("lead").get("/teams/ledger/").content.decode()
    )


def test_tenants_come_by_tier(browse):
    page = browse("admin").get("/catalog/").content.decode()
    names = re.findall(r'\?owner=([a-z]+)"', page)
    assert names == ["mine", "platform", "north", "payments", "ledger", "rival"]
