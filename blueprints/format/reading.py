"""Reads YAML from strangers: a plain tree, in bounds, and where each part of it stands.

The parser's events are read one by one, so a bomb is refused while it unfolds and not after. Only JSON's types exist:
no aliases, no tags, no dates, and `on` and `no` are words (YAML 1.2), not truth values.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from blueprints.format.findings import Finding, Path, Place, pointer

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 16
MAX_VALUES: Final = 20_000
MAX_INTEGER: Final = 2**53 - 1
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
FLOAT: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_FLOAT: Final = re.compile(FLOAT)
_WORDS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None, "~": None, "": None}


class Unreadable(Exception):
    """The text is not a document that we read; carries the one finding that says why and where."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Source:
    """A tree of JSON values and the place of each, by JSON pointer."""

    value: Any
    places: dict[str, Place] = field(default_factory=dict)


def read_yaml(text: str | bytes) -> Source:
    """Returns the one document in `text`. Raises `Unreadable` with line and column."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise _refused(
            "TOO_LARGE", (), None, f"The text has {len(raw):,} bytes.", f"Keep it below {MAX_BYTES:,} bytes."
        )
    try:
        return _Reader(yaml.parse(raw.decode("utf-8"), Loader=_LOADER)).document()
    except UnicodeDecodeError as error:
        raise _refused("NOT_UTF8", (), None, "The text is not UTF-8.", f"Byte {error.start} breaks it.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = f"This is not YAML: {error.problem or error.context}."
        raise _refused("NOT_YAML", (), mark, said, "Mind the indentation, quotes and colons here.") from None
    except yaml.YAMLError as error:
        raise _refused("NOT_YAML", (), None, f"This is not YAML: {str(error).splitlines()[0]}.", "Remove it.") from None


class _Reader:
    """Builds the tree from events. Recursion is bounded by `MAX_DEPTH`, memory by `MAX_VALUES`."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events
        self.places: dict[str, Place] = {}
        self.count = 0

    def document(self) -> Source:
        next(self.events)  # the stream begins
        begin = next(self.events)
        if isinstance(begin, yaml.StreamEndEvent):
            raise _refused("EMPTY", (), begin.start_mark, "There is no document.", "Write one.")
        value = self._value(next(self.events), (), 0)
        next(self.events)  # the document ends
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            said = "A second document begins here."
            raise _refused("SECOND_DOCUMENT", (), after.start_mark, said, "Keep one document in a file.")
        return Source(value, self.places)

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        self._check(event, path, depth)
        where = pointer(path)
        if where not in self.places:  # a mapping's value stands where its key does
            self.places[where] = _place(event.start_mark)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        return _scalar(event, path)

    def _check(self, event: Any, path: Path, depth: int) -> None:
        mark = event.start_mark
        self.count += 1
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise _refused("ALIAS", path, mark, "Anchors and aliases are not read.", "Write the value out.")
        if event.tag not in {None, "!"}:
            raise _refused("TAG", path, mark, f"The tag {event.tag} is not read.", "Remove the tag.")
        if depth > MAX_DEPTH:
            raise _refused("TOO_DEEP", path, mark, "The document is nested too deeply.", f"Keep to {MAX_DEPTH} levels.")
        if self.count > MAX_VALUES:
            said = f"The document holds more than {MAX_VALUES:,} values."
            raise _refused("TOO_MANY", path, mark, said, "Split it.")

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = event.value if isinstance(event, yaml.ScalarEvent) else None
            self._check(event, path, depth)
            if key is None or (event.implicit[0] and not isinstance(_plain(key), str)):
                said = "A key must be text."
                raise _refused("KEY_NOT_TEXT", path, event.start_mark, said, "Quote it, or use a name.")
            if key in found:
                said = f"The key {key!r} is written twice; the first stands in line {self.places[pointer((*path, key))].line}."
                raise _refused("DUPLICATE_KEY", (*path, key), event.start_mark, said, "Keep one of the two.")
            _refuse_no_text(key, path, event.start_mark)
            self.places[pointer((*path, key))] = _place(event.start_mark)
            found[key] = self._value(next(self.events), (*path, key), depth + 1)
        return found

    def _sequence(self, path: Path, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self._value(event, (*path, len(found)), depth + 1))
        return found


def _scalar(event: Any, path: Path) -> Any:
    value = _plain(event.value) if event.implicit[0] else event.value
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise _refused("NUMBER", path, event.start_mark, "The number is too large for JSON.", "Quote it as text.")
    if isinstance(value, float) and not math.isfinite(value):
        raise _refused("NUMBER", path, event.start_mark, "The number is not finite.", "Write a smaller one.")
    if isinstance(value, str):
        _refuse_no_text(value, path, event.start_mark)
    return value


def _refuse_no_text(value: str, path: Path, mark: Any) -> None:
    """YAML can write by an escape what is no text: half a character, or the end of a text in many programs."""
    if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in value):
        said = "The text holds half a character, or a NUL."
        raise _refused("NOT_TEXT", path, mark, said, "Remove the escape.")


def _plain(text: str) -> Any:
    """Returns what an unquoted scalar means: JSON's literals and numbers, else the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= 20 else MAX_INTEGER + 1
    return float(text) if _FLOAT.fullmatch(text) else text


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _refused(code: str, path: Path, mark: Any, message: str, remedy: str) -> Unreadable:
    line, column = _place(mark) if mark is not None else (None, None)
    return Unreadable(Finding(code=code, path=pointer(path), message=message, remedy=remedy, line=line, column=column))
