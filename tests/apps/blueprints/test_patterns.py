"""Lowering by one, raising by two: held down until somebody lifts it, raised only where the facts allow it."""

from datetime import timedelta

import pytest

from audit.models import Event
from blueprints import tasks
from blueprints.models import PatternRequest, Repository
from blueprints.queries import repositories as queries
from blueprints.services import patterns, repositories
from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid, PreconditionFailed
from portal.sources import repository_sources
from tenants.models import Membership
from tenants.principals import SYSTEM, principal_of
from tenants.rules import Role
from tenants.services import give_role
from tests.actors import fresh, make_cast, make_person
from tests.apps.blueprints.workshop import measured, offered, proven, refreshed, register, whole
from tests.apps.classification.repositories import make_repository

pytestmark = pytest.mark.django_db
ALL = ("admin", "steward", "lead", "member", "reviewer", "outsider", "stranger")


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def place(tmp_path):
    return whole(tmp_path / "mirrors")


@pytest.fixture
def cast(made, db, place):
    with offered(place.parent):
        yield fresh(made)


@pytest.fixture
def ready(cast, place):
    """Returns a repository whose files give all they can: level 3, and nothing was executed."""
    return measured(register(cast.member, cast.team, place))


@pytest.fixture
def dark(cast, place, tmp_path):
    """Returns a repository of which everything was executed."""
    return proven(register(cast.member, cast.team, place), place, tmp_path)


@pytest.fixture
def both(cast, place, tmp_path):
    """Returns one repository that is proven, and one whose files give all they can."""
    one = proven(register(cast.member, cast.team, place), place, tmp_path)
    other = measured(register(cast.member, cast.team, place, slug="other"))
    return one, other


def standing(repository, at=None):
    return refreshed(repository).standing_at(at or clock.now())


def facts(repository, at=None):
    found = standing(repository, at)
    return found.pattern.value, found.because.value


def last_act():
    return Event.objects.filter(kind="change").latest("id").verb


def ask(cast, repository, who="member"):
    return patterns.ask_pattern(actor=getattr(cast, who), repository=repository, reason="A pilot of two weeks.")


def approve(cast, request, who="lead", **over):
    return patterns.approve_pattern(actor=getattr(cast, who), request=request, **({"reason": "Looked at it."} | over))


# --- lowering -------------------------------------------------------------------------------------------------------


def test_a_lowered_repository_stays_down_whatever_is_measured(dark, cast):
    assert facts(dark) == ("dark-factory", "proven")
    patterns.lower_pattern(actor=cast.member, repository=dark, reason="It broke production.")
    assert facts(dark) == ("interactive-assistant", "lowered")
    assert last_act() == "blueprints.pattern.lowered"
    repositories.ask_measurement(actor=cast.member, repository=dark)
    again = measured(dark)
    assert (again.measured, again.pattern, again.lowered_reason) == (
        "dark-factory", "interactive-assistant", "It broke production.",
    )  # fmt: skip
    with pytest.raises(Conflict, match="already"):
        patterns.lower_pattern(actor=cast.lead, repository=dark, reason="Again.")


def test_an_approval_by_somebody_else_lifts_a_lowering(dark, cast):
    patterns.lower_pattern(actor=cast.member, repository=dark, reason="It broke production.")
    request = ask(cast, dark)
    assert request.reason == "A pilot of two weeks."
    approve(cast, request, until=clock.now() + timedelta(days=2))
    assert facts(dark) == ("dark-factory", "proven")
    row = refreshed(dark)
    assert (row.lowered_at, row.lowered_reason, row.approved_until) == (None, "", None), "it is proven without approval"


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201, "a\0b"])
def test_every_act_says_why(both, cast, reason):
    dark, ready = both
    request = ask(cast, ready)
    for act in (
        lambda: patterns.lower_pattern(actor=cast.member, repository=dark, reason=reason),
        lambda: patterns.ask_pattern(actor=cast.member, repository=ready, reason=reason),
        lambda: approve(cast, request, reason=reason),
        lambda: patterns.decline_pattern(actor=cast.lead, request=request, reason=reason),
    ):
        with pytest.raises(Invalid):
            act()


@pytest.mark.parametrize("who", ALL)
def test_who_may_lower_ask_approve_and_decline(both, cast, who):
    dark, ready = both
    actor = getattr(cast, who)
    request = ask(cast, ready, "member")
    acts = {
        "lower": (
            lambda: patterns.lower_pattern(actor=actor, repository=dark, reason="Odd."),
            {"admin", "lead", "member"},
        ),
        "decline": (
            lambda: patterns.decline_pattern(actor=actor, request=request, reason="No."),
            {"admin", "lead"},
        ),
    }
    for name, (act, may) in acts.items():
        if who in may:
            act()
        else:
            with pytest.raises(Forbidden) as refused:
                act()
            assert refused.value.missing, name
    PatternRequest.objects.all().delete()
    if who in {"admin", "lead", "member"}:
        ask(cast, ready, who)
    else:
        with pytest.raises(Forbidden):
            ask(cast, ready, who)
    PatternRequest.objects.all().delete()
    request = ask(cast, ready, "member")
    if who in {"admin", "lead"}:
        approve(cast, request, who)
    else:
        with pytest.raises(Forbidden):
            approve(cast, request, who)


# --- raising --------------------------------------------------------------------------------------------------------


def test_an_approval_raises_until_its_end_and_not_longer(ready, cast, time_machine):
    start = clock.now()
    request = approve(cast, ask(cast, ready), until=start + timedelta(days=2))
    assert facts(ready) == ("dark-factory", "approved")
    assert standing(ready).until == request.until == start + timedelta(days=2)
    assert facts(ready, start + timedelta(days=2)) == ("interactive-assistant", "not_proven"), "no task has run"
    time_machine.move_to(start + timedelta(days=2, seconds=1))
    tasks.expire_patterns()
    row = refreshed(ready)
    assert (row.pattern, row.approved_until) == ("interactive-assistant", None)
    ended = Event.objects.filter(kind="change").latest("id")
    assert (ended.verb, ended.person) == ("blueprints.pattern.lowered", None)
    tasks.expire_patterns()
    assert Event.objects.filter(kind="change").latest("id") == ended, "it ends once"


def test_an_approval_holds_at_most_as_long_as_the_record(ready, cast):
    request = approve(cast, ask(cast, ready), until=clock.now() + timedelta(days=400))
    assert request.until == ready.expires_at
    patterns.lower_pattern(actor=cast.member, repository=ready, reason="Once more.")
    assert approve(cast, ask(cast, ready)).until == ready.expires_at


def test_an_end_that_has_passed_is_said_at_its_field(ready, cast):
    with pytest.raises(Invalid) as refused:
        approve(cast, ask(cast, ready), until=clock.now())
    assert list(refused.value.errors) == ["until"]
    assert facts(ready) == ("interactive-assistant", "not_proven")


@pytest.mark.parametrize("who", ["lead", "admin"])
def test_nobody_raises_what_they_asked_for_themselves(ready, cast, who):
    request = ask(cast, ready, who)
    with pytest.raises(Forbidden) as refused:
        approve(cast, request, who)
    assert refused.value.missing == "approval by somebody else"
    assert facts(ready) == ("interactive-assistant", "not_proven")
    assert PatternRequest.objects.get().status == "open"
    approve(cast, request, "admin" if who == "lead" else "lead")
    assert facts(ready) == ("dark-factory", "approved")


def test_a_lead_who_became_one_after_asking_still_does_not_approve_it(ready, cast):
    person = make_person("newcomer")
    give_role(actor=SYSTEM, person=person, tenant=cast.team, role=Role.MEMBER)
    request = patterns.ask_pattern(actor=principal_of(person), repository=ready, reason="A pilot.")
    give_role(actor=SYSTEM, person=person, tenant=cast.team, role=Role.TEAM_LEAD)
    assert Membership.objects.filter(person=person).count() == 2
    with pytest.raises(Forbidden, match="themselves"):
        patterns.approve_pattern(actor=principal_of(person), request=request, reason="Looks good.")


def test_the_installation_by_itself_approves_nothing(ready, cast):
    with pytest.raises(Forbidden):
        patterns.approve_pattern(actor=SYSTEM, request=ask(cast, ready), reason="By itself.")


@pytest.mark.parametrize(
    "part",
    [
        {"setup": {"state": "failed", "command": "make setup"}},
        {"lint": {"state": "failed", "command": "make lint", "findings": 3}},
        {"mutation": {"state": "passed", "tried": 10, "caught": 1}},
        {
            "tests": {
                "state": "passed",
                "command": "make other",
                "runs": [{"passed": 5, "failed": 0, "skipped": 0, "outcomes": "a" * 64}] * 2,
            }
        },
    ],
)
def test_a_run_that_failed_is_never_raised(cast, place, tmp_path, part):
    repository = proven(register(cast.member, cast.team, place), place, tmp_path, **part)
    with pytest.raises(Forbidden, match="a run that failed"):
        ask(cast, repository)
    request = PatternRequest.objects.create(
        owner=cast.team, repository=repository, reason="x", asked_by=cast.member.person
    )
    with pytest.raises(Forbidden, match="a run that failed"):
        approve(cast, request)
    assert facts(repository)[0] == "interactive-assistant"


def test_what_the_files_lack_is_never_raised(cast, place, tmp_path):
    (place / "AGENTS.md").unlink()
    make_repository(place, {})
    repository = measured(register(cast.member, cast.team, place))
    with pytest.raises(Forbidden, match=r"conventions\.agents"):
        ask(cast, repository)


def test_without_a_measurement_that_holds_nothing_is_raised(ready, cast, place, time_machine):
    request = ask(cast, ready)
    unmeasured = register(cast.member, cast.team, place, slug="new")
    with pytest.raises(Conflict, match="Measure it first"):
        ask(cast, unmeasured)
    time_machine.move_to(clock.now() + timedelta(days=31))
    with pytest.raises(Conflict, match="Measure it first"):
        approve(cast, request)


def test_a_dark_factory_needs_no_approval(both, cast):
    dark, ready = both
    with pytest.raises(Conflict, match="already"):
        ask(cast, dark)
    approve(cast, ask(cast, ready))
    with pytest.raises(Conflict, match="already"):
        ask(cast, ready)


def test_an_approval_falls_with_a_new_measurement_that_says_worse(ready, cast, place):
    approve(cast, ask(cast, ready))
    (place / "uv.lock").unlink()
    make_repository(place, {})
    repositories.ask_measurement(actor=cast.member, repository=ready)
    again = measured(ready)
    assert (again.pattern, again.approved_until, again.level) == ("interactive-assistant", None, 1)


def test_an_approval_stays_with_a_new_measurement_that_says_the_same(ready, cast, place):
    request = approve(cast, ask(cast, ready), until=clock.now() + timedelta(days=9))
    make_repository(place, {"more.md": "More.\n"})
    repositories.ask_measurement(actor=cast.member, repository=ready)
    again = measured(ready)
    assert (again.pattern, again.approved_until) == ("dark-factory", request.until)


def test_lowering_ends_an_approval(ready, cast):
    approve(cast, ask(cast, ready))
    patterns.lower_pattern(actor=cast.member, repository=ready, reason="It broke production.")
    assert refreshed(ready).approved_until is None
    assert facts(ready) == ("interactive-assistant", "lowered")


def test_a_request_is_asked_once_and_decided_once(ready, cast):
    request = ask(cast, ready)
    with pytest.raises(Conflict, match="asked already"):
        ask(cast, ready, "lead")
    read = request.version
    patterns.decline_pattern(actor=cast.lead, request=request, reason="Not before the audit.", expected_version=read)
    assert last_act() == "blueprints.pattern.declined"
    with pytest.raises(PreconditionFailed):
        approve(cast, request, "admin", expected_version=read)
    with pytest.raises(Conflict, match="decided on already"):
        approve(cast, request, "admin")
    assert ask(cast, ready).status == "open", "it can be asked again"


def test_what_was_asked_of_a_repository_that_moved_is_closed(ready, cast, place):
    request = ask(cast, ready)
    change = {"repository": ready, "url": f"{place.as_uri()}/"}
    repositories.change_repository(actor=cast.lead, sources=repository_sources(), **change)
    assert PatternRequest.objects.get(pk=request.pk).status == "declined"


def test_what_waits_is_for_who_may_decide_and_did_not_ask(ready, cast):
    ask(cast, ready, "lead")
    waiting = {who for who in ALL if queries.pattern_requests_waiting(getattr(cast, who)).exists()}
    assert waiting == {"admin"}
    PatternRequest.objects.update(asked_by=cast.member.person)
    waiting = {who for who in ALL if queries.pattern_requests_waiting(getattr(cast, who)).exists()}
    assert waiting == {"admin", "lead"}
    seeing = {who for who in ALL if queries.pattern_requests(getattr(cast, who)).exists()}
    assert seeing == {"admin", "steward", "lead", "member", "reviewer"}


def test_a_record_ends_by_itself_also_when_the_rules_change(dark, monkeypatch):
    monkeypatch.setattr("blueprints.classification.rules.MIN_CATCH_PERCENT", 61)
    assert facts(dark) == ("interactive-assistant", "other_rules")
    tasks.expire_patterns()
    assert refreshed(dark).pattern == "interactive-assistant"
    assert "other_rules" in refreshed(dark).history.latest("history_date").history_change_reason


def test_patterns_are_filtered_as_they_are_shown(cast, place, tmp_path):
    start = clock.now()
    rows = {name: measured(register(cast.member, cast.team, place, slug=name)) for name in ("ready", "raised", "short")}
    rows |= {
        name: proven(register(cast.member, cast.team, place, slug=name), place, tmp_path) for name in ("dark", "held")
    }
    rows["new"] = register(cast.member, cast.team, place, slug="new")
    approve(cast, ask(cast, rows["raised"]))
    approve(cast, ask(cast, rows["short"]), until=start + timedelta(days=2))
    patterns.lower_pattern(actor=cast.member, repository=rows["held"], reason="Odd.")
    for days, dark in ((0, {"raised", "short", "dark"}), (3, {"raised", "dark"}), (31, set())):
        at = start + timedelta(days=days, seconds=30)
        found = set(Repository.objects.filter(queries.in_pattern("dark-factory", at)).values_list("slug", flat=True))
        shown = {row.slug for row in Repository.objects.all() if row.standing_at(at).pattern == "dark-factory"}
        assert found == shown == dark
        others = set(
            Repository.objects.filter(queries.in_pattern("interactive-assistant", at)).values_list("slug", flat=True)
        )
        assert others == set(rows) - dark
