"""Each screen as people in different places see it, and each act as it is refused or done."""

import json
import re
from base64 import urlsafe_b64encode
from dataclasses import replace

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from portal.config import Oidc
from registry.models import Credential, Server, Tool
from tenants.identity.sign_in_groups import settle_groups
from tenants.models import Agent, Delegation, Membership, Person, SignInGroup

PLACES = {
    "home": (),
    "catalog": (),
    "server_new": (),
    "teams": (),
    "identity": (),
    "agent_new": (),
    "delegations": (),
    "delegation_new": (),
    "people": (),
    "repositories": (),
    "repository_new": (),
    "audit": (),
    "search": (),
    "styleguide": (),
    "server": ("accounts",),
    "tenant": ("ledger",),
    "harness": ("ledger",),
    "harness_changes": ("ledger",),
    "agent": ("builder-bot",),
    "blueprints": (),
    "blueprint_new": (),
    "forks": (),
    "reviews": (),
    "blueprint": ("platform", "implement-ticket-brownfield"),
    "blueprint_fork": ("platform", "implement-ticket-brownfield"),
    "version": ("platform", "implement-ticket-brownfield", "1.1.0"),
    "fork": ("ledger", "our-ticket"),
    "repository": ("ledger", "shop"),
    "onboardings": (),
    "adoption": ("ledger",),
    "context": (),
    "inbox": (),
    "context_of": ("ledger",),
    "source": ("ledger", "runbooks"),
}
TABS = ("callers", "probes", "changes", "credential")
BLUEPRINT_TABS = ("yaml", "versions", "forks", "requests", "history")
FORK_TABS = ("flow", "yaml", "requests", "history")


@pytest.mark.parametrize("name", PLACES)
def test_a_screen_needs_sign_in(db, name):
    response = Client().get(reverse(name, args=PLACES[name]))
    assert response.status_code == 302
    assert response.url.startswith("/accounts/login/?next=")


@pytest.mark.parametrize("who", ["admin", "lead", "member", "reviewer"])
def test_every_screen_opens_for_who_belongs_there(browse, who):
    client = browse(who)
    for name, args in PLACES.items():
        response = client.get(reverse(name, args=args))
        assert response.status_code == 200, name
        assert "no-store" in response["Cache-Control"]
        assert "{%" not in response.content.decode()
    for tab in TABS:
        assert client.get(reverse("server_tab", args=["accounts", tab])).status_code == 200
    for tab in BLUEPRINT_TABS:
        assert client.get(reverse("blueprint_tab", args=[*PLACES["blueprint"], tab])).status_code == 200
    for tab in FORK_TABS:
        assert client.get(reverse("fork_tab", args=[*PLACES["fork"], tab])).status_code == 200


@pytest.mark.parametrize("name", ["server", "tenant", "agent"])
@pytest.mark.parametrize("who", ["outsider", "stranger"])
def test_what_one_may_not_see_looks_like_what_is_not_there(browse, who, name):
    client = browse(who)
    foreign = client.get(reverse(name, args=PLACES[name]))
    absent = client.get(reverse(name, args=["no-such-thing"]))
    assert foreign.status_code == absent.status_code == 404
    assert _without_nonce(foreign) == _without_nonce(absent)


def test_lists_hold_only_what_one_sees(browse):
    text = browse("outsider").get("/catalog/").content.decode()
    assert "Rival-Crm" in text
    assert "Accounts ledger" not in text
    assert "accounts/balance" not in browse("outsider").get("/audit/").content.decode()
    assert "builder-bot" not in browse("outsider").get("/search/?q=bot").content.decode().replace("rival-bot", "")


INTERNAL = ["Context of Platform", "Context of Payments", "Context of Ledger", "Context"]


def test_facets_narrow_and_unknown_ones_are_ignored(browse):
    client = browse("lead")
    assert _rows(client.get("/catalog/?tier=domain")) == ["Context of Payments", "Desk"]
    assert _rows(client.get("/catalog/?owner=mine&status=draft")) == ["Pipeline"]
    assert _rows(client.get("/catalog/?health=waiting")) == ["Accounts ledger"]
    assert _rows(client.get("/catalog/?tier=domain&transport=hanse")) == ["Context of Payments"]
    assert len(_rows(client.get("/catalog/?tier=moon&sort=colour"))) == 3 + len(INTERNAL)
    assert "Nothing fits" in client.get("/catalog/?q=zeppelin").content.decode()


def test_htmx_gets_the_rows_alone(browse):
    client = browse("lead")
    response = client.get("/catalog/?q=acc", headers={"HX-Request": "true"})
    text = response.content.decode()
    assert text.lstrip().startswith('<div id="results">')
    assert "<html" not in text
    assert 'hx-swap-oob="innerHTML">1 found' in text
    assert "HX-Request" in response["Vary"]


def test_a_cursor_walks_the_whole_list_once(browse, cast, monkeypatch):
    monkeypatch.setattr("portal.pages.lists.PAGE", 1)
    client, seen, url = browse("lead"), [], "/catalog/?sort=-name"
    while url:
        response = client.get(url)
        seen += _rows(response)
        following = re.search(r'rel="next" href="(\?[^"]+)"', response.content.decode())
        url = "/catalog/" + following[1].replace("&amp;", "&") if following else ""
    assert seen == ["Pipeline", "Desk", *INTERNAL, "Accounts ledger"]
    assert client.get("/catalog/?after=nonsense").status_code == 422


def cursor(*parts: object) -> str:
    return "after=" + urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


BROKEN = (
    cursor({"a": 1}, 1, False),
    cursor(None, 1, False),
    cursor("x", 1, True),
    cursor("2026-13-45", 1, True),
    cursor("x\0", 1, False),
    cursor("\ud800", 1, False),
    cursor("x", float("inf"), False),
    cursor("x", None, False),
    cursor(*"abcd"),
    "after=" + "9" * 5_000,
    "after=é",
    "q=%00",
    "owner=%00",
)


@pytest.mark.parametrize("query", BROKEN)
def test_an_address_that_nobody_gave_out_is_refused(browse, query):
    assert browse("lead").get(f"/catalog/?{query}").status_code == 422


def test_hostile_addresses_break_no_screen(browse):
    client = browse("lead")
    asked = [f"/audit/?after={'9' * 5_000}", f"/audit/?after={'9' * 19}", "/audit/?person=%00", "/search/?q=%00"]
    asked += [f"/identity/agents/?sort=risk&{cursor('x', 1, False)}", f"/me/keys/?{cursor('x', 1, False)}"]
    asked += [f"/catalog/?sort=name&{cursor(10**30, 10**30, False)}", "/identity/delegations/%00/"]
    found = {url: client.get(url).status_code for url in asked}
    assert set(found.values()) <= {200, 404, 422}, found
    assert client.post("/identity/agents/builder-bot/suspend/", {"reason": "\0"}).status_code == 422


def test_an_export_has_what_the_list_has_and_no_formula(browse, cast):
    Server.objects.filter(slug="pipeline").update(name="=HYPERLINK(evil)")
    client = browse("lead")
    rows = json.loads(client.get("/catalog/?format=json&owner=mine").content)
    assert [row["slug"] for row in rows] == ["accounts", "context-ledger", "pipeline"]
    file = client.get("/catalog/?format=csv")
    assert file["Content-Type"].startswith("text/csv")
    assert "'=HYPERLINK" in file.content.decode()
    assert {row["agent"] for row in json.loads(client.get("/audit/?format=json&kind=intent").content)} == {
        "builder-bot"
    }


def test_what_a_server_says_is_never_markup(browse):
    text = browse("lead").get("/servers/accounts/").content.decode()
    assert "&lt;important&gt;" in text
    assert "<important>" not in text
    assert "a tag that poses as an instruction" in text


def test_an_approval_is_of_what_was_seen(browse):
    tool = Tool.objects.get(name="balance")
    client = browse("lead")
    url = reverse("tool_approve", args=[tool.uid])
    assert client.post(url, {"seen_pin": "0" * 64, "effect": 0, "sensitivity": 1}).status_code == 409
    assert client.post(url, {"seen_pin": tool.seen_pin, "effect": "x", "sensitivity": 1}).status_code == 422
    assert client.post(url, {"seen_pin": tool.seen_pin, "effect": 0, "sensitivity": 1}).status_code == 302
    tool.refresh_from_db()
    assert tool.state == "approved"


def test_a_refusal_says_what_is_missing_and_who_gives_it(browse):
    tool = Tool.objects.get(name="close_books")
    response = browse("member").post(
        reverse("tool_approve", args=[tool.uid]), {"seen_pin": tool.seen_pin, "effect": 1, "sensitivity": 1}
    )
    text = response.content.decode()
    assert response.status_code == 403
    assert "Team lead in ledger" in text
    assert "a lead of the team or a platform admin" in text
    assert Tool.objects.get(name="close_books").state == "new"


def test_rejecting_needs_a_reason(browse):
    tool = Tool.objects.get(name="close_books")
    client, url = browse("lead"), reverse("tool_reject", args=[tool.uid])
    assert client.post(url, {"reason": " "}).status_code == 422
    assert client.post(url, {"reason": "too wide"}).status_code == 302
    tool.refresh_from_db()
    assert tool.state == "rejected"


def test_who_can_call_is_answered_with_reasons(browse):
    text = browse("lead").get("/servers/accounts/callers/").content.decode()
    assert "1 tool" in text
    assert "builder-bot" in text


def test_a_credential_is_written_and_never_shown(browse):
    client = browse("lead")
    form = {"kind": "bearer", "header": "", "value": "s3cret-of-the-ledger"}
    assert client.post(reverse("credential_set", args=["accounts"]), form).status_code == 302
    page = client.get("/servers/accounts/credential/").content.decode()
    assert "http://127.0.0.1:9" in page
    assert "s3cret" not in page
    wrong = client.post(reverse("credential_set", args=["accounts"]), form | {"kind": "header", "header": "Host"})
    assert wrong.status_code == 422
    assert "s3cret" not in wrong.content.decode()
    assert browse("member").post(reverse("credential_set", args=["accounts"]), form).status_code == 403
    assert client.post(reverse("credential_remove", args=["accounts"])).status_code == 302
    assert not Credential.objects.exists()


def test_a_server_is_registered_as_a_draft(browse, settings):
    form = {"owner": "ledger", "name": "New one", "slug": "new-one", "url": "http://169.254.169.254/mcp"}
    client = browse("lead")
    refused = client.post("/catalog/register/", form)
    assert refused.status_code == 422
    assert "metadata" in refused.content.decode()
    assert client.post("/catalog/register/", form | {"url": "http://8.8.8.8/mcp"}).status_code == 302
    assert Server.objects.get(slug="new-one").status == "draft"
    assert client.post("/catalog/register/", form | {"url": "http://8.8.8.8/mcp"}).status_code == 422


def test_the_life_of_a_server(browse):
    client = browse("lead")
    url = reverse("server_status", args=["accounts", "quarantine"])
    assert client.post(url, {"reason": ""}).status_code == 422
    assert client.post(url, {"reason": "odd answers"}).status_code == 302
    assert "odd answers" in client.get("/servers/accounts/").content.decode()
    assert client.post(reverse("server_activate", args=["accounts"])).status_code == 302
    assert client.get(reverse("server_activate", args=["accounts"])).status_code == 405


def test_a_delegation_from_first_to_last(browse, cast):
    client = browse("lead")
    form = {
        "agent": "builder-bot",
        "tool_groups": ["accounts"],
        "effect_ceiling": 1,
        "sensitivity_ceiling": 2,
        "hours": 24,
        "purpose": "Close the month",
    }
    assert client.post("/identity/delegations/new/?team=ledger", form | {"tool_groups": []}).status_code == 422
    assert client.post("/identity/delegations/new/?team=ledger", form).status_code == 302
    row = Delegation.objects.get(purpose="Close the month")
    minted = client.post(reverse("delegation_mint", args=[row.uid]), {"minutes": 5})
    token = re.search(r'id="token-text" tabindex="0">([\w.-]+)<', minted.content.decode())[1]
    assert "no-store" in minted["Cache-Control"]
    assert token not in client.get(reverse("delegation", args=[row.uid])).content.decode()
    narrow = {"tool_groups": ["accounts"], "effect_ceiling": 0, "sensitivity_ceiling": 1, "hours": 1}
    assert client.post(reverse("delegation_narrow", args=[row.uid]), narrow).status_code == 302
    row.refresh_from_db()
    assert (row.effect_ceiling, row.sensitivity_ceiling) == (0, 1)
    assert client.post(reverse("delegation_narrow", args=[row.uid]), narrow | {"effect_ceiling": 1}).status_code == 422
    assert client.post(reverse("delegation_revoke", args=[row.uid]), {"reason": "done"}).status_code == 302
    assert client.post(reverse("delegation_mint", args=[row.uid]), {"minutes": 5}).status_code == 422
    foreign = browse("outsider").post(reverse("delegation_revoke", args=[row.uid]), {})
    assert foreign.status_code == 404


def test_nobody_mints_for_somebody_else(browse, cast):
    row = Delegation.objects.get(purpose="Answer questions")
    assert browse("member").post(reverse("delegation_mint", args=[row.uid]), {"minutes": 5}).status_code == 403


def test_an_agent_is_registered_suspended_and_resumed(browse):
    client = browse("lead")
    form = {"home": "ledger", "name": "Clerk", "slug": "clerk", "sponsor": "lead", "profile": "reader", "risk": 1}
    assert client.post("/identity/agents/register/", form).status_code == 302
    assert client.post(reverse("agent_suspend", args=["clerk"]), {"reason": ""}).status_code == 422
    assert client.post(reverse("agent_suspend", args=["clerk"]), {"reason": "looped"}).status_code == 302
    assert Agent.objects.get(slug="clerk").status == "suspended"
    assert browse("member").post(reverse("agent_resume", args=["clerk"])).status_code == 403
    assert client.post(reverse("agent_resume", args=["clerk"])).status_code == 302


def test_roles_are_given_and_taken(browse, cast):
    client = browse("lead")
    form = {"person": "stranger@example.test", "role": "member"}
    assert client.post("/teams/ledger/roles/give/", form).status_code == 302
    assert Membership.objects.filter(person=cast.stranger.person, tenant=cast.team).exists()
    assert client.post("/teams/ledger/roles/take/", form).status_code == 302
    assert client.post("/teams/ledger/roles/give/", form | {"person": "nobody"}).status_code == 422
    assert client.post("/teams/ledger/roles/give/", form | {"role": "domain_steward"}).status_code == 422
    assert browse("member").post("/teams/ledger/roles/give/", form).status_code == 403


def test_groups_from_sign_in_are_given_a_role_and_lose_it(browse, cast):
    client, page = browse("lead"), "/teams/ledger/"
    form = {"group": " night <crew> ", "role": "member"}
    assert client.post(f"{page}sign-in-groups/add/", form).status_code == 302
    rule = SignInGroup.objects.get(tenant=cast.team)
    assert (rule.name, rule.made_by) == ("night <crew>", cast.lead.person)
    settle_groups(person=cast.stranger.person, groups=[rule.name])
    settle_groups(person=cast.member.person, groups=[rule.name])
    html = client.get(page).content.decode()
    assert "<code>night &lt;crew&gt;</code>" in html
    assert "goes with the group" in html
    assert html.count(">by group</span>") == 2
    assert html.count('title="night &lt;crew&gt;, and by hand"') == 1
    assert "sign-in-groups/" not in browse("member").get(page).content.decode()
    taken = client.post(f"{page}roles/take/", {"person": "stranger", "role": "member"})
    assert taken.status_code == 409
    assert "night &lt;crew&gt;" in taken.content.decode()
    assert browse("member").post(f"{page}sign-in-groups/remove/", {"rule": rule.uid}).status_code == 403
    assert client.post(f"{page}sign-in-groups/remove/", {"rule": rule.uid}).status_code == 302
    assert not Membership.objects.filter(person=cast.stranger.person).exists()
    assert client.post(f"{page}sign-in-groups/remove/", {"rule": "odd"}).status_code == 404


@pytest.mark.parametrize(
    "form",
    [{"group": ""}, {"group": "x" * 256}, {"group": "a\u202eb"}, {"role": "domain_steward"}, {"role": ""}],
)
def test_a_rule_that_cannot_be_says_why_beside_its_form(browse, form):
    answer = browse("lead").post("/teams/ledger/sign-in-groups/add/", {"group": "crew", "role": "member"} | form)
    assert answer.status_code == 422
    assert 'id="rule-fault"' in answer.content.decode()
    assert not SignInGroup.objects.exists()


def test_people_are_added_by_admins_alone(browse):
    form = {
        "name": "Nia",
        "email": "nia@example.test",
        "handle": "nia",
        "clearance": 1,
        "password": "a long pass phrase",
    }
    assert browse("lead").post("/identity/people/add/", form).status_code == 403
    assert browse("admin").post("/identity/people/add/", form).status_code == 302
    assert browse("admin").post("/identity/people/nia/off/").status_code == 302
    assert not Person.objects.get(handle="nia").is_active


def test_a_record_shows_both_identities_and_why(browse):
    event = Event.objects.get(kind="denied")
    client = browse("lead")
    text = client.get(reverse("record", args=[event.uid])).content.decode()
    assert "Lead" in text
    assert "builder-bot" in text
    assert "Delegation with a lower effect" in text
    assert "can delegate anew" in text
    leaf = client.get(reverse("record_download", args=[event.uid, "leaf"]))
    assert leaf.content.decode() == event.leaf
    assert client.get(reverse("record_download", args=[event.uid, "proof"])).status_code == 409  # not sequenced yet
    assert browse("outsider").get(reverse("record", args=[event.uid])).status_code == 404


def test_the_palette_finds_what_one_sees(browse):
    text = browse("lead").get("/search/?q=acc").content.decode()
    assert 'role="option"' in text
    assert "/servers/accounts/" in text
    assert "Nothing that you see" in browse("lead").get("/search/?q=zzzz").content.decode()


def test_the_theme_comes_with_the_page(browse):
    client = browse("lead")
    assert "data-theme" not in client.get("/").content.decode().split("<head>")[0]
    client.cookies["theme"] = "dark"
    assert 'data-theme="dark"' in client.get("/").content.decode()
    client.cookies["theme"] = '"><script>'
    assert "data-theme" not in client.get("/").content.decode().split("<head>")[0]


def test_a_form_may_lead_to_the_identity_provider(db, settings, installation):
    provider = Oidc(name="SSO", client_id="hanse", server_url="https://id.example.com/realm", client_secret="")
    settings.HANSE = replace(installation, oidc=provider)
    policy = Client().get("/accounts/login/")["Content-Security-Policy"]
    assert policy.endswith("form-action 'self' https://id.example.com")


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/password/reset/", "/accounts/password/reset/done/"])
def test_entry_pages_are_ours(db, path):
    text = Client().get(path).content.decode()
    assert "hanse.css" in text
    assert 'class="entry"' in text


def _rows(response) -> list[str]:
    return re.findall(r'<a class="open" href="/servers/[^"]+">([^<]+)</a>', response.content.decode())


def _without_nonce(response) -> str:
    text = re.sub(
        r'nonce="[^"]*"|csrfmiddlewaretoken" value="[^"]*"|X-CSRFToken": "[^"]*"', "", response.content.decode()
    )
    return re.sub(r"There is no such [a-z ]+,", "", text)


def test_one_registers_for_owners_that_one_works_for(browse):
    """Whoever would be refused after all that typing is not offered the owner."""
    for url in ("/catalog/register/", "/catalog/wrap/"):
        assert list(browse("lead").get(url).context["form"].owners) == ["ledger"]
        assert list(browse("steward").get(url).context["form"].owners) == ["payments"]
        assert "A lead of your team gives you the role." in browse("reviewer").get(url).content.decode()
    assert list(browse("lead").get("/identity/agents/register/").context["form"].homes) == ["ledger"]
    assert "You lead no team" in browse("member").get("/identity/agents/register/").content.decode()
    refused = browse("lead").post(
        "/catalog/register/", {"owner": "platform", "name": "N", "slug": "n", "url": "http://8.8.8.8/"}
    )
    assert refused.status_code == 422
    assert refused.context["form"].errors["owner"]


def test_a_server_of_hanse_itself_offers_nothing_to_set(browse):
    text = browse("admin").get("/servers/context/").content.decode()
    assert "/servers/context/edit/" not in text
    assert "/servers/context/credential/" not in text
    assert "/servers/accounts/credential/" in browse("admin").get("/servers/accounts/").content.decode()
