"""Small changes of one layer, each a function from document to document, and what changed between two of them.

Nothing here judges: whether the result is sound, and weakens nothing above it, is asked of the whole document.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from blueprints.format.findings import pointer
from blueprints.format.writing import as_yaml

Document = Mapping[str, Any]
Edit = Callable[[Document], dict[str, Any]]


class Absent(Exception):
    """The layer has no such entry."""


def adding_check(check: Document) -> Edit:
    """Returns the edit that adds a check of one's own at the end; that its id is free shows in the whole."""

    def edit(layer: Document) -> dict[str, Any]:
        return {**layer, "checks": [*layer.get("checks", ()), dict(check)]}

    return edit


def changing_check(name: str, check: Document) -> Edit:
    """Returns the edit that writes one's own check anew, in its place. Its id stays."""

    def edit(layer: Document) -> dict[str, Any]:
        _require(layer, "checks", "id", name)
        return {**layer, "checks": [_written(one, name, check) for one in layer["checks"]]}

    return edit


def _written(one: Document, name: str, check: Document) -> Document:
    return {**check, "id": name} if one["id"] == name else one


def removing_check(name: str) -> Edit:
    """Returns the edit that takes one's own check out, with its waiver."""

    def edit(layer: Document) -> dict[str, Any]:
        _require(layer, "checks", "id", name)
        reference = f"{layer['owner']['tenant']}/{name}"
        kept = {**layer, "checks": [one for one in layer["checks"] if one["id"] != name]}
        return _without(kept, "waivers", reference)

    return edit


def tightening(entry: Document) -> Edit:
    """Returns the edit that tightens a check of above: what it says is added to what the layer said before."""

    def edit(layer: Document) -> dict[str, Any]:
        before: Document = next((one for one in layer.get("tighten", ()) if one["check"] == entry["check"]), {})
        values = {**before.get("parameters", {}), **entry.get("parameters", {})}
        evidence = list(dict.fromkeys([*before.get("evidence", ()), *entry.get("evidence", ())]))
        merged = {**before, **entry, **({"parameters": values} if values else {})}
        merged |= {"evidence": evidence} if evidence else {}
        rest = [one for one in layer.get("tighten", ()) if one["check"] != entry["check"]]
        return {**layer, "tighten": [*rest, merged]}

    return edit


def loosening(reference: str) -> Edit:
    """Returns the edit that takes back what the layer itself has tightened of a check."""

    def edit(layer: Document) -> dict[str, Any]:
        _require(layer, "tighten", "check", reference)
        return _without(layer, "tighten", reference)

    return edit


def waiving(waiver: Document) -> Edit:
    """Returns the edit that waives one's own check, in place of an earlier waiver of it."""

    def edit(layer: Document) -> dict[str, Any]:
        kept = _without(layer, "waivers", waiver["check"])
        return {**kept, "waivers": [*kept.get("waivers", ()), dict(waiver)]}

    return edit


def lifting(reference: str) -> Edit:
    """Returns the edit that ends a waiver: the check blocks again."""

    def edit(layer: Document) -> dict[str, Any]:
        _require(layer, "waivers", "check", reference)
        return _without(layer, "waivers", reference)

    return edit


def _require(layer: Document, section: str, key: str, name: str) -> None:
    if all(one[key] != name for one in layer.get(section, ())):
        raise Absent(name)


def _without(layer: Document, section: str, reference: str) -> dict[str, Any]:
    if section not in layer:
        return dict(layer)
    return {**layer, section: [one for one in layer[section] if one["check"] != reference]}


_ORDER: Final = (
    *("harness", "owner", "tier", "tenant", "checks", "tighten", "waivers"),
    *("id", "check", "title", "sensor", "blocking", "command", "prompt", "person", "reason", "expires"),
    *("parameters", "direction", "value", "scale", "evidence"),
)
_RANK: Final = {name: rank for rank, name in enumerate(_ORDER)}


def text_of(layer: Document) -> str:
    """Returns a layer, or a part of one, as YAML, its keys in the order in which people read them.

    The database keeps no order.
    """
    return as_yaml(_arranged(layer))


def _arranged(value: Any) -> Any:
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: (_RANK.get(name, len(_RANK)), name))
        return {name: _arranged(value[name]) for name in names}
    return [_arranged(one) for one in value] if isinstance(value, list) else value


SECTIONS: Final = {"checks": "id", "tighten": "check", "waivers": "check"}
"""The lists of a layer, and what names an entry of each."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One entry of a layer that is not what it was; None where there is none."""

    section: str
    name: str
    before: Document | None
    after: Document | None

    @property
    def kind(self) -> str:
        """`added`, `removed` or `changed`."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


def changes(before: Document, after: Document) -> Iterator[Changed]:
    """Yields the entries in which two sound layers differ; the order of a list means nothing."""
    for section, key in SECTIONS.items():
        old, new = ({one[key]: one for one in layer.get(section, ())} for layer in (before, after))
        for name in dict.fromkeys([*old, *new]):
            if old.get(name) != new.get(name):
                yield Changed(section, name, old.get(name), new.get(name))


def standing(before: Document, after: Document) -> Iterator[str]:
    """Yields the pointers of checks and tightened entries in `after` that stood just so in `before`."""
    for section in ("checks", "tighten"):
        key = SECTIONS[section]
        kept = {one[key]: one for one in before.get(section, ())}
        for place, one in enumerate(after.get(section, ())):
            if one == kept.get(one[key]):
                yield pointer((section, place))


def unsigned(before: Document, after: Document, person: str | None) -> Iterator[int]:
    """Yields the places of waivers in `after` that stood not so in `before` and name somebody else than this person."""
    kept = {one["check"]: one for one in before.get("waivers", ())}
    for place, waiver in enumerate(after.get("waivers", ())):
        if waiver != kept.get(waiver["check"]) and waiver["person"] != person:
            yield place


def outdated(before: Document, after: Document, today: date) -> Iterator[int]:
    """Yields the places of new waivers in `after` that are over already."""
    kept = {one["check"]: one for one in before.get("waivers", ())}
    for place, waiver in enumerate(after.get("waivers", ())):
        if waiver != kept.get(waiver["check"]) and date.fromisoformat(waiver["expires"]) < today:
            yield place
