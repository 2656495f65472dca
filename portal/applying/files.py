"""Reads a directory of YAML files into entries that know where they stand. The shape is closed: nothing is ignored."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from blueprints.format.findings import Place, pointer
from blueprints.format.reading import MAX_BYTES, Unreadable, read_yaml
from registry.context.models import Source
from tenants.rules import Concern, Effect, Origin, Profile, Role, Sensitivity, Tier

HEADER: Final = "apply"
FORMAT: Final = 1
Check = Callable[[Any], str]


def _text(most: int) -> Check:
    said = f"a text of at most {most} characters"
    return lambda value: "" if isinstance(value, str) and len(value) <= most else said


def _texts(value: Any) -> str:
    return "" if isinstance(value, list) and all(isinstance(item, str) for item in value) else "a list of texts"


def _number(value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number"


def _one_of(*words: str) -> Check:
    return lambda value: "" if value in words else f"one of {', '.join(words)}"


EFFECTS: Final = tuple(effect.name.lower() for effect in Effect)
KINDS: Final = tuple(Source.Kind.values)
SENSITIVITIES: Final = tuple(sensitivity.name.lower() for sensitivity in Sensitivity)


def _roles(by: str) -> Check:
    return lambda value: "" if _are_roles(value) else f"lists of roles by {by}, each one of {', '.join(Role)}"


def _are_roles(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(held, list) and all(role in list(Role) for role in held) for held in value.values()
    )


def _tools(value: Any) -> str:
    rows = value.values() if isinstance(value, dict) else [None]
    return "" if all(map(_is_approval, rows)) else "effect, sensitivity and pin by the name of the tool"


def _is_approval(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and row.keys() == {"effect", "sensitivity", "pin"}
        and row["effect"] in EFFECTS
        and row["sensitivity"] in SENSITIVITIES
        and isinstance(row["pin"], str)
    )


def _documents(value: Any) -> str:
    fits = isinstance(value, list) and all(map(_is_document, value))
    if not fits:
        return "a list of documents, each with a path and a text"
    paths = [row["path"] for row in value]
    return "" if len(paths) == len(set(paths)) else "a list of documents, each path once"


def _is_document(row: Any) -> bool:
    is_whole = isinstance(row, dict) and row.keys() == {"path", "text"}
    return is_whole and all(isinstance(value, str) for value in row.values())


@dataclass(frozen=True, slots=True)
class Shape:
    """What an entry must and may say."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check] = field(default_factory=dict)


SHAPES: Final[Mapping[str, Shape]] = {
    "tenants": Shape(
        {"slug": _text(48), "tier": _one_of(*Tier), "name": _text(120)},
        {
            "concern": _one_of(*Concern),
            "region": _text(48),
            "origin": _one_of(*Origin),
            "summary": _text(400),
            "domains": _texts,
            "sign_in_groups": _roles("group"),
        },
    ),
    "people": Shape(
        {"handle": _text(48), "name": _text(120), "email": _text(254)},
        {"clearance": _one_of(*SENSITIVITIES), "roles": _roles("tenant")},
    ),
    "agents": Shape(
        {"slug": _text(48), "name": _text(120), "home": _text(48), "sponsor": _text(254)},
        {
            "profile": _one_of(*Profile),
            "risk": _number,
            "purpose": _text(400),
            "status": _one_of("active", "suspended"),
        },
    ),
    "servers": Shape(
        {"slug": _text(48), "name": _text(120), "owner": _text(48)},
        {
            "summary": _text(400),
            "url": _text(500),
            "command": _texts,
            "status": _one_of("draft", "active", "quarantined", "retired"),
            "reason": _text(200),
            "tools": _tools,
        },
    ),
    "groups": Shape({"slug": _text(48), "name": _text(120), "owner": _text(48), "tools": _texts}),
    "sources": Shape(
        {"slug": _text(48), "name": _text(120), "owner": _text(48)},
        {
            "kind": _one_of(*KINDS),
            "location": _text(500),
            "branch": _text(200),
            "sensitivity": _one_of(*SENSITIVITIES),
            "documents": _documents,
            "from": _text(500),
        },
    ),
}
"""The kinds in the order in which they are applied: what is named stands before who names it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why something cannot be applied, and where it is written."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that should be there, as it is written."""

    kind: str
    values: Mapping[str, Any]
    file: str
    path: tuple[str | int, ...]
    places: Mapping[str, Place] = field(repr=False)
    root: Path = field(repr=False)
    """The directory that is applied: what an entry names beside its file lies below it."""

    def fault(self, message: str, key: str = "") -> Fault:
        """Returns a fault at this key, or at the entry where it is not about one that is written."""
        here = self.places.get(pointer((*self.path, key))) if key else None
        place = here or self.places.get(pointer(self.path), Place(1, 1))
        return Fault(self.file, place.line, place.column, message)


def read_directory(directory: Path) -> tuple[list[Entry], list[Fault]]:
    """Returns the entries of all `.yaml` files below a directory in the order of application, and every fault."""
    entries: list[Entry] = []
    faults: list[Fault] = []
    for path in sorted(directory.rglob("*.yaml")):
        for found in _read(path, directory):
            (entries if isinstance(found, Entry) else faults).append(found)  # type: ignore[arg-type]
    order = list(SHAPES)
    ranks = {str(tier): rank for rank, tier in enumerate(Tier)}
    return sorted(entries, key=lambda one: (order.index(one.kind), ranks.get(one.values.get("tier", ""), 0))), faults


def _read(path: Path, root: Path) -> Iterator[Entry | Fault]:
    name = str(path.relative_to(root))
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    try:
        source = read_yaml(raw)
    except Unreadable as unreadable:
        finding = unreadable.finding
        yield Fault(name, finding.line or 1, finding.column or 1, f"{finding.message} {finding.remedy}")
        return
    whole = Entry("file", {}, name, (), source.places, root)
    if not isinstance(source.value, dict) or source.value.get(HEADER) != FORMAT:
        yield whole.fault(f"A file begins with `{HEADER}: {FORMAT}`.", HEADER)
        return
    for kind, rows in source.value.items():
        if kind == HEADER:
            continue
        if kind not in SHAPES or not isinstance(rows, list):
            yield whole.fault(f"“{kind}” is none of {', '.join(SHAPES)}, or no list.", kind)
            continue
        for index, row in enumerate(rows):
            said = row if isinstance(row, dict) else {}
            yield from _entry(Entry(kind, said, name, (kind, index), source.places, root))


def _entry(entry: Entry) -> Iterator[Entry | Fault]:
    shape = SHAPES[entry.kind]
    faults = [entry.fault(f"“{key}” is missing.") for key in shape.required if key not in entry.values]
    known = {**shape.required, **shape.optional}
    for key, value in entry.values.items():
        if key not in known:
            faults.append(entry.fault(f"There is no “{key}” here; known are {', '.join(known)}.", key))
        elif wanted := known[key](value):
            faults.append(entry.fault(f"“{key}” is {wanted}.", key))
    yield from faults
    if not faults:
        yield entry
