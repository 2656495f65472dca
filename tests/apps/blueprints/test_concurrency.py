"""Two at once, each on a connection of its own: nobody waits for ever, and every number is true afterwards.

`overlap` makes the overlap certain: the first has done everything and not committed when the second runs into its lock.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from django.db import OperationalError, connection, transaction

from blueprints.forks.diff import compare
from blueprints.models import Blueprint, ChangeRequest, Fork, PatternRequest, Version
from blueprints.queries.library import version_of
from blueprints.services import forking, patterns, publishing, repositories, requests
from kernel.errors import Conflict, DomainError, PreconditionFailed
from portal.sources import repository_sources
from tenants.principals import SYSTEM, principal_of
from tenants.rules import Role
from tenants.services import give_role
from tests.actors import make_cast, make_person
from tests.apps.blueprints.estate import as_text, document_of, make_fork, next_of, node, prompt, publish, set_turns
from tests.apps.blueprints.workshop import offered, register
from tests.apps.classification.repositories import PYTHON, make_repository

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PATIENCE = 60


class World:
    """A published blueprint with head 1.1.0 and forks of 1.0.0, and 1.2.0 proposed. Everything is committed."""

    def __init__(self):
        self.cast = make_cast()
        first = publish(self.cast.platform, document_of(self.cast.platform))
        self.forks = [self.fork(first, number) for number in range(6)]
        self.old = publish(self.cast.platform, self.next("1.1.0", minutes=25))
        self.proposed = self.propose("1.2.0", minutes=30)

    def fork(self, version, number):
        changes = [set_turns("implement", 30 + number), prompt("plan", "Our way.")]
        return make_fork(self.cast, version, *changes[: 1 + number % 2], name=f"fork-{number}")

    @property
    def blueprint(self):
        return Blueprint.objects.select_related("head").get()

    def next(self, semver, minutes):
        return next_of(self.blueprint, semver, lambda it: node(it, "plan").update(minutes=minutes))

    def propose(self, semver, minutes):
        text = as_text(self.next(semver, minutes))
        return publishing.propose_version(actor=SYSTEM, owner=self.cast.platform, text=text, note="Words.")

    def publish(self):
        return publishing.publish_version(actor=self.cast.admin, version=self.proposed)

    def rebase(self, number=0, expected=None):
        fork = Fork.objects.get(name=f"fork-{number}")
        return forking.rebase_fork(
            actor=self.cast.lead, fork=fork, onto=self.old, choices={}, expected_version=expected
        )

    def untrue(self):
        """Returns the active forks whose numbers are not those of their contents against the present head."""
        wrong = {}
        for fork in Fork.objects.filter(status="active").select_related("base", "blueprint__head"):
            difference = compare(fork.base.document, fork.blueprint.head.document, fork.document)
            numbers = (difference.behind, difference.drift, len(difference.conflicts), fork.blueprint.head_id)
            if numbers != (fork.behind, fork.drift, fork.conflicts, fork.measured_id):
                wrong[fork.name] = numbers
        return wrong


@pytest.fixture
def world():
    return World()


def attempt(act):
    """Returns what an act gives on a connection of its own, or the refusal; what nobody foresaw is raised."""
    try:
        return act()
    except DomainError as refused:
        return refused
    finally:
        connection.close()


def overlap(first, second):
    """Returns what two acts give, of which the first commits when the second waits for one of its locks."""
    done, pids = threading.Event(), []

    def hold():
        try:
            with transaction.atomic():
                given = first()
                done.set()
                wait_for_waiter(pids)
            return given
        finally:
            done.set()

    def follow():
        assert done.wait(PATIENCE)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])
        return second()

    with ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(attempt, act) for act in (hold, follow)]
        given = [future.result(PATIENCE) for future in begun]
    assert not isinstance(given[0], DomainError), given[0]
    return given


def wait_for_waiter(pids):
    """Returns when the other session waits for this one; asked on this very connection, which holds the lock."""
    until = monotonic() + PATIENCE
    with connection.cursor() as cursor:
        while monotonic() < until:
            if pids:
                cursor.execute("SELECT pg_backend_pid() = ANY(pg_blocking_pids(%s))", [pids[0]])
                if cursor.fetchone()[0]:
                    return
    raise AssertionError("the second act did not wait for the first")


def test_a_fork_rebased_while_a_version_is_published_is_measured_by_the_publication(world):
    moved, published = overlap(world.rebase, world.publish)
    assert (moved.base.semver, published.status) == ("1.1.0", "published")
    fork = Fork.objects.get(name="fork-0")
    assert (fork.base, fork.behind, fork.measured) == (world.old, 1, published)
    assert world.untrue() == {}


def test_a_rebase_that_waited_for_a_publication_is_told_of_the_new_head(world):
    published, refused = overlap(world.publish, world.rebase)
    assert isinstance(refused, Conflict)
    assert refused.facts["head"] == published.ref
    assert Fork.objects.get(name="fork-0").base.semver == "1.0.0"
    assert world.untrue() == {}


def test_a_change_that_waited_for_a_publication_is_measured_against_the_new_head(world):
    fork = Fork.objects.get(name="fork-1")
    published, changed = overlap(
        world.publish,
        lambda: forking.change_fork(actor=world.cast.lead, fork=fork, operations=[set_turns("implement", 33)]),
    )
    assert (changed.measured, changed.behind, changed.drift) == (published, 1, 1)
    assert world.untrue() == {}


def test_a_new_fork_that_waited_for_a_publication_is_measured_against_the_new_head(world):
    published, made = overlap(world.publish, lambda: world.fork(world.old, 6))
    assert (made.base, made.measured, made.behind) == (world.old, published, 1)
    assert world.untrue() == {}


def test_of_two_who_rebase_one_fork_the_second_is_told(world):
    read = Fork.objects.get(name="fork-0").version
    moved, refused = overlap(lambda: world.rebase(expected=read), lambda: world.rebase(expected=read))
    assert moved.version == read + 1
    assert isinstance(refused, PreconditionFailed)
    assert refused.facts["current_version"] == read + 1


def test_of_two_proposals_of_one_number_one_is_taken(world):
    one, other = overlap(lambda: world.propose("1.3.0", 27), lambda: world.propose("1.3.0", 28))
    assert (one.semver, one.status) == ("1.3.0", "proposed")
    assert isinstance(other, Conflict)
    assert other.error_code == "version_taken"
    assert Version.objects.filter(semver="1.3.0").get() == one


def test_of_two_first_proposals_of_one_name_one_makes_the_blueprint(world):
    text = as_text(document_of(world.cast.team, "code-review"))

    def propose(actor):
        return publishing.propose_version(actor=actor, owner=world.cast.team, text=text, note="The first.")

    one, other = overlap(lambda: propose(world.cast.lead), lambda: propose(world.cast.member))
    assert one.proposed_by == world.cast.lead.person
    assert isinstance(other, Conflict)
    assert Version.objects.get(owner=world.cast.team) == one
    assert Blueprint.objects.filter(owner=world.cast.team).count() == 1


def test_of_two_publications_the_lower_number_is_too_late(world):
    higher = world.propose("1.3.0", 27)
    published, refused = overlap(
        lambda: publishing.publish_version(actor=world.cast.admin, version=higher), world.publish
    )
    assert isinstance(refused, Conflict)
    assert refused.error_code == "version_not_newer"
    assert world.blueprint.head == published
    assert Version.objects.get(semver="1.2.0").status == "proposed"
    assert world.untrue() == {}


def test_of_two_people_who_accept_one_request_one_does(world):
    asked = requests.open_request(
        actor=world.cast.lead, fork=world.forks[1], targets=["/nodes/plan/prompt"], title="A better plan"
    )
    person = make_person("second-admin")
    give_role(actor=SYSTEM, person=person, tenant=world.cast.platform, role=Role.PLATFORM_ADMIN)
    before = Version.objects.count()
    accepted, refused = overlap(
        lambda: requests.accept_request(actor=world.cast.admin, request=asked, part="patch"),
        lambda: requests.accept_request(actor=principal_of(person), request=asked, part="patch"),
    )
    assert isinstance(refused, Conflict)
    assert refused.facts["status"] == "accepted"
    assert Version.objects.count() == before + 1
    request = ChangeRequest.objects.get()
    assert (request.decided_by, request.result) == (world.cast.admin.person, accepted.result)
    assert world.blueprint.head == accepted.result
    assert world.untrue() == {}


def test_of_two_people_who_propose_the_same_change_one_does(world):
    def propose(actor):
        said = {"targets": ["/nodes/plan/prompt"], "title": f"A plan of {actor.person.handle}"}
        return requests.open_request(actor=actor, fork=Fork.objects.get(name="fork-1"), **said)

    opened, refused = overlap(lambda: propose(world.cast.lead), lambda: propose(world.cast.member))
    assert isinstance(refused, Conflict)
    assert refused.facts["request"] == str(opened.uid)
    assert ChangeRequest.objects.get().opened_by == world.cast.lead.person


def test_a_request_that_is_withdrawn_while_it_is_accepted_stays_accepted(world):
    asked = requests.open_request(
        actor=world.cast.lead, fork=world.forks[1], targets=["/nodes/plan/prompt"], title="A better plan"
    )
    accepted, refused = overlap(
        lambda: requests.accept_request(actor=world.cast.admin, request=asked, part="patch"),
        lambda: requests.withdraw_request(actor=world.cast.lead, request=asked),
    )
    assert isinstance(refused, Conflict)
    assert ChangeRequest.objects.get().result == accepted.result


def test_a_fork_that_moves_to_a_successor_while_that_is_published_is_measured_against_its_new_head(world):
    follower = publish(world.cast.platform, document_of(world.cast.platform, "code-review"))
    old = Blueprint.objects.get(name="implement-ticket-brownfield")
    publishing.deprecate_blueprint(
        actor=world.cast.admin, blueprint=old, reason="Replaced.", successor=follower.blueprint
    )
    later = next_of(follower.blueprint, "1.1.0", lambda it: it["goal"].update(statement="Another."))
    proposed = publishing.propose_version(
        actor=SYSTEM, owner=world.cast.platform, text=as_text(later), note="Another goal."
    )
    fork = forking.change_fork(actor=world.cast.lead, fork=world.forks[0], operations=[])
    published, moved = overlap(
        lambda: publishing.publish_version(actor=world.cast.admin, version=proposed),
        lambda: forking.rebase_fork(actor=world.cast.lead, fork=fork, onto=follower, choices={}),
    )
    assert (moved.base, moved.measured, moved.behind) == (follower, published, 1)
    assert world.untrue() == {}


def test_many_at_once_end_without_a_deadlock_and_with_true_numbers(world):
    barrier = threading.Barrier(7)
    acts = [
        world.publish,
        lambda: world.rebase(0),
        lambda: world.rebase(1),
        lambda: world.rebase(2),
        lambda: world.fork(world.old, 7),
        lambda: forking.retire_fork(actor=world.cast.lead, fork=world.forks[3], reason="Not needed."),
        lambda: forking.change_fork(actor=world.cast.lead, fork=world.forks[4], operations=[]),
    ]

    def start(act):
        def begin():
            barrier.wait(PATIENCE)
            return act()

        return attempt(begin)

    with ThreadPoolExecutor(len(acts)) as pool:
        given = [future.result(PATIENCE) for future in [pool.submit(start, act) for act in acts]]
    assert [one for one in given if isinstance(one, OperationalError)] == []
    assert world.blueprint.head == given[0]
    # A rebase came before the publication, or was told of the new head; nothing else was refused.
    assert {type(one) for one in given[1:4]} <= {Fork, Conflict}
    assert {type(one) for one in given[4:]} == {Fork}
    assert world.untrue() == {}
    head = version_of(SYSTEM, world.blueprint, "1.2.0")
    assert set(Fork.objects.filter(status="active").values_list("measured", flat=True)) == {head.pk}


def test_a_request_declined_while_its_repository_moves_keeps_the_decision(tmp_path):
    cast, places = make_cast(), [make_repository(tmp_path / name, PYTHON) for name in ("calc", "elsewhere")]
    with offered(tmp_path):
        repository = register(cast.member, cast.team, places[0])
        asked = PatternRequest.objects.create(
            owner=cast.team, repository=repository, reason="It is ready.", asked_by=cast.member.person
        )
        declined, moved = overlap(
            lambda: patterns.decline_pattern(actor=cast.lead, request=asked, reason="Not before the audit."),
            lambda: repositories.change_repository(
                actor=cast.lead, repository=repository, sources=repository_sources(), url=places[1].as_uri()
            ),
        )
    kept = PatternRequest.objects.get(pk=asked.pk)
    assert moved.url == places[1].as_uri()
    assert (kept.decision_reason, kept.version) == ("Not before the audit.", declined.version)
