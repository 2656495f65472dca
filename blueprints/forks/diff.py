"""The three-way difference by keys: what the fork changed, what upstream changed, where they agree and where they clash.

`drift` counts what the fork changed, `behind` what upstream changed and the fork has not. Both are read from the three
contents: a fork that took a change by hand is not behind, whatever version it names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from blueprints.forks.keyed import Keyed, Path, common, keyed, same, unit_of
from blueprints.format.findings import pointer
from blueprints.format.shapes import ABSENT

State = Literal["fork-only", "upstream-only", "same", "conflict"]
ORDER: Final = "#order"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. A value is `ABSENT` where there is none; an order is the list of its keys."""

    path: Path
    state: State
    base: Any
    head: Any
    fork: Any

    @property
    def unit(self) -> Path:
        """Returns the thing that a person would say has changed."""
        return unit_of(self.path)

    def as_dict(self) -> dict[str, object]:
        """Returns the change for machines; a side on which there is nothing is left out."""
        sides = {"base": self.base, "head": self.head, "fork": self.fork}
        given = {name: value for name, value in sides.items() if value is not ABSENT}
        return {"path": pointer(self.path), "unit": pointer(self.unit), "state": self.state, **given}


@dataclass(frozen=True, slots=True)
class Difference:
    """All changes between a base, its head and a fork, in the order of the format."""

    changes: tuple[Change, ...]

    @property
    def drift(self) -> int:
        """Returns how many things the fork has changed and upstream has not in the same way."""
        return len(self._units("fork-only", "conflict"))

    @property
    def behind(self) -> int:
        """Returns how many things upstream has changed that the fork has not taken."""
        return len(self._units("upstream-only", "conflict"))

    @property
    def conflicts(self) -> list[Change]:
        """Returns the changes that exclude each other."""
        return [change for change in self.changes if change.state == "conflict"]

    def as_dict(self) -> dict[str, object]:
        """Returns numbers and changes for machines."""
        numbers = {"behind": self.behind, "drift": self.drift, "conflicts": len(self.conflicts)}
        return {**numbers, "changes": [change.as_dict() for change in self.changes]}

    def _units(self, *states: State) -> set[Path]:
        return {change.unit for change in self.changes if change.state in states}


def compare(base: Mapping[str, Any], head: Mapping[str, Any], fork: Mapping[str, Any]) -> Difference:
    """Returns the three-way difference of three resolved documents."""
    return compare_keyed(keyed(base), keyed(head), keyed(fork))


def compare_keyed(base: Keyed, head: Keyed, fork: Keyed) -> Difference:
    """Returns the same of contents by keys, which are only read: who compares many forks keys base and head once."""
    three = base, head, fork
    return Difference((*_values((), *(side.tree for side in three)), *_orders(*three)))


def compare_two(base: Mapping[str, Any], head: Mapping[str, Any]) -> Difference:
    """Returns what `head` changes in `base`: the three-way difference of a fork that changed nothing."""
    return compare(base, head, base)


def _values(path: Path, base: Any, head: Any, fork: Any) -> Iterator[Change]:
    if all(isinstance(side, dict) for side in (base, head, fork)):
        for name in dict.fromkeys([*base, *head, *fork]):
            sides = (side.get(name, ABSENT) for side in (base, head, fork))
            yield from _values((*path, name), *sides)
    elif base is ABSENT and isinstance(head, dict) and isinstance(fork, dict) and not same(head, fork):
        yield from _values(path, {}, head, fork)  # both added it: only where they differ do they clash
    else:
        state = _state(same(base, head), same(base, fork), same(head, fork))
        if state:
            yield Change(path, state, base, head, fork)


def _state(head_kept: bool, fork_kept: bool, agreed: bool) -> State | None:  # noqa: FBT001 - three answers, one question
    if agreed:
        return None if head_kept else "same"
    if head_kept:
        return "fork-only"
    return "upstream-only" if fork_kept else "conflict"


def _orders(base: Keyed, head: Keyed, fork: Keyed) -> Iterator[Change]:
    for path in dict.fromkeys([*base.orders, *head.orders, *fork.orders]):
        sides = [side.orders.get(path, []) for side in (base, head, fork)]
        state = order_state(*sides)
        if state:
            yield Change((*path, ORDER), state, *sides)


def order_state(base: list[str], head: list[str], fork: list[str]) -> State | None:
    """Returns how two orders relate over what they share. A clash is also a move of what the other side removed."""
    agreed = common(head, fork) == common(fork, head)
    head_moved = common(head, base) != common(base, head)
    fork_moved = common(fork, base) != common(base, fork)
    if not agreed:
        if head_moved == fork_moved:
            return "conflict"
        return "upstream-only" if head_moved else "fork-only"
    if not head_moved and not fork_moved:
        return None
    return "same" if head_moved and fork_moved else "conflict"
