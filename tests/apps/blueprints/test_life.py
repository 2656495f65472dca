"""The life of a blueprint and its forks, through the services alone: what the issue calls the main job."""

import pytest
from django.db import connection, transaction
from django.db.utils import IntegrityError

from blueprints.models import Blueprint, Fork, Version
from blueprints.queries import forks, library
from blueprints.services import forking, publishing, requests
from kernel.errors import Conflict, Forbidden, Invalid, PreconditionFailed
from tests.actors import fresh, make_cast
from tests.apps.blueprints.estate import as_text, document_of, make_fork, next_of, node, prompt, publish, set_turns

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made(module_rows):
    cast = make_cast()
    return cast, publish(cast.platform, document_of(cast.platform))


@pytest.fixture
def cast(made, db):
    return fresh(made[0])


@pytest.fixture
def version(made, cast):
    return Version.objects.get(pk=made[1].pk)


def refreshed(fork):
    return Fork.objects.get(pk=fork.pk)


def two_changes(cast, version):
    return make_fork(cast, version, set_turns("implement", 40), prompt("plan", "Plan it our way."))


def test_a_fork_drifts_falls_behind_is_rebased_and_goes_up(cast, version):
    fork = two_changes(cast, version)
    assert (fork.drift, fork.behind, fork.conflicts) == (2, 0, 0)

    def raise_turns(document):
        node(document, "implement")["max_turns"] = 45

    head = publish(cast.platform, next_of(version.blueprint, "1.1.0", raise_turns))
    fork = refreshed(fork)
    assert (fork.drift, fork.behind, fork.conflicts) == (2, 1, 1)

    with pytest.raises(Conflict) as waiting:
        forking.rebase_fork(actor=cast.lead, fork=fork, onto=head, choices={})
    assert [one["path"] for one in waiting.value.facts["conflicts"]] == ["/nodes/implement/max_turns"]
    fork = forking.rebase_fork(actor=cast.lead, fork=fork, onto=head, choices={"/nodes/implement/max_turns": "fork"})
    assert (fork.base, fork.drift, fork.behind, fork.conflicts) == (head, 2, 0, 0)
    assert [one["reason"] for one in fork.operations] == ["Ours is larger.", "Our conventions differ."]

    request = requests.open_request(
        actor=cast.lead, fork=fork, targets=["/nodes/plan/prompt"], title="A better plan", note="It found more."
    )
    request = requests.accept_request(actor=cast.admin, request=request)
    assert request.result.semver == "1.2.0"
    assert request.result.proposed_by == cast.lead.person
    fork = refreshed(fork)
    assert (fork.drift, fork.behind, fork.conflicts) == (1, 0, 0)


def test_nobody_publishes_or_accepts_their_own(cast, version):
    document = next_of(version.blueprint, "1.1.0", lambda it: it["goal"].update(statement="Another."))
    proposed = publishing.propose_version(actor=cast.admin, owner=cast.platform, text=as_text(document), note="Words.")
    with pytest.raises(Forbidden, match="proposed themselves"):
        publishing.publish_version(actor=cast.admin, version=proposed)
    assert Blueprint.objects.get().head == version


def test_a_version_never_changes_and_is_never_removed(version):
    for change in ({"text": "other"}, {"digest": "sha256:0"}, {"semver": "9.0.0"}, {"status": "rejected"}):
        with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
            Version.objects.filter(pk=version.pk).update(**change)
    removing = pytest.raises(IntegrityError, match="never removed")
    with removing, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM blueprints_version WHERE id = %s", [version.pk])


def test_two_who_rebase_at_once_do_not_overwrite_each_other(cast, version):
    fork = two_changes(cast, version)
    read = fork.version
    forking.change_fork(actor=cast.member, fork=fork, operations=[set_turns("implement", 35)], expected_version=read)
    with pytest.raises(PreconditionFailed):
        forking.rebase_fork(actor=cast.lead, fork=fork, onto=version, choices={}, expected_version=read)
    assert refreshed(fork).operations == [set_turns("implement", 35)]


def test_a_deprecated_blueprint_takes_no_new_fork_and_names_its_successor(cast, version):
    other = publish(cast.platform, document_of(cast.platform, "implement-ticket-greenfield"))
    publishing.deprecate_blueprint(
        actor=cast.admin, blueprint=version.blueprint, reason="Replaced.", successor=other.blueprint
    )
    version.refresh_from_db()
    with pytest.raises(Conflict) as refused:
        make_fork(cast, version)
    assert refused.value.facts["successor"] == "platform/implement-ticket-greenfield"


def test_a_configuration_follows_the_head_by_itself_until_it_clashes(cast, version):
    fork = make_fork(cast, version, set_turns("implement", 40))
    fork = forking.configure_fork(actor=cast.lead, fork=fork)
    publish(cast.platform, next_of(version.blueprint, "1.1.0", lambda it: node(it, "plan").update(minutes=25)))
    fork = refreshed(fork)
    assert (fork.base.semver, fork.behind, fork.drift) == ("1.1.0", 0, 1)
    head = Blueprint.objects.get(pk=version.blueprint_id)
    publish(cast.platform, next_of(head, "1.2.0", lambda it: node(it, "implement").update(max_turns=30)))
    fork = refreshed(fork)
    assert (fork.base.semver, fork.behind, fork.conflicts) == ("1.1.0", 1, 1)


def test_more_than_parameters_cannot_be_a_configuration(cast, version):
    with pytest.raises(Conflict, match="more than parameters"):
        forking.configure_fork(actor=cast.lead, fork=two_changes(cast, version))


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "set_field", "path": "/goal/checks", "value": ["tests", "lint"]}, "GOAL_WEAKENED"),
        ({"op": "remove_node", "key": "verify_again"}, "VALIDATION_REMOVED"),
        ({"op": "remove_precondition", "key": "readiness.level"}, "PRECONDITION_WEAKENED"),
        ({"op": "set_field", "path": "/nodes/verify/checks", "value": ["tests", "lint"]}, "VALIDATION_WEAKENED"),
    ],
)
def test_a_fork_cannot_prove_less_than_its_base(cast, version, operation, code):
    with pytest.raises(Invalid) as refused:
        make_fork(cast, version, {**operation, "reason": "It is faster."})
    found = {finding["code"] for finding in refused.value.facts["findings"]}
    assert code in found or found & {"GOAL_UNPROVEN", "UNSENSED_WRITE", "CHECK_UNUSED"}
    assert not Fork.objects.exists()


def test_operations_that_name_what_is_not_there_are_refused_with_their_place(cast, version):
    with pytest.raises(Invalid) as refused:
        make_fork(
            cast, version, set_turns("nowhere", 3), {"op": "remove_node", "key": "nor_here", "reason": "Odd one."}
        )
    assert [one["path"] for one in refused.value.facts["findings"]] == ["/operations/0", "/operations/1"]


def test_what_is_proposed_must_be_above_the_head_sound_and_ones_own(cast, version):
    same = document_of(cast.platform)
    with pytest.raises(Conflict, match="not above"):
        publishing.propose_version(actor=cast.admin, owner=cast.platform, text=as_text(same), note="Again.")
    foreign = document_of(cast.domain, version="1.0.0")
    with pytest.raises(Invalid, match="another owner"):
        publishing.propose_version(actor=cast.admin, owner=cast.platform, text=as_text(foreign), note="Odd.")
    with pytest.raises(Invalid) as unsound:
        publishing.propose_version(actor=cast.admin, owner=cast.platform, text="blueprint: 1\n", note="Odd.")
    assert unsound.value.error_code == "unsound"


def test_a_team_sees_what_platform_and_its_domains_publish_and_no_siblings(cast, version):
    publish(cast.domain, document_of(cast.domain, "code-review"))
    publish(cast.other_domain, document_of(cast.other_domain, "code-review"))
    seen = {row.ref for row in library.library_of(cast.lead, cast.team)}
    assert seen == {"platform/implement-ticket-brownfield", "domain.payments/code-review"}
    make_fork(cast, version)
    assert forks.forks(cast.outsider).count() == 0
    assert forks.forks(cast.steward).count() == 1


def test_a_fork_of_what_is_out_of_reach_is_refused(cast):
    foreign = publish(cast.other_domain, document_of(cast.other_domain, "code-review"))
    with pytest.raises(Invalid, match="cannot fork"):
        make_fork(cast, foreign)


def test_a_full_copy_that_kept_little_is_flagged_as_detached(cast, version):
    other = document_of(cast.team, "documentation-gardening")
    with pytest.raises(Invalid):  # it proves less than its base
        forking.import_copy(
            actor=cast.lead, version=version, team=cast.team, name="own", text=as_text(other), reason="Ours."
        )


def test_a_fork_asks_for_a_change_once_while_that_is_open(cast, version):
    fork = make_fork(cast, version, set_turns("implement", 40), prompt("plan", "Our way."))
    ask = {"actor": cast.lead, "fork": fork, "title": "A better plan"}
    first = requests.open_request(**ask, targets=["/nodes/plan/prompt"])
    for targets in (["/nodes/plan/prompt"], ["/nodes/implement/max_turns", "/nodes/plan/prompt"]):
        with pytest.raises(Conflict, match="A better plan") as refused:
            requests.open_request(**ask | {"actor": cast.member}, targets=targets)
        assert refused.value.facts == {"request": str(first.uid), "targets": ["/nodes/plan/prompt"]}
    other = requests.open_request(**ask, targets=["/nodes/implement/max_turns"])
    requests.withdraw_request(actor=cast.lead, request=first)
    again = requests.open_request(**ask, targets=["/nodes/plan/prompt"])
    requests.decline_request(actor=cast.admin, request=again, reason="Not yet.")
    requests.open_request(**ask, targets=["/nodes/plan/prompt"])
    with pytest.raises(Conflict) as refused:
        requests.open_request(**ask, targets=["/nodes/implement/max_turns"])
    assert refused.value.facts["request"] == str(other.uid)
