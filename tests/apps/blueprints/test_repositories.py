"""Repositories from registration to a signed record, through the services and the very task that a worker runs."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.test import override_settings

from audit.models import Event
from blueprints import tasks
from blueprints.classification.sealing import Signer, verify
from blueprints.models import Layer, PatternRequest, Repository
from blueprints.queries import repositories as queries
from blueprints.services import measuring, repositories
from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from portal.keyring import record_verifier
from portal.sources import repository_sources
from tenants.principals import SYSTEM
from tests.actors import fresh, make_cast
from tests.apps.blueprints.workshop import measured, offered, proven, refreshed, register, whole
from tests.apps.classification.repositories import PYTHON, make_repository, run_git
from tests.git.serving import serving

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("mirrors")
    whole(root)
    make_repository(root / "thin", {"README.md": "# Only words here, and more of them\n"})
    return root


@pytest.fixture
def cast(made, db, root):
    with offered(root):
        yield fresh(made)


@pytest.fixture
def repository(cast, root):
    return register(cast.member, cast.team, root / "calc")


@pytest.fixture
def woken(monkeypatch):
    """Returns the ids of repositories to which a worker was sent."""
    asked = []
    monkeypatch.setattr(tasks.measure_repository, "delay", asked.append)
    return asked


def last_acts(count=1):
    return [event.verb for event in Event.objects.filter(kind="change").order_by("-id")[:count]]


# --- registering ----------------------------------------------------------------------------------------------------


def test_a_registered_repository_waits_and_is_for_the_assistant(repository):
    standing = repository.standing_at(clock.now())
    assert (standing.pattern, standing.because) == ("interactive-assistant", "unmeasured")
    assert (repository.stage, repository.state_at(clock.now())) == ("waiting", "measuring")
    assert last_acts() == ["blueprints.repository.registered"]


@pytest.mark.parametrize(
    ("who", "may"),
    [
        ("admin", True),
        ("lead", True),
        ("member", True),
        ("reviewer", False),
        ("steward", False),
        ("outsider", False),
        ("stranger", False),
    ],
)
def test_who_works_in_the_team_registers(cast, root, who, may):
    if may:
        assert register(getattr(cast, who), cast.team, root / "calc").owner == cast.team
    else:
        with pytest.raises(Forbidden):
            register(getattr(cast, who), cast.team, root / "calc")


def test_what_cannot_be_registered_says_at_which_field(cast, root):
    for over, field in (
        ({"slug": "No Slug"}, "slug"),
        ({"name": " "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"url": "http://10.0.0.1/r"}, "url"),
        ({"url": "https://" + "x" * 600}, "url"),
        ({"url": "file:///etc"}, "url"),
        ({"branch": "a..b"}, "branch"),
    ):
        with pytest.raises(Invalid) as refused:
            register(cast.member, cast.team, root / "calc", **over)
        assert list(refused.value.errors) == [field], over
    with pytest.raises(Invalid, match="belongs to a team"):
        register(cast.steward, cast.domain, root / "calc")
    register(cast.member, cast.team, root / "calc")
    with pytest.raises(Conflict, match="calc"):
        register(cast.lead, cast.team, root / "calc")
    assert register(cast.outsider, cast.rival, root / "calc").owner == cast.rival, "another team has its own names"


# --- measuring ------------------------------------------------------------------------------------------------------


def test_a_worker_measures_signs_and_the_record_verifies(repository, cast, root):
    repository = measured(repository)
    assert (repository.level, repository.measured, repository.stage, repository.fault) == (
        3,
        "interactive-assistant",
        "",
        "",
    )
    assert repository.commit == run_git(root / "calc", "rev-parse", "HEAD")
    assert next(item["signal"] for item in repository.findings["missing"]) == "executed.setup"
    assert last_acts() == ["blueprints.repository.measured"]
    document = queries.exported_record(repository)
    record = verify(document, record_verifier())
    assert (record["repository"], record["commit"]) == ("ledger/calc", repository.commit)
    assert queries.record_fault(repository, record_verifier()) == ""
    assert repository.expires_at - repository.measured_at == timedelta(days=30)


def test_a_repository_is_measured_over_http(cast, root):
    with serving({"/calc": root / "calc"}) as port:
        config = replace(settings.HANSE, upstream_allow=(f"127.0.0.1:{port}",))
        with override_settings(HANSE=config):
            url = f"http://127.0.0.1:{port}/calc"
            repository = measured(register(cast.member, cast.team, root / "calc", url=url))
    assert (repository.level, repository.url) == (3, url)


def test_a_record_that_was_touched_does_not_verify(repository, cast, root):
    repository = measured(repository)
    key = record_verifier()
    for change in (
        {"level": 5},
        {"pattern": "dark-factory"},
        {"commit": "0" * 40},
        {"expires": "2099-01-01T00:00:00.000000Z"},
    ):
        document = queries.exported_record(repository)
        document["record"] |= change
        with pytest.raises(Invalid, match="did not sign"):
            verify(document, key)
    facts = queries.exported_record(repository)
    facts["facts"] = {**facts["facts"], "missing": []}
    with pytest.raises(Invalid, match="facts"):
        verify(facts, key)
    with pytest.raises(Invalid, match="did not sign"):
        verify(queries.exported_record(repository), Ed25519PrivateKey.generate().public_key())
    other = measured(register(cast.member, cast.team, root / "thin"))
    other.record, other.signature, other.findings = repository.record, repository.signature, repository.findings
    assert "something else" in queries.record_fault(other, key)
    assert queries.standing_of(other, key, clock.now()).because == "unsigned"
    assert queries.standing_of(repository, key, clock.now()).because == "not_proven"
    assert queries.standing_of(repository, None, clock.now()).because == "unsigned"
    other.record = {**repository.record, "level": 5}
    assert "did not sign" in queries.record_fault(other, key)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"record": 1},
        {"record": {}},
        {"record": {"type": "hanse-classification-1"}, "signature": "é"},
        {"record": {"type": "hanse-classification-1", "x": float("nan")}, "signature": ""},
    ],
)
def test_what_is_no_record_is_said(document):
    with pytest.raises(Invalid):
        verify(document, record_verifier())


def test_a_measurement_that_fails_says_why_and_leaves_the_record(repository, root, cast, tmp_path):
    repository = measured(repository)
    before = repository.record
    repositories.ask_measurement(actor=cast.member, repository=repository)
    Repository.objects.update(url="file:///nowhere")
    repository = measured(repository)
    assert repository.fault == "That directory is not below one that the administrator listed for repositories."
    assert (repository.record, repository.stage, repository.state_at(clock.now())) == (before, "", "failed")
    repositories.ask_measurement(actor=cast.member, repository=repository)
    Repository.objects.update(url=(root / "calc").as_uri(), branch="nowhere")
    assert measured(repository).fault == "The repository has no branch nowhere."


def test_nothing_is_measured_that_nobody_asked_for(repository):
    repository = measured(repository)
    again = measured(repository)
    assert again.record == repository.record
    measuring_count = Event.objects.filter(verb="blueprints.repository.measured").count()
    assert measuring_count == 1
    tasks.measure_repository(repository.pk + 1_000)


def test_two_measurements_at_once_are_one(repository, cast, monkeypatch):
    """The second run comes while the first one works: it does nothing, and the first one's result is taken in."""
    seen = []
    classify = tasks.measure

    def slow(job):
        seen.append(job.claim)
        tasks.measure_repository(repository.pk)
        repositories.ask_measurement(actor=cast.lead, repository=repository)
        return classify(job)

    monkeypatch.setattr(tasks, "measure", slow)
    assert measured(repository).level == 3
    assert len(seen) == 1


def test_who_lost_the_claim_writes_nothing(repository, cast, root, monkeypatch):
    """The repository is moved while it is measured: what was found at the old place is not taken for the new one."""
    inner = tasks.measure

    def moved_meanwhile(job):
        found = inner(job)
        repositories.change_repository(
            actor=cast.lead, repository=repository, sources=repository_sources(), url=(root / "thin").as_uri()
        )
        return found

    monkeypatch.setattr(tasks, "measure", moved_meanwhile)
    left = measured(repository)
    assert (left.record, left.stage, left.commit) == (None, "waiting", "")
    monkeypatch.setattr(tasks, "measure", inner)
    assert measured(repository).level == 0


def test_a_run_that_died_is_begun_anew_and_not_for_ever(repository, time_machine):
    start = clock.now()
    for attempt in range(measuring.MAX_ATTEMPTS):
        job = measuring.begin_measurement(repository.pk)
        assert job is not None, attempt
        assert measuring.begin_measurement(repository.pk) is None, "its claim holds"
        time_machine.move_to(start + (attempt + 1) * (measuring.LEASE + timedelta(seconds=1)))
    assert measuring.begin_measurement(repository.pk) is None
    row = refreshed(repository)
    assert (row.stage, "3 times" in row.fault) == ("", True)


def test_whatever_goes_wrong_is_said_on_the_row_and_raised(repository, monkeypatch):
    def broken(job):
        raise ZeroDivisionError

    monkeypatch.setattr(tasks, "measure", broken)
    with pytest.raises(ZeroDivisionError):
        tasks.measure_repository(repository.pk)
    assert "ZeroDivisionError" in refreshed(repository).fault


def test_what_was_executed_counts_for_its_very_commit_and_no_other(repository, root, cast, tmp_path):
    place = whole(tmp_path, "calc")
    with offered(tmp_path):
        repository = proven(register(cast.member, cast.team, place, slug="own"), place, tmp_path)
        assert (repository.level, repository.pattern) == (4, "dark-factory")
        repositories.ask_measurement(actor=cast.member, repository=repository)
        repository = measured(repository)
        assert (repository.level, repository.pattern) == (4, "dark-factory"), "the commit is the same"
        make_repository(place, {"more.md": "More.\n"})
        repositories.ask_measurement(actor=cast.member, repository=repository)
        repository = measured(repository)
        assert (repository.level, repository.pattern, repository.executed) == (3, "interactive-assistant", None)


def test_the_harness_of_regulatory_domains_is_given_to_the_measurement(cast, root, tmp_path):
    place = make_repository(tmp_path / "vault", {**PYTHON, "pci/vault.py": "def keep(number):\n    return number\n"})
    with offered(tmp_path):
        assert queries.harness_of(cast.team) == frozenset()
        repository = measured(register(cast.member, cast.team, place))
        assert repository.record["signals"]["safety.regulated"] == "unmet"
        checks = [
            {"id": "pci_dss_scope", "title": "Scope", "sensor": "computational", "blocking": True, "command": ["x"]}
        ]
        owner = {"tier": "domain", "tenant": cast.domain.slug}
        Layer.objects.create(owner=cast.domain, document={"harness": 1, "owner": owner, "checks": []})
        assert queries.harness_of(cast.team) == frozenset(), "a layer without a check covers nothing"
        Layer.objects.update(document={"harness": 1, "owner": owner, "checks": checks})
        assert {"pci", "payments", "pci-dss-scope"} <= queries.harness_of(cast.team)
        named = [{**checks[0], "id": "card_data", "title": "No card number in code (PCI DSS 3.3.1)"}]
        Layer.objects.update(document={"harness": 1, "owner": owner, "checks": named})
        assert "pci" in queries.harness_of(cast.team), "a title names its rule, too"
        assert queries.harness_of(cast.rival) == frozenset()
        repositories.ask_measurement(actor=cast.member, repository=repository)
        assert measured(repository).record["signals"]["safety.regulated"] == "met"


# --- changing and removing ------------------------------------------------------------------------------------------


def test_a_moved_repository_is_measured_anew(repository, cast, root, tmp_path):
    repository = proven(repository, root / "calc", tmp_path)
    assert repository.pattern == "dark-factory"
    changed = repositories.change_repository(
        actor=cast.member, repository=repository, sources=repository_sources(), url=(root / "thin").as_uri()
    )
    assert (changed.pattern, changed.record, changed.stage) == ("interactive-assistant", None, "waiting")
    named = repositories.change_repository(
        actor=cast.member, repository=measured(changed), sources=repository_sources(), name="Words"
    )
    assert (named.name, named.level, named.stage) == ("Words", 0, "")


def test_two_who_change_it_at_once_do_not_overwrite_each_other(repository, cast):
    read = repository.version
    change = {"repository": repository, "sources": repository_sources(), "expected_version": read}
    repositories.change_repository(actor=cast.member, name="One", **change)
    with pytest.raises(PreconditionFailed):
        repositories.change_repository(actor=cast.lead, name="Two", **change)
    assert refreshed(repository).name == "One"


def test_a_lead_removes_a_repository_and_its_history_stays(repository, cast):
    repository = measured(repository)
    with pytest.raises(Forbidden):
        repositories.remove_repository(actor=cast.member, repository=repository)
    repositories.remove_repository(actor=cast.lead, repository=repository)
    assert not Repository.objects.exists()
    rows = list(Repository.history.order_by("history_date"))
    assert [(row.history_type, row.history_change_reason) for row in rows] == [
        ("+", "registered"),
        ("~", "measured"),
        ("-", "removed"),
    ]
    assert rows[-1].history_user == cast.lead.person
    assert last_acts() == ["blueprints.repository.removed"]


# --- sight and the schedule -----------------------------------------------------------------------------------------


def test_a_repository_is_seen_by_who_sees_the_team(repository, cast):
    for who, principal in cast.principals().items():
        sees = who not in {"outsider", "stranger"}
        assert queries.repositories(principal).exists() is sees, who
        if not sees:
            with pytest.raises(NotFound):
                queries.repository_by_ref(principal, "ledger", "calc")
    assert queries.repository_by_name(cast.lead, "ledger/calc") == repository


def test_the_schedule_wakes_what_was_lost_and_measures_again_what_has_ended(
    repository, cast, woken, time_machine, django_capture_on_commit_callbacks
):
    start = clock.now()
    tasks.resume_measurements()
    assert woken == [], "it waits since a moment only"
    time_machine.move_to(start + timedelta(minutes=3))
    tasks.resume_measurements()
    assert woken == [repository.pk]
    measured(repository)
    tasks.resume_measurements()
    time_machine.move_to(start + timedelta(days=29))
    tasks.resume_measurements()
    assert woken == [repository.pk]
    time_machine.move_to(start + timedelta(days=31))
    with django_capture_on_commit_callbacks(execute=True):
        tasks.resume_measurements()
    assert woken == [repository.pk, repository.pk]
    assert refreshed(repository).stage == "waiting"


def test_a_worker_is_sent_only_when_the_transaction_holds(repository, woken, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        tasks.wake(repository)
        assert woken == []
    assert woken == [repository.pk]


def test_the_scheduler_knows_tasks_that_exist():
    from portal.celery import app

    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


@pytest.mark.parametrize("state", queries.STATES)
def test_states_are_filtered_as_they_are_shown(cast, root, state, time_machine):
    start = clock.now()
    rows = {
        name: register(cast.member, cast.team, root / "calc", slug=name)
        for name in ("one", "two", "three", "four", "five")
    }
    measured(rows["one"])
    Repository.objects.filter(slug="two").update(stage="", fault="It is gone.")
    Repository.objects.filter(slug="three").update(stage="")
    measured(rows["four"])
    Repository.objects.filter(slug="four").update(expires_at=start - timedelta(days=1))
    for row in Repository.objects.all():
        found = Repository.objects.filter(queries.in_state(state, start), pk=row.pk).exists()
        assert found is (row.state_at(start) == state), (row.slug, state)
    assert Repository.objects.filter(queries.in_state(state, start)).count() == 1


def test_totals_count_what_one_sees(repository, cast, root, tmp_path):
    proven(repository, root / "calc", tmp_path)
    register(cast.outsider, cast.rival, root / "thin")
    assert queries.repository_totals(cast.lead) == {"repositories": 1, "dark": 1, "failed": 0, "stale": 0}
    assert queries.repository_totals(cast.admin)["repositories"] == 2


def test_a_key_is_named_by_its_public_half(repository):
    signer = Signer(Ed25519PrivateKey.generate())
    assert "key=" not in repr(signer)
    assert len(signer.key_id) == 16
    assert measured(repository).key_id != signer.key_id
    assert Path(settings.HANSE.public_dir / "records.pem").stat().st_mode & 0o077 == 0o044
    assert Path(settings.HANSE.secrets_dir("portal") / "records.pem").stat().st_mode & 0o077 == 0
    assert SYSTEM.person is None
    assert PatternRequest.objects.count() == 0
