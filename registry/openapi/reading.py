"""Reads a document from strangers, JSON or YAML: a plain tree of JSON values, in bounds.

YAML is read event by event, so a bomb is refused while it unfolds: there are no anchors, aliases or tags, and only the
types of JSON. Whatever could not be stored later (NUL, half characters, numbers without end) is refused here.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Never

import yaml

from registry.openapi.faults import pointer, refuse, shown

MAX_BYTES: Final = 2_000_000
MAX_DEPTH: Final = 48
MAX_VALUES: Final = 200_000
MAX_DIGITS: Final = 30
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}


def read_document(text: str | bytes) -> dict[str, Any]:
    """Returns the document as a tree. Raises `Invalid` with what is wrong and where."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        refuse("too_large", f"The document has {len(raw):,} bytes; at most {MAX_BYTES:,} are read.")
    try:
        plain = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        refuse("not_text", f"The document is not UTF-8: byte {error.start} breaks it.")
    tree = _read_json(plain) if plain.lstrip()[:1] == "{" else _read_yaml(plain)
    if not isinstance(tree, dict):
        refuse("not_object", "The document is not an object: an OpenAPI document begins with the key “openapi”.")
    _check_tree(tree)
    return tree


def _read_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_whole)
    except json.JSONDecodeError as error:
        refuse("not_json", f"This is not JSON: {error.msg}, line {error.lineno}, column {error.colno}.")
    except RecursionError:
        _too_deep()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            refuse("duplicate_key", f"One object holds the key “{shown(key)}” twice. Keep one of the two.")
        found[key] = value
    return found


def _no_constant(text: str) -> Never:
    refuse("number", f"{text} is not a number of JSON.")


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        refuse("number", f"A number has more than {MAX_DIGITS} digits.")
    return int(text)


def _too_deep() -> Never:
    refuse("too_deep", f"The document is nested deeper than {MAX_DEPTH} levels.")


def _read_yaml(text: str) -> Any:
    try:
        return _Yaml(yaml.parse(text, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        refuse("not_yaml", f"This is neither JSON nor YAML: {shown(error.problem or error.context)}{where}.")
    except yaml.YAMLError as error:
        refuse("not_yaml", f"This is neither JSON nor YAML: {shown(str(error).partition(chr(10))[0])}.")


class _Yaml:
    """Builds the tree from events. Recursion is bounded by `MAX_DEPTH`, memory by `MAX_VALUES`."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._count = 0

    def document(self) -> Any:
        next(self._events)  # the stream begins
        if isinstance(next(self._events), yaml.StreamEndEvent):
            refuse("empty", "There is no document.")
        value = self._value(next(self._events), 0)
        next(self._events)  # the document ends
        if not isinstance(after := next(self._events), yaml.StreamEndEvent):
            refuse("second", f"A second document begins in line {after.start_mark.line + 1}. Give one.")
        return value

    def _value(self, event: Any, depth: int) -> Any:
        line = event.start_mark.line + 1
        self._count += 1
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            refuse(
                "alias", f"Anchors and aliases of YAML are not read (line {line}). Write the value out, or use $ref."
            )
        if event.tag not in {None, "!"}:
            refuse("tag", f"The tag {shown(event.tag)} of YAML is not read (line {line}).")
        if depth > MAX_DEPTH:
            _too_deep()
        if self._count > MAX_VALUES:
            _too_many()
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(depth)
        return _scalar(event, line)

    def _mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            self._value(event, depth + 1) if isinstance(event, (yaml.AliasEvent, yaml.ScalarEvent)) else None
            if not isinstance(event, yaml.ScalarEvent):
                refuse("key", f"A key is not text (line {line}).")
            # Every key is text in JSON, so the status 200 is "200", quoted or not.
            if (key := event.value) in found:
                refuse("duplicate_key", f"The key “{shown(key)}” is written twice in one object (line {line}).")
            found[key] = self._value(next(self._events), depth + 1)
        return found

    def _sequence(self, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._value(event, depth + 1))
        return found


def _too_many() -> Never:
    refuse("too_many", f"The document holds more than {MAX_VALUES:,} values.")


def _scalar(event: Any, line: int) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _whole(text)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            refuse("number", f"A number is too large (line {line}).")
        return value
    return text


def _check_tree(root: Any) -> None:
    """Walks with a list, never by recursion."""
    queue: list[tuple[Any, tuple[object, ...]]] = [(root, ())]
    count = 0
    while queue:
        node, path = queue.pop()
        count += 1
        if len(path) > MAX_DEPTH:
            _too_deep()
        if count > MAX_VALUES:
            _too_many()
        if isinstance(node, dict):
            for key, value in node.items():
                _check_text(key, path)
                queue.append((value, (*path, key)))
        elif isinstance(node, list):
            queue.extend((value, (*path, index)) for index, value in enumerate(node))
        elif isinstance(node, str):
            _check_text(node, path)
        elif isinstance(node, float) and not math.isfinite(node):
            refuse("number", f"The number at {shown(pointer(*path))} is too large.")


def _check_text(text: str, path: tuple[object, ...]) -> None:
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        refuse("text", f"The text at {shown(pointer(*path))} holds a character that cannot be kept.")
