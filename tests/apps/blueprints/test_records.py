"""Every act leaves a record with person and object in the log of its tenant, and a row of history where there is one."""

import json

import pytest

from audit.models import Event, Payload
from blueprints import verbs
from blueprints.models import Blueprint, Fork
from blueprints.queries.forks import fork_history
from blueprints.queries.library import blueprint_history
from blueprints.services import forking, publishing, requests
from kernel.errors import DomainError
from tenants.principals import SYSTEM
from tests.actors import fresh, make_cast
from tests.apps.blueprints.estate import as_text, document_of, make_fork, next_of, node, prompt, publish, set_turns

pytestmark = pytest.mark.django_db

REF = "platform/implement-ticket-brownfield"
FORK = "team.ledger/our-ticket"


@pytest.fixture(scope="module")
def made(module_rows):
    cast = make_cast()
    return cast, publish(cast.platform, document_of(cast.platform))


class Estate:
    """The cast, a published blueprint, and a fork of it with two changes by the lead."""

    def __init__(self, cast, version):
        self.cast, self.version = cast, version
        self.blueprint = Blueprint.objects.get(pk=version.blueprint_id)
        self.fork = make_fork(cast, self.blueprint.head, set_turns("implement", 40), prompt("plan", "Our way."))

    def proposed(self, by=None):
        document = next_of(self.blueprint, "1.1.0", lambda it: it["goal"].update(statement="Another."))
        return publishing.propose_version(
            actor=by or self.cast.admin, owner=self.cast.platform, text=as_text(document), note="Words."
        )

    def asked(self):
        return requests.open_request(actor=self.cast.lead, fork=self.fork, targets=["/nodes/plan/prompt"], title="T")

    def deprecated(self):
        return publishing.deprecate_blueprint(actor=self.cast.admin, blueprint=self.blueprint, reason="Old.")


@pytest.fixture
def estate(made, db):
    return Estate(*fresh(made))


def follow(it):
    forking.change_fork(actor=it.cast.lead, fork=it.fork, operations=[set_turns("implement", 40)])
    forking.configure_fork(actor=it.cast.lead, fork=it.fork)
    publish(it.cast.platform, next_of(it.blueprint, "1.1.0", lambda doc: node(doc, "plan").update(minutes=25)))


# What is done, by whom, and the record of it: verb, tenant, object, and what it says.
ACTS = {
    verbs.VERSION_PROPOSED: (lambda it: it.proposed(), "admin", "platform", f"{REF}@1.1.0", {"note": "Words."}),
    verbs.VERSION_PUBLISHED: (
        lambda it: publishing.publish_version(actor=it.cast.admin, version=it.proposed(SYSTEM), reason="Good."),
        "admin", "platform", f"{REF}@1.1.0", {"reason": "Good."}),
    verbs.VERSION_REJECTED: (
        lambda it: publishing.reject_version(actor=it.cast.admin, version=it.proposed(), reason="Not yet."),
        "admin", "platform", f"{REF}@1.1.0", {"reason": "Not yet."}),
    verbs.VERSION_WITHDRAWN: (
        lambda it: publishing.withdraw_version(actor=it.cast.admin, version=it.proposed()),
        "admin", "platform", f"{REF}@1.1.0", {}),
    verbs.BLUEPRINT_DEPRECATED: (lambda it: it.deprecated(), "admin", "platform", REF, {"reason": "Old."}),
    verbs.BLUEPRINT_RESTORED: (
        lambda it: publishing.restore_blueprint(actor=it.cast.admin, blueprint=it.deprecated()),
        "admin", "platform", REF, {}),
    verbs.FORKED: (
        lambda it: make_fork(it.cast, it.blueprint.head, name="second"),
        "lead", "ledger", "team.ledger/second", {"base": f"{REF}@1.0.0", "mode": "overlay"}),
    verbs.FORK_CHANGED: (
        lambda it: forking.change_fork(actor=it.cast.member, fork=it.fork, operations=[set_turns("implement", 35)]),
        "member", "ledger", FORK, {"drift": 1, "behind": 0}),
    verbs.FORK_REBASED: (
        lambda it: forking.rebase_fork(actor=it.cast.member, fork=it.fork, onto=it.blueprint.head, choices={}),
        "member", "ledger", FORK, {"origin": f"{REF}@1.0.0", "base": f"{REF}@1.0.0"}),
    verbs.FORK_FOLLOWED: (follow, None, "ledger", FORK, {"to": "1.1.0"}),
    verbs.FORK_CONFIGURED: (
        lambda it: (
            forking.change_fork(actor=it.cast.lead, fork=it.fork, operations=[set_turns("implement", 35)]),
            forking.configure_fork(actor=it.cast.lead, fork=it.fork)),
        "lead", "ledger", FORK, {"drift": 1}),
    verbs.FORK_RETIRED: (
        lambda it: forking.retire_fork(actor=it.cast.lead, fork=it.fork, reason="Not needed."),
        "lead", "ledger", FORK, {"reason": "Not needed."}),
    verbs.REQUEST_OPENED: (lambda it: it.asked(), "lead", "ledger", FORK, {"to": REF}),
    verbs.REQUEST_ACCEPTED: (
        lambda it: requests.accept_request(actor=it.cast.admin, request=it.asked()), "admin", "platform", REF, {}),
    verbs.REQUEST_DECLINED: (
        lambda it: requests.decline_request(actor=it.cast.admin, request=it.asked(), reason="Too special."),
        "admin", "platform", REF, {"reason": "Too special."}),
    verbs.REQUEST_WITHDRAWN: (
        lambda it: requests.withdraw_request(actor=it.cast.lead, request=it.asked()), "lead", "platform", REF, {}),
}  # fmt: skip


@pytest.mark.parametrize("verb", ACTS)
def test_an_act_leaves_a_record_with_person_and_object(estate, verb):
    act, who, where, what, facts = ACTS[verb]
    cast = estate.cast
    before = set(Event.objects.values_list("pk", flat=True))
    act(estate)
    left = Event.objects.exclude(pk__in=before).filter(verb=verb, object=what)
    person = getattr(cast, who).person.uid if who else None
    scope = {"platform": cast.platform, "ledger": cast.team}[where].pk
    (event,) = [one for one in left if one.scope == scope]
    assert event.person == person
    said = json.loads(Payload.objects.get(event=event.uid).body)
    assert said.items() >= facts.items()


def test_a_request_is_recorded_by_both_sides(estate):
    request = estate.asked()
    found = Event.objects.filter(verb=verbs.REQUEST_OPENED).order_by("pk").values_list("scope", "object")
    assert list(found) == [(estate.cast.team.pk, FORK), (estate.cast.platform.pk, REF)]
    for uid in Event.objects.filter(verb=verbs.REQUEST_OPENED).values_list("uid", flat=True):
        assert json.loads(Payload.objects.get(event=uid).body)["request"] == str(request.uid)


def test_accepting_is_recorded_with_the_version_that_it_publishes(estate):
    requests.accept_request(actor=estate.cast.admin, request=estate.asked(), reason="Yes.")
    (event,) = Event.objects.filter(verb=verbs.VERSION_PUBLISHED, object=f"{REF}@1.1.0")
    assert event.person == estate.cast.admin.person.uid


def test_what_is_refused_leaves_no_record(estate):
    cast, before = estate.cast, Event.objects.count()
    acts = [
        lambda: publishing.deprecate_blueprint(actor=cast.lead, blueprint=estate.blueprint, reason="Mine?"),
        lambda: forking.change_fork(actor=cast.reviewer, fork=estate.fork, operations=[]),
        lambda: forking.change_fork(actor=cast.lead, fork=estate.fork, operations=[set_turns("nowhere", 1)]),
        lambda: forking.retire_fork(actor=cast.lead, fork=estate.fork, reason=" "),
        lambda: forking.configure_fork(actor=cast.lead, fork=estate.fork),
        lambda: publishing.propose_version(actor=cast.admin, owner=cast.platform, text="x: 1", note="Words."),
        lambda: requests.open_request(actor=cast.lead, fork=estate.fork, targets=["/nodes/nowhere"], title="T"),
    ]
    for act in acts:
        with pytest.raises(DomainError):
            act()
    assert Event.objects.count() == before


def test_the_history_of_a_fork_says_who_did_what_and_why(estate):
    cast, fork = estate.cast, estate.fork
    fork = forking.change_fork(actor=cast.member, fork=fork, operations=[set_turns("implement", 35)])
    forking.configure_fork(actor=cast.lead, fork=fork)
    head = publish(cast.platform, next_of(estate.blueprint, "1.1.0", lambda it: node(it, "plan").update(minutes=25)))
    forking.retire_fork(actor=cast.lead, fork=Fork.objects.get(pk=fork.pk), reason="Not needed.")
    rows = [
        (row.history_user, row.history_change_reason, row.version, row.base.semver, row.mode, len(row.operations))
        for row in fork_history(fork)
    ]
    lead, member = cast.lead.person, cast.member.person
    assert rows == [
        (lead, "Not needed.", 5, "1.1.0", "configuration", 1),
        (None, f"followed {head.ref}", 4, "1.1.0", "configuration", 1),
        (lead, "made a configuration", 3, "1.0.0", "configuration", 1),
        (member, "changed", 2, "1.0.0", "overlay", 1),
        (lead, f"forked {REF}@1.0.0", 1, "1.0.0", "overlay", 2),
    ]


def test_the_numbers_of_a_fork_are_no_history(estate):
    before = fork_history(estate.fork).count()
    publish(estate.cast.platform, next_of(estate.blueprint, "1.1.0", lambda it: node(it, "plan").update(minutes=25)))
    assert Fork.objects.get(pk=estate.fork.pk).behind == 1
    assert fork_history(estate.fork).count() == before


def test_the_history_of_a_blueprint_says_who_published_and_deprecated(estate):
    publishing.publish_version(actor=estate.cast.admin, version=estate.proposed(SYSTEM))
    estate.deprecated()
    rows = [(row.history_user, row.history_change_reason, row.status) for row in blueprint_history(estate.blueprint)]
    admin = estate.cast.admin.person
    assert rows == [
        (admin, "Old.", "deprecated"),
        (admin, "published 1.1.0", "active"),
        (None, "published 1.0.0", "active"),
        (None, "first proposed", "draft"),
    ]
