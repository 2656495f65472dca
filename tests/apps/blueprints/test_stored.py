"""What is stored is what the pure functions give again: for 245 forks made at random, through every change of the head."""

import random
from collections import Counter

import pytest

from blueprints.forks.baseline import weakenings
from blueprints.forks.derivation import derive
from blueprints.forks.diff import compare
from blueprints.forks.families import only_parameters
from blueprints.forks.keyed import same
from blueprints.forks.operations import apply
from blueprints.forks.rebase import Unresolved, rebase
from blueprints.format.findings import pointer
from blueprints.models import Blueprint, Fork, Version
from blueprints.queries.library import version_of
from blueprints.services import forking
from blueprints.versions import digest_of
from kernel.errors import Conflict, Invalid
from tenants.principals import SYSTEM
from tests.actors import fresh, make_cast
from tests.apps.blueprints.estate import as_text, document_of, publish
from tests.unit.blueprints.samples import is_sound, names, parameter_fork, random_fork, sound_fork

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

FORKS_EACH = 30
CONFIGURATIONS_EACH = 5


@pytest.fixture(scope="module")
def made(module_rows):
    """Returns the cast; each shipped blueprint is published and has its forks and configurations."""
    cast = make_cast()
    for which, name in enumerate(names()):
        version = publish(cast.platform, document_of(cast.platform, name))
        for seed in range(FORKS_EACH):
            fork_at_random(cast, version, sound_fork, f"fork-{which}-{seed}", seed)
        for seed in range(CONFIGURATIONS_EACH):
            fork = fork_at_random(cast, version, parameter_fork, f"configuration-{which}-{seed}", seed)
            forking.configure_fork(actor=cast.lead, fork=fork)
    return cast


@pytest.fixture
def cast(made, db):
    return fresh(made)


def fork_at_random(cast, version, way, name, seed):
    operations = derive(version.document, way(version.document, seed))
    given = [{**one, "reason": f"Reason {number} of {seed}."} for number, one in enumerate(operations)]
    return forking.fork_blueprint(actor=cast.member, version=version, team=cast.team, name=name, operations=given)


def stored():
    return Fork.objects.select_related("owner", "base", "blueprint__head").order_by("pk")


def untrue(fork):
    """Returns what of a stored fork is not what the pure functions give, by name."""
    base, head = fork.base.document, fork.blueprint.head.document
    # The number is that of the last change of the content; making a fork a configuration is none.
    number = fork.document["document"]["version"]
    own = {"namespace": "team.ledger", "name": fork.name, "title": fork.title, "owner": "ledger", "version": number}
    header = {**base["document"], **own}
    again = apply(base, fork.operations, header={"blueprint": 1, "document": header})
    difference = compare(base, head, fork.document)
    numbers = (difference.behind, difference.drift, len(difference.conflicts))
    held = {
        "document": same(again, fork.document),
        "digest": fork.digest == digest_of(again),
        "numbers": numbers == (fork.behind, fork.drift, fork.conflicts),
        "number": 0 < int(number.split(".")[1]) <= fork.version,
        "measured": fork.measured_id == fork.blueprint.head_id,
        "sound": is_sound(fork.document),
        "proof": not list(weakenings(base, fork.document)),
        "reasons": all(len(one["reason"]) >= 3 for one in fork.operations),
    }
    return [name for name, holds in held.items() if not holds]


def all_untrue():
    return {fork.name: wrong for fork in stored() if (wrong := untrue(fork))}


def publish_next(cast, semver, seed):
    """Publishes a next version of every blueprint, as different from its head as its forks are."""
    for blueprint in Blueprint.objects.select_related("head").order_by("pk"):
        document = sound_fork(blueprint.head.document, seed + blueprint.pk)
        document["document"]["version"] = semver
        publish(cast.platform, document)


def test_more_than_two_hundred_forks_are_stored_as_they_were_asked_for(cast):
    assert all_untrue() == {}
    assert stored().count() >= 200 + CONFIGURATIONS_EACH * len(names())
    assert all(
        same(fork.operations, derive(fork.base.document, fork.document, known=fork.operations)) for fork in stored()
    )
    drifts = Counter(fork.drift for fork in stored())
    assert len(drifts) >= 5, drifts


def test_versions_are_stored_as_they_were_written(cast):
    for version in Version.objects.all():
        assert version.digest == digest_of(version.document) == version.lock["digest"]
        assert version.lock["ref"] == version.ref


def test_every_number_is_true_after_each_of_two_new_heads(cast):
    publish_next(cast, "1.1.0", 5_000)
    assert all_untrue() == {}
    publish_next(cast, "1.2.0", 6_000)
    assert all_untrue() == {}
    moved = Counter((fork.mode, fork.behind > 0, fork.conflicts > 0) for fork in stored())
    assert moved["overlay", True, True] > 20, moved
    assert moved["overlay", True, False] > 20, moved
    assert Fork.objects.filter(mode="overlay", base__semver="1.0.0").count() == FORKS_EACH * len(names())


def test_a_configuration_is_on_the_head_unless_it_clashes_or_would_not_be_sound(cast):
    before = {fork.pk: (fork.base.document, fork.document, fork.operations) for fork in stored()}
    publish_next(cast, "1.1.0", 5_000)
    seen = Counter()
    for fork in stored().filter(mode=Fork.Mode.CONFIGURATION):
        head = fork.blueprint.head
        wanted = moved_purely(*before[fork.pk], head.document)
        assert (fork.base == head) == (wanted is not None), fork.name
        if wanted is not None:
            assert (fork.behind, fork.document["document"]["version"]) == (0, f"0.{fork.version}.0")
            assert same(fork.operations, wanted.operations)
            # Upstream may have come to say the same, and then nothing is left of it.
            assert not fork.operations or only_parameters(fork.operations)
            assert fork.history.latest().history_change_reason == f"followed {head.ref}"
        seen[wanted is not None] += 1
    assert seen[True] >= 10, seen
    assert seen[False] >= 3, seen


def moved_purely(base, document, operations, head):
    try:
        made = rebase(base, head, document, choices={}, known=operations)
    except Unresolved:
        return None
    return made if is_sound(made.document) else None


def tried(act, **given):
    """Returns what a service gives, or what it refuses with."""
    try:
        return act(**given), None
    except Invalid as refused:
        return None, refused


def test_a_rebase_stores_what_the_pure_rebase_gives_or_refuses_what_it_cannot(cast):
    publish_next(cast, "1.1.0", 5_000)
    seen = Counter()
    for fork in stored().filter(mode=Fork.Mode.OVERLAY)[::2]:
        head = version_of(SYSTEM, fork.blueprint, "1.1.0")
        conflicts = compare(fork.base.document, head.document, fork.document).conflicts
        chance = random.Random(fork.pk)
        choices = {pointer(change.path): chance.choice(["fork", "head"]) for change in conflicts}
        wanted = rebase(fork.base.document, head.document, fork.document, choices=choices, known=fork.operations)
        moved, refused = tried(forking.rebase_fork, actor=cast.member, fork=fork, onto=head, choices=choices)
        if refused is not None:
            assert not is_sound(wanted.document) or list(weakenings(head.document, wanted.document))
            seen[refused.error_code] += 1
            continue
        assert same(moved.operations, wanted.operations)
        assert (moved.base, moved.behind, moved.conflicts) == (head, 0, 0)
        assert moved.document["document"]["version"] == f"0.{moved.version}.0"
        seen["moved"] += 1
    assert all_untrue() == {}
    assert seen["moved"] >= 50, seen
    assert seen.keys() <= {"moved", "unsound"}


def test_a_rebase_without_all_choices_names_those_that_wait_and_changes_nothing(cast):
    publish_next(cast, "1.1.0", 5_000)
    fork = stored().filter(mode=Fork.Mode.OVERLAY, conflicts__gte=2).first()
    head = version_of(SYSTEM, fork.blueprint, "1.1.0")
    conflicts = [pointer(one.path) for one in compare(fork.base.document, head.document, fork.document).conflicts]
    with pytest.raises(Conflict) as waiting:
        forking.rebase_fork(actor=cast.member, fork=fork, onto=head, choices={conflicts[0]: "fork", "/goal/x": "head"})
    assert [one["path"] for one in waiting.value.facts["conflicts"]] == conflicts[1:]
    assert waiting.value.facts["unknown"] == ["/goal/x"]
    assert Fork.objects.get(pk=fork.pk).digest == fork.digest


def test_a_fork_edited_as_a_text_is_the_document_of_that_text(cast):
    for seed, fork in enumerate(stored().filter(mode=Fork.Mode.OVERLAY)[:10]):
        wanted = sound_fork(fork.document, 9_000 + seed, tries=4)
        if list(weakenings(fork.base.document, wanted)):
            continue
        before = {one["reason"] for one in fork.operations}
        changed = forking.edit_fork(actor=cast.lead, fork=fork, text=as_text(wanted), reason="Edited as a whole.")
        assert same({**changed.document, "document": 0}, {**wanted, "document": 0})
        assert {one["reason"] for one in changed.operations} <= before | {"Edited as a whole."}
    assert all_untrue() == {}


def test_what_is_refused_is_refused_by_the_pure_functions_too(cast):
    """The other way round: 50 documents of the right shape that prove less or do not lint."""
    version = Version.objects.filter(blueprint__name="pci-change").get()
    seen = Counter()
    for seed in range(150):
        document = random_fork(version.document, seed, most=4)
        operations = [{**one, "reason": "At random."} for one in derive(version.document, document)]
        facts = {"actor": cast.lead, "version": version, "team": cast.team, "name": f"r-{seed}"}
        _, refused = tried(forking.fork_blueprint, **facts, operations=operations)
        wrong = not is_sound(document) or bool(list(weakenings(version.document, document)))
        assert (refused is not None and refused.error_code == "unsound") == wrong, seed
        seen[wrong] += 1
    assert seen[True] >= 50, seen
    assert seen[False] >= 20, seen
    assert all_untrue() == {}
