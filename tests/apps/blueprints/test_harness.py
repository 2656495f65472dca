"""The harness through the services: who may write what, what is refused with its path, and who inherits it."""

import random
from copy import deepcopy
from datetime import timedelta

import pytest
from django.db import transaction

from audit.models import Event, Payload
from blueprints.format.writing import as_yaml
from blueprints.harness.layers import check_layer
from blueprints.harness.merging import effective, weakenings
from blueprints.models import Layer
from blueprints.queries import harness as queries
from blueprints.services import baseline
from blueprints.services import harness as services
from kernel import clock
from kernel.errors import Forbidden, Invalid, NotFound, PreconditionFailed
from tenants.principals import SYSTEM, principal_of
from tenants.scope import tenant_scope
from tenants.services import create_tenant, join_domain, leave_domain
from tests.actors import fresh, make_cast
from tests.unit.blueprints.harnesses import TODAY, extension, layer, platform, single_weakenings
from tests.unit.blueprints.samples import sample

pytestmark = pytest.mark.django_db

CARD_DATA = {
    "id": "card_data",
    "title": "No card number in the change",
    "sensor": "computational",
    "command": ["scan-cards"],
    "blocking": True,
    "parameters": {"max_findings": {"direction": "down", "value": 3}},
}
TESTS = {
    "id": "tests",
    "title": "Tests pass",
    "sensor": "computational",
    "command": ["make", "test"],
    "blocking": True,
    "parameters": {"coverage": {"direction": "up", "value": 60}},
}


@pytest.fixture(scope="module")
def made(module_rows):
    cast = make_cast()
    services.add_check(actor=cast.admin, owner=cast.platform, check=TESTS)
    return cast


@pytest.fixture
def cast(made, db):
    return fresh(made)


def findings(refused):
    return [(one["code"], one["path"]) for one in refused.value.facts["findings"]]


def last(verb="blueprints.layer.changed"):
    return Event.objects.filter(verb=verb).latest("id")


def in_force(principal, tenant):
    return {name for check in queries.harness_of(principal, tenant).checks for name in check.names}


def test_a_check_of_a_domain_is_in_force_for_every_team_of_it_and_for_no_other(cast):
    second = create_tenant(actor=SYSTEM, tier="team", slug="vault", name="Vault")
    join_domain(actor=SYSTEM, team=second, domain=cast.domain)
    written = services.add_check(actor=cast.steward, owner=cast.domain, check=CARD_DATA)
    assert (written.version, written.changed_by) == (1, cast.steward.person)
    for team in (cast.team, second):
        found = queries.harness_of(SYSTEM, team)
        assert [(check.tier, check.owners, check.id) for check in found.checks] == [
            ("platform", ("platform",), "tests"),
            ("domain", ("payments",), "card_data"),
        ]
        assert list(found.sources) == ["platform", "payments", team.slug]
    assert in_force(SYSTEM, cast.rival) == {"platform/tests"}
    assert {team.slug for team in queries.inheritors(SYSTEM, cast.domain)} == {"ledger", "vault"}
    assert {team.slug for team in queries.inheritors(cast.lead, cast.domain)} == {"ledger"}, "what a lead sees of it"
    assert (last().scope, last().object) == (cast.domain.pk, "payments")


WRITERS = {
    "platform": {"admin"},
    "domain": {"admin", "steward"},
    "team": {"admin", "lead"},
}


@pytest.mark.parametrize("node", WRITERS)
def test_only_who_keeps_a_tenant_writes_its_layer(cast, node):
    owner = getattr(cast, node)
    own = {**CARD_DATA, "id": f"own_{node}"}
    acts = {
        "write": lambda who: services.write_layer(actor=who, owner=owner, document=layer(owner.tier, owner.slug)),
        "add": lambda who: services.add_check(actor=who, owner=owner, check=own),
        "change": lambda who: services.change_check(actor=who, owner=owner, check={**own, "title": "Other"}),
        "waive": lambda who: services.waive_check(
            actor=who, owner=owner, check=own["id"], reason="The scanner is down.", expires=queries.today()
        ),
        "lift": lambda who: services.lift_waiver(actor=who, owner=owner, check=own["id"]),
        "remove": lambda who: services.remove_check(actor=who, owner=owner, check=own["id"]),
        "tighten": lambda who: services.tighten_check(
            actor=who, owner=owner, check="platform/tests", parameters={"coverage": 70}
        ),
        "loosen": lambda who: services.loosen_check(actor=who, owner=owner, check="platform/tests"),
    }
    if node == "platform":  # nothing stands above it
        del acts["tighten"], acts["loosen"]
    for name, who in cast.principals().items():
        with transaction.atomic():
            for act in acts.values():
                if name in WRITERS[node]:
                    assert act(who).owner == owner
                else:
                    with pytest.raises(Forbidden) as refused:
                        act(who)
                    assert refused.value.missing.endswith(f"in {owner.slug}")
            transaction.set_rollback(True)


def test_two_hundred_valid_extensions_are_accepted_and_demand_all_that_stands_above(cast):
    for seed in range(200):
        chance = random.Random(seed)
        top = platform(chance)
        tier, owner, actor = chance.choice(
            [("domain", cast.domain, cast.steward), ("team", cast.team, cast.lead), ("team", cast.team, cast.admin)]
        )
        below = extension(chance, top, tier, owner.slug)
        with transaction.atomic():
            services.write_layer(actor=cast.admin, owner=cast.platform, document=top)
            services.write_layer(actor=actor, owner=owner, text=as_yaml(below), expected_version=0)
            found = queries.harness_of(cast.lead, cast.team)
            transaction.set_rollback(True)
        assert found.lapsed == []
        assert list(weakenings(effective([top], today=TODAY), found.checks)) == []
        assert found.checks == effective([top, below], today=TODAY)


@pytest.mark.parametrize("seed", range(8))
def test_every_single_weakening_is_refused_by_the_service_with_its_path(cast, seed):
    chance = random.Random(seed)
    top = platform(chance)
    services.write_layer(actor=cast.admin, owner=cast.platform, document=top)
    count = 0
    for owner, actor in ((cast.domain, cast.steward), (cast.team, cast.lead)):
        for below, code, path in single_weakenings(chance, top, owner.tier, owner.slug):
            with pytest.raises(Invalid) as refused:
                services.write_layer(actor=actor, owner=owner, document=below)
            assert refused.value.error_code == "unsound"
            assert (code, path) in findings(refused)
            assert {code for code, _ in findings(refused)} <= {code, "WAIVER_PERSON"}
            assert any(path in said for said in refused.value.errors["text"])
            count += 1
    assert count > 40
    assert not Layer.objects.exclude(owner=cast.platform).exists()


def test_the_small_acts_can_do_nothing_that_a_whole_document_could_not(cast):
    own = {"actor": cast.lead, "owner": cast.team}
    for act, code in (
        (lambda: services.tighten_check(**own, check="platform/tests", parameters={"coverage": 50}), "WEAKER"),
        (lambda: services.tighten_check(**own, check="platform/gone", blocking=True), "UNKNOWN_CHECK"),
        (lambda: services.tighten_check(**own, check="tests", blocking=True), "FORM"),
        (lambda: services.tighten_check(**own, check="platform/tests", evidence=["rumour"]), "CHOICE"),
        (lambda: services.add_check(**own, check={**TESTS, "blocking": False}), "CHECK_REDEFINED"),
        (lambda: services.add_check(**own, check={**CARD_DATA, "exclude": ["src"]}), "UNKNOWN_KEY"),
        (lambda: services.add_check(**own, check={}), "MISSING"),
        (lambda: services.waive_check(**own, check="tests", reason="In our way.", expires=queries.today()), "WAIVER_NOT_OWNER"),
    ):  # fmt: skip
        with pytest.raises(Invalid) as refused:
            act()
        assert code in {found for found, _ in findings(refused)}
    for absent in (
        lambda: services.change_check(**own, check=CARD_DATA),
        lambda: services.remove_check(**own, check="tests"),
        lambda: services.loosen_check(**own, check="platform/tests"),
        lambda: services.lift_waiver(**own, check="tests"),
    ):
        with pytest.raises(NotFound):
            absent()
    with pytest.raises(Invalid, match="stricter"):
        services.tighten_check(**own, check="platform/tests")
    assert not Layer.objects.filter(owner=cast.team).exists()


def test_what_a_team_tightens_adds_up_and_is_taken_back(cast):
    own = {"actor": cast.lead, "owner": cast.team}
    services.tighten_check(**own, check="platform/tests", parameters={"coverage": 70}, evidence=["junit"])
    services.tighten_check(**own, check="platform/tests", parameters={"coverage": 75}, evidence=["coverage"])
    (check,) = queries.harness_of(cast.member, cast.team).checks
    assert (check.parameters["coverage"].value, check.set_by["coverage"]) == (75, ("ledger",))
    assert check.evidence == {"junit", "coverage"}
    services.loosen_check(**own, check="platform/tests")
    (check,) = queries.harness_of(cast.member, cast.team).checks
    assert (check.parameters["coverage"].value, check.set_by["coverage"]) == (60, ("platform",))


def waive(cast, **over):
    given = {"check": "card_data", "reason": "The scanner is down.", "expires": queries.today() + timedelta(days=9)}
    return services.waive_check(actor=cast.steward, owner=cast.domain, **(given | over))


def test_a_waiver_is_signed_by_who_gives_it_and_has_an_end(cast):
    services.add_check(actor=cast.steward, owner=cast.domain, check=CARD_DATA)
    waive(cast)
    check = queries.harness_of(cast.lead, cast.team).checks[1]
    assert check.waived
    assert (check.waivers[0].person, check.waivers[0].owner) == ("steward", "payments")
    assert last("blueprints.check.waived").object == "payments/card_data"
    assert b"The scanner is down." in bytes(str(Payload.objects.latest("event").body), "utf-8")
    for wrong, code in (
        ({"expires": queries.today() + timedelta(days=91)}, "WAIVER_TOO_LONG"),
        ({"expires": queries.today() - timedelta(days=1)}, "WAIVER_OVER"),
        ({"reason": "short"}, "LENGTH"),
        ({"check": "tests"}, "WAIVER_NOT_OWNER"),
    ):
        with pytest.raises(Invalid) as refused:
            waive(cast, **wrong)
        assert [found for found, _ in findings(refused)] == [code]
    with pytest.raises(Invalid, match="Only a person"):
        services.waive_check(actor=SYSTEM, owner=cast.domain, check="card_data", reason="x" * 20, expires=TODAY)
    services.lift_waiver(actor=cast.steward, owner=cast.domain, check="card_data")
    assert not queries.harness_of(cast.lead, cast.team).checks[1].waived
    assert last("blueprints.waiver.lifted").object == "payments/card_data"


def test_a_whole_document_keeps_the_waivers_of_others_and_signs_none_for_them(cast):
    services.add_check(actor=cast.steward, owner=cast.domain, check=CARD_DATA)
    document = deepcopy(waive(cast).document)
    document["checks"][0]["title"] = "No card number anywhere"
    kept = services.write_layer(actor=cast.admin, owner=cast.domain, document=document)
    assert kept.document["waivers"][0]["person"] == "steward"
    longer = deepcopy(document)
    longer["waivers"][0]["expires"] = (queries.today() + timedelta(days=20)).isoformat()
    forged = deepcopy(document)
    forged["waivers"][0]["person"] = "lead"
    for changed in (longer, forged):
        with pytest.raises(Invalid) as refused:
            services.write_layer(actor=cast.admin, owner=cast.domain, document=changed)
        assert findings(refused) == [("WAIVER_PERSON", "/waivers/0/person")]
    longer["waivers"][0]["person"] = "admin"
    assert services.write_layer(actor=cast.admin, owner=cast.domain, document=longer).version == kept.version + 1


def test_a_check_goes_with_its_waiver(cast):
    services.add_check(actor=cast.steward, owner=cast.domain, check=CARD_DATA)
    waive(cast)
    gone = services.remove_check(actor=cast.steward, owner=cast.domain, check="card_data")
    assert (gone.document["checks"], gone.document["waivers"]) == ([], [])
    assert last("blueprints.waiver.lifted").object == "payments/card_data"


def test_a_text_is_refused_with_line_and_path(cast):
    text = "harness: 1\nowner: {tier: team, tenant: ledger}\ntighten:\n  - check: platform/tests\n    parameters:\n      coverage: 5\n"
    with pytest.raises(Invalid) as refused:
        services.write_layer(actor=cast.lead, owner=cast.team, text=text)
    (finding,) = refused.value.facts["findings"]
    assert (finding["code"], finding["path"], finding["line"]) == ("WEAKER", "/tighten/0/parameters/coverage", 6)
    assert refused.value.errors["text"][0].startswith("Line 6: ")
    for wrong, code in (
        ("a: [", "NOT_YAML"),
        ('harness: "\\0"', "NOT_TEXT"),
        ("[]", "TYPE"),
        (text.replace("ledger", "rival"), "OWNER"),
        (text.replace("tier: team", "tier: platform"), "OWNER"),
    ):
        with pytest.raises(Invalid) as refused:
            services.write_layer(actor=cast.lead, owner=cast.team, text=wrong)
        assert [found for found, _ in findings(refused)] == [code]
    for neither in ({}, {"text": "", "document": {}}):
        with pytest.raises(Invalid, match="once"):
            services.write_layer(actor=cast.lead, owner=cast.team, **neither)


@pytest.mark.parametrize(
    "document", [None, [], 1, "x", {}, {"owner": 1}, {"harness": 1, "owner": {"tier": [], "tenant": {}}}]
)
def test_any_document_is_read_or_refused(cast, document):
    with pytest.raises(Invalid):
        services.write_layer(actor=cast.lead, owner=cast.team, document=document)


def test_who_read_another_version_overwrites_nothing(cast):
    first = services.add_check(actor=cast.steward, owner=cast.domain, check=CARD_DATA, expected_version=0)
    for stale in (0, 7):
        with pytest.raises(PreconditionFailed) as refused:
            services.remove_check(actor=cast.admin, owner=cast.domain, check="card_data", expected_version=stale)
        assert refused.value.facts["current_version"] == first.version
    with pytest.raises(PreconditionFailed):
        services.add_check(actor=cast.lead, owner=cast.team, check=CARD_DATA, expected_version=1)


def test_the_same_demands_again_change_nothing(cast):
    first = services.add_check(actor=cast.steward, owner=cast.domain, check=CARD_DATA)
    count = Event.objects.count()
    again = services.write_layer(actor=cast.steward, owner=cast.domain, document=first.document)
    assert (again.version, Event.objects.count(), queries.layer_history(again).count()) == (first.version, count, 1)


def test_the_history_says_who_did_what_and_why(cast):
    services.add_check(actor=cast.steward, owner=cast.domain, check=CARD_DATA)
    waive(cast)
    kept = services.change_check(actor=cast.admin, owner=cast.domain, check={**CARD_DATA, "title": "Other"})
    rows = queries.layer_history(kept)
    assert [(row.history_change_reason, row.history_user.handle, row.version) for row in rows] == [
        ("changed card_data", "admin", 3),
        ("waived card_data", "steward", 2),
        ("added card_data", "steward", 1),
    ]


def test_what_changed_above_leaves_lower_entries_out_and_names_them(cast):
    services.add_check(actor=cast.steward, owner=cast.domain, check=CARD_DATA)
    entry = {"actor": cast.lead, "owner": cast.team}
    services.tighten_check(**entry, check="payments/card_data", parameters={"max_findings": 2}, blocking=True)
    services.tighten_check(**entry, check="platform/tests", parameters={"coverage": 70})
    strict = {**CARD_DATA, "parameters": {"max_findings": {"direction": "down", "value": 0}}}
    shown = queries.preview(cast.steward, cast.domain, document=layer("domain", "payments", checks=[strict]))
    assert [(one.tenant, one.finding.path) for one in shown.lapsing] == [
        ("ledger", "/tighten/0/parameters/max_findings")
    ]
    assert ([team.slug for team in shown.teams], shown.layer_version, shown.findings) == (["ledger"], 1, [])
    assert [(one.section, one.name, one.kind) for one in shown.changes] == [("checks", "card_data", "changed")]
    services.change_check(actor=cast.steward, owner=cast.domain, check=strict)
    found = queries.harness_of(cast.member, cast.team)
    assert [(one.tenant, one.finding.code, one.finding.path) for one in found.lapsed] == [
        ("ledger", "WEAKER", "/tighten/0/parameters/max_findings")
    ]
    assert found.checks[1].parameters["max_findings"].value == 0
    _, teams, below = queries.overview_of(cast.steward, cast.domain)
    assert ([team.slug for team in teams], [one.tenant for one in below]) == (["ledger"], ["ledger"])
    with pytest.raises(Invalid) as refused:
        services.tighten_check(**entry, check="payments/card_data", parameters={"max_findings": 1})
    assert findings(refused) == [("WEAKER", "/tighten/1/parameters/max_findings")], "who touches it puts it right"
    services.tighten_check(**entry, check="platform/tests", parameters={"coverage": 80})
    assert [one.finding.code for one in queries.harness_of(cast.member, cast.team).lapsed] == ["WEAKER"]
    services.loosen_check(**entry, check="payments/card_data")
    assert queries.harness_of(cast.member, cast.team).lapsed == []


def test_several_entries_that_no_longer_fit_are_taken_back_one_by_one_and_hold_up_nothing_else(cast):
    services.add_check(actor=cast.steward, owner=cast.domain, check=CARD_DATA)
    entry = {"actor": cast.lead, "owner": cast.team}
    services.tighten_check(**entry, check="payments/card_data", parameters={"max_findings": 2}, blocking=True)
    services.tighten_check(**entry, check="platform/tests", parameters={"coverage": 70})
    services.add_check(**entry, check={**TESTS, "id": "contracts", "parameters": {}})
    services.remove_check(actor=cast.steward, owner=cast.domain, check="card_data")
    tests = {**TESTS, "parameters": {"coverage": {"direction": "up", "value": 90}}}
    services.change_check(actor=cast.admin, owner=cast.platform, check=tests)
    lapsed = queries.harness_of(cast.member, cast.team).lapsed
    assert [one.finding.path for one in lapsed] == ["/tighten/0/check", "/tighten/1/parameters/coverage"]
    services.waive_check(**entry, check="contracts", reason="The broker moves house.", expires=queries.today())
    services.lift_waiver(**entry, check="contracts")
    for reference in ("payments/card_data", "platform/tests"):
        services.loosen_check(**entry, check=reference)
    assert queries.harness_of(cast.member, cast.team).lapsed == []


def test_a_preview_says_why_a_layer_would_be_refused_and_writes_nothing(cast):
    shown = queries.preview(
        cast.steward, cast.domain, document=layer("domain", "payments", checks=[{**TESTS, "blocking": False}])
    )
    assert [one.code for one in shown.findings] == ["CHECK_REDEFINED"]
    assert (shown.teams, shown.changes, shown.layer_version) == ([], [], 0)
    assert not Layer.objects.filter(owner=cast.domain).exists()
    with pytest.raises(Forbidden):
        queries.preview(cast.lead, cast.domain, document=layer("domain", "payments"))
    assert queries.preview(cast.lead, cast.team, document=layer("team", "ledger")).teams == []


def test_a_change_of_the_platform_is_previewed_for_domains_and_teams(cast):
    services.tighten_check(actor=cast.steward, owner=cast.domain, check="platform/tests", parameters={"coverage": 70})
    services.tighten_check(actor=cast.outsider, owner=cast.rival, check="platform/tests", parameters={"coverage": 65})
    strict = {**TESTS, "parameters": {"coverage": {"direction": "up", "value": 90}}}
    shown = queries.preview(cast.admin, cast.platform, document=layer("platform", "platform", checks=[strict]))
    assert [one.tenant for one in shown.lapsing] == ["payments", "rival"]
    assert [team.slug for team in shown.teams] == ["ledger", "rival"]


def test_nobody_sees_the_layer_of_a_sibling(cast, as_role):
    own = {**CARD_DATA, "id": "own_rival", "title": "Secret habit of the rivals"}
    services.add_check(actor=cast.outsider, owner=cast.rival, check=own)
    services.add_check(actor=SYSTEM, owner=cast.other_domain, check={**CARD_DATA, "id": "of_north"})
    for name in ("lead", "member", "reviewer", "steward", "stranger"):
        principal = getattr(cast, name)
        assert {row.owner.slug for row in queries.layers(principal)} <= {"platform"}
        assert queries.layer_of(principal, cast.rival) is None
        with as_role("hanse_app"), tenant_scope(principal.access.scope):
            assert set(Layer.objects.values_list("owner__slug", flat=True)) <= {"platform"}
        assert in_force(principal, cast.team) == {"platform/tests"}
    assert in_force(cast.outsider, cast.rival) == {"platform/tests", "north/of_north", "rival/own_rival"}


def test_who_may_not_see_every_domain_of_a_team_is_told_so_and_shown_nothing_of_the_others(cast):
    join_domain(actor=SYSTEM, team=cast.team, domain=cast.other_domain)
    services.add_check(actor=SYSTEM, owner=cast.other_domain, check={**CARD_DATA, "id": "of_north"})
    lead = make_lead_again(cast)
    services.tighten_check(actor=lead, owner=cast.team, check="north/of_north", parameters={"max_findings": 1})
    whole, part = queries.harness_of(lead, cast.team), queries.harness_of(cast.steward, cast.team)
    assert (whole.is_whole, part.is_whole) == (True, False)
    assert in_force(lead, cast.team) == {"platform/tests", "north/of_north"}
    assert in_force(cast.steward, cast.team) == {"platform/tests"}
    assert part.lapsed == [], "an entry about what one does not see is no fault that one could name"
    assert queries.overview_of(cast.steward, cast.domain)[2] == []
    assert "north" not in part.sources


def make_lead_again(cast):
    """Returns the lead with the access of now: the team's domains are others since."""
    return principal_of(cast.lead.person)


def test_an_entry_about_a_domain_that_the_team_left_lapses_for_its_own_people(cast):
    services.add_check(actor=cast.steward, owner=cast.domain, check=CARD_DATA)
    services.tighten_check(actor=cast.lead, owner=cast.team, check="payments/card_data", parameters={"max_findings": 0})
    leave_domain(actor=SYSTEM, team=cast.team, domain=cast.domain)
    found = queries.harness_of(make_lead_again(cast), cast.team)
    assert [(one.finding.code, one.finding.path) for one in found.lapsed] == [("UNKNOWN_CHECK", "/tighten/0/check")]
    assert in_force(make_lead_again(cast), cast.team) == {"platform/tests"}


def test_the_shipped_layers_are_sound_and_load_once(cast):
    Layer.objects.all().delete()
    owners = {"payments": cast.domain, "cloud": cast.other_domain, "platform": cast.platform}
    rows = baseline.load_layers(actor=SYSTEM, owners=owners)
    assert [row.owner.slug for row in rows] == ["platform", "payments", "north"]
    assert baseline.load_layers(actor=SYSTEM, owners=owners) == []
    found = queries.harness_of(cast.lead, cast.team)
    assert found.lapsed == []
    ids = {check.id for check in found.checks}
    for name in ("pci-change", "dependency-upgrade"):
        left = {one["id"] for one in sample(name)["checks"] if not {"command", "prompt"} & one.keys()}
        assert left <= ids, "what a blueprint leaves to the harness, the harness has"
    with pytest.raises(Invalid, match="no shipped layer"):
        baseline.shipped_layer("nothing")


@pytest.mark.parametrize("name", baseline.SHIPPED)
def test_a_shipped_layer_is_sound_by_itself(name):
    assert check_layer(baseline.shipped_layer(name)) == []


def test_every_shipped_layer_has_a_name():
    assert {path.stem for path in baseline.FOLDER.iterdir()} == set(baseline.SHIPPED)


def test_today_is_the_day_of_the_clock():
    assert queries.today() == clock.now().date()
