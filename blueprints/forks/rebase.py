"""A fork on a new head: what does not clash moves over by itself, each clash is named and waits for a person's choice."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from blueprints.forks.derivation import derive
from blueprints.forks.diff import ORDER, Change, compare
from blueprints.forks.keyed import KEYS, Keyed, Path, header_of, keyed, listed, value_at
from blueprints.format.findings import pointer
from blueprints.format.shapes import ABSENT

Choice = Literal["fork", "head"]


@dataclass(frozen=True, slots=True)
class Rebased:
    """The fork on its new head, and the operations that make it of the head."""

    document: dict[str, Any]
    operations: list[dict[str, Any]]


class Unresolved(Exception):
    """Some clashes have no choice yet, or a choice names no clash; nothing was made."""

    def __init__(self, conflicts: list[Change], unknown: list[str]) -> None:
        super().__init__(f"{len(conflicts)} conflicts wait for a choice, {len(unknown)} choices name no conflict")
        self.conflicts = conflicts
        self.unknown = unknown


def rebase(
    base: Mapping[str, Any],
    head: Mapping[str, Any],
    fork: Mapping[str, Any],
    *,
    choices: Mapping[str, Choice],
    known: Iterable[Mapping[str, Any]] = (),
) -> Rebased:
    """Returns the fork on `head`. `choices` says for each conflict, by its JSON pointer, whose side holds.

    Raises `Unresolved`. What the fork has done alone is kept, what upstream has done alone is taken; the header stays
    the fork's, and reasons are taken over from `known`, the old operations.
    """
    difference = compare(base, head, fork)
    clashes = {pointer(change.path): change for change in difference.conflicts}
    unknown = sorted(choices.keys() - clashes.keys())
    waiting = [change for place, change in clashes.items() if place not in choices]
    if waiting or unknown:
        raise Unresolved(waiting, unknown)
    kept = [change for change in difference.changes if _keeps_fork(change, choices)]
    merged = _merge(keyed(head), keyed(fork), kept)
    document = listed(header_of(fork), merged)
    return Rebased(document, derive(head, document, known=known))


def _keeps_fork(change: Change, choices: Mapping[str, Choice]) -> bool:
    if change.state == "conflict":
        return choices[pointer(change.path)] == "fork"
    return change.state == "fork-only"


def _merge(head: Keyed, fork: Keyed, kept: list[Change]) -> Keyed:
    """Returns the head with the fork's changes in it; the fork's order rules only where it moved something."""
    moved = {change.path[:-1] for change in kept if change.path[-1] == ORDER}
    tree = copy.deepcopy(head.tree)
    for change in kept:
        if change.path[-1] != ORDER:
            _put(tree, change.path, change.fork)
    orders: dict[Path, list[str]] = {}
    for path in KEYS:
        first, second = (fork, head) if path in moved else (head, fork)
        present = value_at(tree, path)
        orders[path] = _woven(first.orders[path], second.orders[path], present)
    return Keyed(tree, orders)


def _put(tree: dict[str, Any], path: Path, value: Any) -> None:
    holder = tree
    for part in path[:-1]:
        holder = holder.setdefault(part, {})
    if value is ABSENT:
        holder.pop(path[-1], None)
    else:
        holder[path[-1]] = copy.deepcopy(value)


def _woven(first: list[str], second: list[str], present: Mapping[str, Any]) -> list[str]:
    """Returns the keys that are present: the first order, with what only the second has behind what it stands after."""
    order = [key for key in first if key in present]
    before: str | None = None
    for key in second:
        if key in present and key not in order:
            order.insert(0 if before is None else order.index(before) + 1, key)
        before = key if key in order else before
    return order
