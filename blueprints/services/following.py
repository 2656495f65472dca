"""What a new head means for the forks of a blueprint: their numbers, and where a configuration goes."""

from collections.abc import Iterator
from typing import Final

from django.db.models import Prefetch
from simple_history.utils import bulk_update_with_history

from blueprints import verbs
from blueprints.forks.diff import Difference, compare_keyed
from blueprints.forks.keyed import Keyed, keyed
from blueprints.forks.rebase import Rebased, Unresolved, rebase
from blueprints.linting import lint
from blueprints.models import Blueprint, Fork, Version
from blueprints.services.keeping import header_of_fork, log_act
from blueprints.versions import digest_of
from kernel import clock
from tenants.principals import SYSTEM
from tenants.scope import ALL, tenant_scope

_BATCH: Final = 200
_MOVED: Final = ("base", "operations", "document", "digest", "changed_at", "version")


def measure(fork: Fork, head: Version, known: dict[int, Keyed] | None = None) -> Difference:
    """Sets the numbers of a fork against a head, from the three contents alone, and returns the difference.

    `known` keeps versions by keys from one fork to the next; their contents never change.
    """
    versions = {} if known is None else known
    for version in (fork.base, head):
        if version.pk not in versions:
            versions[version.pk] = keyed(version.document)
    difference = compare_keyed(versions[fork.base.pk], versions[head.pk], keyed(fork.document))
    fork.measured = head
    fork.behind, fork.drift = difference.behind, difference.drift
    fork.conflicts = len(difference.conflicts)
    return difference


def follow_head(blueprint: Blueprint) -> int:
    """Measures every active fork against the head, those of teams that the actor does not see, too; returns how many.

    Nobody reads a row by this: it is the installation that keeps numbers true. Configurations move to the head by
    themselves where that is sound.
    """
    head = blueprint.head
    assert head is not None  # noqa: S101 - a head has just been set
    known: dict[int, Keyed] = {}
    count = 0
    with tenant_scope(ALL):
        for batch in _batches(blueprint):
            for fork in batch:
                measure(fork, head, known)
            moved = [fork for fork in batch if _move_configuration(fork, head)]
            _write_numbers(batch, head)
            bulk_update_with_history(moved, Fork, _MOVED, default_change_reason=f"followed {head.ref}"[:100])
            count += len(batch)
    return count


def _batches(blueprint: Blueprint) -> Iterator[list[Fork]]:
    # Each base and each owner once for a batch, instead of once for each of its forks.
    bases = Prefetch("base", queryset=Version.objects.defer("text", "lock"))
    rows = Fork.objects.filter(blueprint=blueprint, status=Fork.Status.ACTIVE).prefetch_related(bases, "owner")
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk").select_for_update(of=("self",))[:_BATCH]):
        yield batch
        last = batch[-1].pk


def _write_numbers(forks: list[Fork], head: Version) -> None:
    """One statement for all forks of equal numbers: they are few, however many forks there are."""
    alike: dict[tuple[int, int, int], list[int]] = {}
    for fork in forks:
        alike.setdefault((fork.behind, fork.drift, fork.conflicts), []).append(fork.pk)
    for (behind, drift, conflicts), numbers in alike.items():
        rows = Fork.objects.filter(pk__in=numbers)
        rows.update(measured=head, behind=behind, drift=drift, conflicts=conflicts)


def _move_configuration(fork: Fork, head: Version) -> bool:
    """Tells whether a configuration could be moved to the head. When not it stays behind, and its page says why."""
    if fork.mode != Fork.Mode.CONFIGURATION or not fork.behind:
        return False
    made = _rebased(fork, head)
    if made is None:
        return False
    fork.base, fork.version, fork.changed_at = head, fork.version + 1, clock.now()
    header = header_of_fork(fork, head.document)
    fork.operations, fork.document = made.operations, {**made.document, "document": header}
    fork.digest = digest_of(fork.document)
    measure(fork, head)
    log_act(fork.owner_id, SYSTEM, verbs.FORK_FOLLOWED, fork.ref, to=head.semver)
    return True


def _rebased(fork: Fork, head: Version) -> Rebased | None:
    try:
        made = rebase(fork.base.document, head.document, fork.document, choices={}, known=fork.operations)
    except Unresolved:
        return None
    return None if any(finding.severity == "error" for finding in lint(made.document)) else made
