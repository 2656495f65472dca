"""A difference of blueprints as people read it: one thing after the other, both sides beside each other."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from django.utils.safestring import SafeString

from blueprints.forks.derivation import target
from blueprints.forks.diff import ORDER, Change, Difference
from blueprints.forks.keyed import Path
from blueprints.format.findings import pointer
from blueprints.format.shapes import ABSENT
from portal.parts.diff import line_diff, word_diff

STATES: Final = {
    "fork-only": ("Fork only", "note", "edit"),
    "upstream-only": ("Upstream only", "warn", "down"),
    "same": ("Same in both", "ok", "check"),
    "conflict": ("Conflict", "bad", "warning"),
}
_SECTIONS: Final = {
    "nodes": "Node",
    "checks": "Check",
    "preconditions": "Precondition",
    "permissions": "Permission",
    "inputs": "Input",
    "outputs": "Output",
}


@dataclass(frozen=True, slots=True)
class Side:
    """What one side did to a value of the base; `markup` is empty when it left it alone."""

    name: str
    markup: SafeString | str
    value: str


@dataclass(frozen=True, slots=True)
class ShownChange:
    """One change of one field."""

    pointer: str
    field: str
    state: str
    upstream: Side
    fork: Side
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing that has changed: a node, a check, a grant, or a field of a section."""

    kind: str
    name: str
    state: str
    label: str
    tone: str
    symbol: str
    changes: list[ShownChange]


def units_of(difference: Difference, reasons: Mapping[str, str] | None = None) -> list[Unit]:
    """Returns the changes by thing, conflicts first, then what the fork changed, then upstream. Reasons by pointer."""
    order = list(STATES)
    grouped = groupby(sorted(difference.changes, key=_place), key=lambda change: change.unit)
    units = [_unit(path, list(changes), reasons or {}) for path, changes in grouped]
    return sorted(units, key=lambda unit: (unit.state != "conflict", order.index(unit.state), unit.kind, unit.name))


def marks_of(difference: Difference) -> dict[str, str]:
    """Returns the tone of each node that has changed, for the picture."""
    units = units_of(difference)
    return {unit.name: unit.tone for unit in units if unit.kind == "Node"}


def _place(change: Change) -> Path:
    return (*change.unit, "", *change.path)


def _unit(path: Path, changes: list[Change], reasons: Mapping[str, str]) -> Unit:
    states = [change.state for change in changes]
    state = next(one for one in ("conflict", "fork-only", "upstream-only", "same") if one in states)
    label, tone, symbol = STATES[state]
    kind = _SECTIONS.get(path[0], path[0].capitalize())
    name = "order" if path[-1] == ORDER else path[-1]
    return Unit(kind, name, state, label, tone, symbol, [_shown(change, reasons) for change in changes])


def _shown(change: Change, reasons: Mapping[str, str]) -> ShownChange:
    place = pointer(change.path)
    size = len(change.unit)
    field = " / ".join(change.path[size:]) or "the whole"
    return ShownChange(
        pointer=place,
        field="order" if change.path[-1] == ORDER else field,
        state=change.state,
        upstream=_side("Upstream", change.base, change.head),
        fork=_side("Fork", change.base, change.fork),
        reason=_reason(place, reasons),
    )


def _reason(place: str, reasons: Mapping[str, str]) -> str:
    """The reason of the operation on this place or on the thing that holds it."""
    while place:
        if place in reasons:
            return reasons[place]
        place = place.rpartition("/")[0]
    return ""


def _side(name: str, base: Any, value: Any) -> Side:
    return Side(name, _markup(base, value), _words(value))


def _markup(base: Any, value: Any) -> SafeString | str:
    if _words(base) == _words(value):
        return ""
    if isinstance(base, str) and isinstance(value, str) and "\n" not in base + value:
        return word_diff(base, value)
    return line_diff(_words(base), _words(value))


def _words(value: Any) -> str:
    if value is ABSENT:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return json.dumps(value, indent=2, ensure_ascii=False)


def reasons_of(operations: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the reason of each operation by the pointer of what it is about."""
    return {target(operation)[1]: operation["reason"] for operation in operations}
