"""The harness on the pages: a steward adds a check and every team has it; each act as it is done, and as it is refused."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import transaction

from audit.models import Event
from blueprints.harness import editing
from blueprints.models import Layer
from blueprints.queries.harness import today
from blueprints.services import harness
from tenants.scope import ALL, tenant_scope
from tenants.services import create_tenant, join_domain

HTMX = {"HX-Request": "true"}
PCI = {
    "id": "pan_display",
    "title": "No full card number is shown (PCI DSS 3.4.1)",
    "sensor": "computational",
    "command": "semgrep\r\nscan\r\n--config\r\nrules/pan-display.yaml",
    "prompt": "",
    "blocking": "on",
    "parameters": "max_findings: {direction: down, value: 2}\r\n",
    "evidence": ["sarif"],
}


def text_of(response) -> str:
    return response.content.decode()


def version_of(client, url) -> int:
    return int(re.search(r'name="version" value="(\d+)"', text_of(client.get(url)))[1])


@pytest.fixture
def second(cast):
    """Another team of the steward's domain."""
    with transaction.atomic(), tenant_scope(ALL):
        team = create_tenant(actor=cast.admin, tier="team", slug="vault", name="Vault")
        join_domain(actor=cast.admin, team=team, domain=cast.domain)
    return team


def row_of(page: str, name: str) -> str:
    return next(part for part in page.split("<details")[1:] if f"<b>{name}</b>" in part).partition("</details>")[0]


def test_a_steward_adds_a_pci_check_and_every_team_of_the_domain_inherits_it(browse, cast, second):
    steward = browse("steward")
    page = text_of(steward.get("/teams/payments/harness/add/"))
    assert "Ledger" in page
    assert "Vault" in page
    done = steward.post("/teams/payments/harness/add/", PCI, follow=True)
    assert "pan_display is in force for 2 teams." in text_of(done)
    below = text_of(done).partition("Inherited by")[2]
    for team in ("ledger", "vault"):
        assert f"/teams/{team}/harness/" in below
        row = row_of(text_of(steward.get(f"/teams/{team}/harness/")), "pan_display")
        assert "Blocks" in row
        assert '/teams/payments/"' in row, "it names the domain that it comes from"
        assert re.search(r"max_findings</code>.*?<td>2</td>.*?smaller.*?/teams/payments/", row, re.DOTALL)
    assert "pan_display" in text_of(browse("member").get("/teams/ledger/harness/"))
    assert "pan_display" not in text_of(browse("outsider").get("/teams/rival/harness/"))
    record = Event.objects.filter(verb="blueprints.layer.changed").latest("id")
    assert (record.object, record.person) == ("payments", cast.steward.person.uid)


def test_a_check_is_shown_with_the_tier_it_comes_from_and_who_tightened_it(browse):
    page = text_of(browse("member").get("/teams/ledger/harness/"))
    platform, _, rest = page.partition('id="tier-domain"')
    domains, _, team = rest.partition('id="tier-team"')
    assert "<b>tests</b>" in platform
    assert "<b>card_data</b>" in domains
    assert "<b>contracts</b>" in team
    row = row_of(page, "tests")
    assert re.search(r"min_coverage</code>.*?<td>85</td>.*?greater.*?/teams/ledger/.*?tightened", row, re.DOTALL)
    assert re.search(r"max_minutes</code>.*?<td>45</td>.*?smaller.*?/teams/platform/", row, re.DOTALL)
    assert "Coverage for Payments" in row


def test_who_keeps_nothing_is_offered_nothing(browse):
    page = text_of(browse("member").get("/teams/ledger/harness/"))
    for act in ("Add a check", "Edit as YAML", "Take back", "Tighten</a>", "Change, waive or remove"):
        assert act not in page
    refused = browse("member").get("/teams/ledger/harness/add/")
    assert refused.status_code == 403
    assert "Team lead in ledger" in text_of(refused)


def test_a_steward_reads_that_more_may_be_in_force_in_a_team(browse):
    assert "You look from above" in text_of(browse("steward").get("/teams/ledger/harness/"))
    assert "You look from above" not in text_of(browse("lead").get("/teams/ledger/harness/"))


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"id": "tests"}, "id", "belongs to"),
        ({"id": "card_data"}, "id", "appears twice"),
        ({"id": "Bad Name"}, "id", "is not a name of a-z"),
        ({"command": ""}, "__all__", "has a command and nothing else"),
        ({"prompt": "Look."}, "__all__", "has a command and nothing else"),
        ({"parameters": "max: {direction: sideways, value: 1}"}, "parameters", "sideways"),
        ({"parameters": "max: ["}, "parameters", "This is not YAML"),
        ({"parameters": "[1]"}, "parameters", "a mapping"),
        ({"sensor": "guess"}, "sensor", "not one of the available choices"),
    ],
)
def test_a_check_that_cannot_be_is_refused_at_its_field(browse, wrong, field, said):
    refused = browse("steward").post("/teams/payments/harness/add/", {**PCI, **wrong})
    assert refused.status_code == 422
    assert said in unescape(text_of(refused))
    assert list(refused.context["form"].errors) == [field]
    assert len(Layer.objects.get(owner__slug="payments").document["checks"]) == 3


def test_an_own_check_is_changed_waived_lifted_and_removed(browse):
    steward, url = browse("steward"), "/teams/payments/harness/checks/card_data/"
    page = text_of(steward.get(url))
    assert "max_findings: {direction: down, value: 0}" in page
    assert "gitleaks" not in page
    form = {**PCI, "title": "Another title", "version": version_of(steward, url)}
    assert steward.post(url, form).status_code == 302
    assert steward.post(url, form).status_code == 412
    assert "Another title" in text_of(steward.get("/teams/payments/harness/"))
    waiver = {"reason": "The scanner is down.", "expires": today().isoformat(), "person": "admin"}
    for wrong in ({"reason": "short"}, {"expires": (today() + timedelta(days=91)).isoformat()}, {"expires": "soon"}):
        assert steward.post(url + "waive/", waiver | wrong).status_code == 422
    assert steward.post(url + "waive/", waiver).status_code == 302
    for page in (steward.get("/teams/payments/harness/"), browse("member").get("/teams/ledger/harness/")):
        assert "Waived" in row_of(text_of(page), "card_data")
        assert "steward: The scanner is down." in text_of(page), "the name is the actor's, whatever was sent"
    assert "Lift the waiver" in text_of(steward.get(url))
    assert steward.post("/teams/payments/harness/lift/", {"check": "card_data"}).status_code == 302
    assert "Blocks" in row_of(text_of(browse("member").get("/teams/ledger/harness/")), "card_data")
    assert steward.post("/teams/payments/harness/remove/", {"check": "card_data"}).status_code == 302
    assert steward.post("/teams/payments/harness/remove/", {"check": "card_data"}).status_code == 404
    assert steward.get(url).status_code == 404
    assert "<b>card_data</b>" not in text_of(browse("member").get("/teams/ledger/harness/"))


def test_a_team_tightens_what_stands_above_and_takes_it_back(browse):
    lead, url = browse("lead"), "/teams/ledger/harness/tighten/platform/static_analysis/"
    page = text_of(lead.get(url))
    assert re.findall(r'<option value="(\w+)"', page) == ["info", "low", "medium"], "nothing weaker is even offered"
    form = {"version": version_of(lead, url), "value-severity": "low", "value-paths": "src\r\ntests\r\ndocs"}
    assert lead.post(url, form | {"value-severity": "high"}).status_code == 422
    refused = lead.post(url, form | {"value-paths": "src"})
    assert refused.status_code == 422
    (said,) = refused.context["form"].errors["value-paths"]
    assert said.endswith("[WEAKER /tighten/1/parameters/paths]")
    assert lead.post(url, form | {"evidence": ["junit"]}).status_code == 302
    row = row_of(text_of(lead.get("/teams/ledger/harness/")), "static_analysis")
    assert re.search(r"severity</code>.*?<td>low</td>.*?/teams/ledger/", row, re.DOTALL)
    assert "docs, src, tests" in row
    assert (
        lead.post(
            url, {"version": version_of(lead, url), "value-severity": "low", "value-paths": "docs\nsrc\ntests"}
        ).status_code
        == 422
    ), "nothing is stricter"
    done = lead.post("/teams/ledger/harness/loosen/", {"check": "platform/static_analysis"}, follow=True)
    assert "as strict as those above demand" in text_of(done)
    assert "<td>medium</td>" in row_of(text_of(done), "static_analysis")
    for nowhere in ("platform/nothing", "ledger/contracts", "north/x"):
        assert lead.get(f"/teams/ledger/harness/tighten/{nowhere}/").status_code == 404


def test_the_layer_is_written_as_yaml_with_its_faults_at_their_lines(browse):
    lead, url = browse("lead"), "/teams/ledger/harness/edit/"
    page = text_of(lead.get(url))
    assert "owner: {tier: team, tenant: ledger}" in page
    version = version_of(lead, url)
    weaker = "harness: 1\nowner: {tier: team, tenant: ledger}\ntighten:\n- {check: platform/tests, parameters: {min_coverage: 5}}\n"
    refused = lead.post(url, {"text": weaker, "version": version})
    assert refused.status_code == 422
    assert "Line 4: 5 is weaker than 80, which payments demands of 'tests'." in unescape(text_of(refused))
    assert "[WEAKER /tighten/0/parameters/min_coverage]" in text_of(refused)
    assert "min_coverage: 5" in text_of(refused), "what was typed is still there"
    fine = weaker.replace("min_coverage: 5", "min_coverage: 95")
    assert lead.post(url, {"text": fine, "version": version}).status_code == 302
    assert "<td>95</td>" in row_of(text_of(lead.get("/teams/ledger/harness/")), "tests")


def test_who_was_overtaken_keeps_the_text_and_sees_the_difference(browse):
    lead, url = browse("lead"), "/teams/ledger/harness/edit/"
    stale = version_of(lead, url)
    mine = "harness: 1\nowner: {tier: team, tenant: ledger}\n"
    assert browse("admin").post("/teams/ledger/harness/loosen/", {"check": "platform/tests"}).status_code == 302
    overtaken = lead.post(url, {"text": mine, "version": stale})
    assert overtaken.status_code == 412
    page = text_of(overtaken)
    assert "Somebody changed the layer meanwhile" in page
    assert '<div class="del" data-sign="-"><span>- id: contracts' in page
    assert "tenant: ledger}</textarea>" in page.replace("\n</textarea>", "</textarea>")
    again = int(re.search(r'name="version" value="(\d+)"', page)[1])
    assert again == stale + 1
    assert lead.post(url, {"text": mine, "version": again}).status_code == 302
    assert "checks" not in Layer.objects.get(owner__slug="ledger").document


def test_the_preview_says_who_inherits_and_what_would_lapse(browse, cast, second):
    with transaction.atomic(), tenant_scope(ALL):
        harness.tighten_check(
            actor=cast.lead,
            owner=cast.team,
            check="payments/card_data",
            parameters={"paths": ["docs", "src", "tests", "x"]},
        )
    steward, url = browse("steward"), "/teams/payments/harness/preview/"
    text = text_of_layer("payments").replace("value: [docs, src, tests]", "value: [docs, logs, src, tests]")
    for headers in ({}, HTMX):
        page = text_of(steward.post(url, {"text": text, "version": 1}, headers=headers))
        assert ("<html" in page) == (not headers)
        assert "It is sound." in page
        assert "2 teams inherit it: Ledger, Vault" in page
        assert re.search(
            r"would no longer fit.*<b>ledger</b> <code>/tighten/1/parameters/paths</code>", page, re.DOTALL
        )
    assert Layer.objects.get(owner__slug="payments").version == 1
    refused = text_of(steward.post(url, {"text": "harness: 1\nowner: ["}, headers=HTMX))
    assert "It would be refused" in refused
    assert "Line" in refused
    same = text_of(steward.post(url, {"text": text_of_layer("payments")}, headers=HTMX))
    assert "says what the layer says already" in same


def text_of_layer(slug: str) -> str:
    return editing.text_of(Layer.objects.get(owner__slug=slug).document)


def test_what_no_longer_fits_is_shown_where_it_is_put_right(browse, cast):
    with transaction.atomic(), tenant_scope(ALL):
        harness.tighten_check(
            actor=cast.steward, owner=cast.domain, check="platform/tests", parameters={"min_coverage": 90}
        )
    lead = browse("lead")
    page = text_of(lead.get("/teams/ledger/harness/"))
    assert "What no longer fits" in page
    assert "<b>ledger</b> <code>/tighten/0/parameters/min_coverage</code>" in page
    assert "85 is weaker than 90, which payments demands of 'tests'." in unescape(page)
    assert "It is left out." in page
    assert "<td>90</td>" in row_of(page, "tests")
    assert "What no longer fits" in text_of(browse("steward").get("/teams/payments/harness/"))
    assert lead.post("/teams/ledger/harness/loosen/", {"check": "platform/tests"}).status_code == 302
    assert "What no longer fits" not in text_of(lead.get("/teams/ledger/harness/"))


def test_the_changes_show_who_did_what_and_the_lines(browse):
    steward = browse("steward")
    steward.post("/teams/payments/harness/add/", PCI)
    page = text_of(browse("member").get("/teams/payments/harness/changes/"))
    assert re.search(
        r"Added pan_display.*?Steward, version 2.*?data-sign=\"\+\"><span>- id: pan_display", page, re.DOTALL
    )
    assert "Wrote the layer" in page
    assert "No change yet" in text_of(browse("outsider").get("/teams/north/harness/changes/"))


def test_what_people_write_into_a_check_is_never_markup(browse):
    lead = browse("lead")
    hostile = {**PCI, "id": "x", "title": "<img src=x>", "command": "<b>run</b>"}
    assert lead.post("/teams/ledger/harness/add/", hostile).status_code == 302
    for path in ("", "changes/", "edit/", "checks/x/"):
        page = text_of(lead.get(f"/teams/ledger/harness/{path}"))
        assert "&lt;img src=x&gt;" in page
        assert "<img src=x>" not in page


def test_the_page_of_a_tenant_leads_to_its_harness(browse):
    for slug in ("ledger", "payments", "platform"):
        assert f"/teams/{slug}/harness/" in text_of(browse("member").get(f"/teams/{slug}/"))
