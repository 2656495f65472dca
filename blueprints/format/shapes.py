"""The words in which a format is described once: each shape checks a value and writes its JSON Schema."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from blueprints.format.findings import Finding, Path, fault

ABSENT: Final = object()
_NO_NUL: Final = r"^[^\u0000]*$"
_SAID: Final = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


class Shape(Protocol):
    """What a value may look like."""

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        """Yields what is wrong; nothing when the value fits."""

    def schema(self) -> dict[str, Any]:
        """Returns the JSON Schema (2020-12) that accepts exactly the same values."""


def _wrong(value: Any, path: Path, wanted: str) -> Finding:
    said = "nothing" if value is None else _SAID.get(type(value), type(value).__name__)
    return fault("TYPE", path, f"Here stands {said} where {wanted} belongs.", f"Write {wanted}.")


def _no_text(path: Path) -> Finding:
    return fault("NOT_TEXT", path, "The text holds a NUL, which ends a text in many programs.", "Remove it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Text of bounded length, and of one form when `pattern` says so (`form` names it for people)."""

    most: int = 200
    least: int = 1
    pattern: str = ""
    form: str = ""
    note: str = ""

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        if not isinstance(value, str):
            yield _wrong(value, path, self.form or "text")
        elif not self.least <= len(value) <= self.most:
            said = f"The text has {len(value)} characters."
            yield fault("LENGTH", path, said, f"Write {self.least} to {self.most} characters.")
        elif "\0" in value:
            yield _no_text(path)
        elif self.pattern and not re.fullmatch(self.pattern, value):
            yield fault("FORM", path, f"{shown_short(value)} is not {self.form}.", f"It must match {self.pattern}.")

    def schema(self) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "string", "minLength": self.least, "maxLength": self.most}
        made["pattern"] = f"^(?:{self.pattern})$" if self.pattern else _NO_NUL
        return made | ({"description": self.note} if self.note else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number within bounds: a cap without an upper bound is none."""

    least: int = 0
    most: int
    note: str = ""

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        if not isinstance(value, int) or isinstance(value, bool):
            yield _wrong(value, path, "a whole number")
        elif not self.least <= value <= self.most:
            yield fault("RANGE", path, f"{value} is out of bounds.", f"Choose {self.least} to {self.most}.")

    def schema(self) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "integer", "minimum": self.least, "maximum": self.most}
        return made | ({"description": self.note} if self.note else {})


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        if not isinstance(value, bool):
            yield _wrong(value, path, "true or false")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text, a whole number, or true or false."""

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        if not isinstance(value, str | int):
            yield _wrong(value, path, "text, a whole number, true or false")
        elif isinstance(value, str) and "\0" in value:
            yield _no_text(path)

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "integer", "boolean"], "pattern": _NO_NUL}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str | int, ...]

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        if isinstance(value, bool) or value not in self.words:
            shown = ", ".join(map(str, self.words))
            yield fault(
                "CHOICE",
                path,
                f"{shown_short(value)} is not one of: {shown}.",
                nearest(str(value)[:100], map(str, self.words)),
            )

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """A list. Items that carry a `key` are told apart by it, so none may appear twice."""

    of: Shape
    least: int = 0
    most: int = 100
    key: str = ""
    unique: bool = False

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        if not isinstance(value, list):
            yield _wrong(value, path, "a list")
            return
        if not self.least <= len(value) <= self.most:
            said = f"The list has {len(value)} items."
            yield fault("LENGTH", path, said, f"Write {self.least} to {self.most} items.")
        for place, item in enumerate(value[: self.most]):
            yield from self.of.check(item, (*path, place))
        yield from self._twice(value[: self.most], path)

    def _twice(self, value: list[Any], path: Path) -> Iterator[Finding]:
        seen: dict[Any, int] = {}
        for place, item in enumerate(value):
            name = item.get(self.key) if self.key and isinstance(item, dict) else item if self.unique else None
            if not isinstance(name, str):
                continue
            if name in seen:
                where = (*path, place, self.key) if self.key else (*path, place)
                yield fault("DUPLICATE_ID", where, f"{shown_short(name)} appears twice.", "Give each its own name.")
            seen[name] = place

    def schema(self) -> dict[str, Any]:
        made = {"type": "array", "items": self.of.schema(), "minItems": self.least, "maxItems": self.most}
        return made | ({"uniqueItems": True} if self.unique else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A mapping from names of one form to values of one shape."""

    of: Shape
    names: Text
    least: int = 0
    most: int = 50

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        if not isinstance(value, dict):
            yield _wrong(value, path, "a mapping")
            return
        if not self.least <= len(value) <= self.most:
            said = f"The mapping has {len(value)} names."
            yield fault("LENGTH", path, said, f"Write {self.least} to {self.most} of them.")
        for name, item in value.items():
            yield from self.names.check(name, (*path, name))
            yield from self.of.check(item, (*path, name))

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": self.names.schema(),
            "additionalProperties": self.of.schema(),
            "minProperties": self.least,
            "maxProperties": self.most,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A closed mapping: every required field is there, and no other than the known ones."""

    required: Mapping[str, Shape] = field(default_factory=dict)
    optional: Mapping[str, Shape] = field(default_factory=dict)

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        if not isinstance(value, dict):
            yield _wrong(value, path, "a mapping")
            return
        known = {**self.required, **self.optional}
        for name in self.required:
            if name not in value:
                yield fault("MISSING", path, f"The field {name!r} is missing.", f"Add {name!r} here.")
        for name, item in value.items():
            if name in known:
                yield from known[name].check(item, (*path, name))
            else:
                said = f"The field {shown_short(name)} is not known here."
                yield fault("UNKNOWN_KEY", (*path, name), said, nearest(name, known))

    def schema(self) -> dict[str, Any]:
        known = {**self.required, **self.optional}
        return {
            "type": "object",
            "properties": {name: shape.schema() for name, shape in known.items()},
            "required": list(self.required),
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """A record whose one field says which of several records it is."""

    tag: str
    of: Mapping[str, Record]

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        if not isinstance(value, dict):
            yield _wrong(value, path, "a mapping")
            return
        kind = value.get(self.tag, ABSENT)
        if isinstance(kind, str) and kind in self.of:
            yield from self.of[kind].check(value, path)
        elif kind is ABSENT:
            yield fault("MISSING", path, f"The field {self.tag!r} is missing.", f"Say which: {', '.join(self.of)}.")
        else:
            shown = ", ".join(self.of)
            said = f"{shown_short(kind)} is not one of: {shown}."
            yield fault("CHOICE", (*path, self.tag), said, nearest(str(kind), self.of))

    def schema(self) -> dict[str, Any]:
        return {"oneOf": [shape.schema() for shape in self.of.values()]}


def shown_short(value: Any) -> str:
    """Returns a value as a message shows it: what strangers wrote can be long."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def nearest(name: str, known: Any) -> str:
    """Returns a remedy for a word that is not known: the closest one, or all."""
    words = list(known)
    close = difflib.get_close_matches(name[:100], words, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(words)}."
