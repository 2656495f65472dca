"""What the arguments of a tool must look like: its input schema, compiled so that no schema and no argument costs much.

Pure. An upstream wrote the schema, so it is untrusted: it reaches for nothing outside itself, its patterns run in linear
time, and one that would be evaluated without end is not used at all.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs

MAX_EXPANSIONS: Final = 20_000
"""Parts of a schema, its references followed: what one value can be compared with."""

_DESCRIBED_EXPANSIONS: Final = 2_000
_UNDESCRIBED: Final = "it is too involved to say where"
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_LOOSENED_THROUGH: Final = frozenset({"allOf", "anyOf", "items", "prefixItems", "additionalProperties"})
_NAMED_THROUGH: Final = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_NOT_SHOWN: Final = frozenset({"anyOf", "oneOf", "propertyNames"})
_MAX_SHOWN: Final = 200


class Unusable(ValueError):
    """A schema that nothing can be compared with. The message says why."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A compiled input schema."""

    _validator: Any = field(repr=False)
    _is_described: bool

    def fault(self, arguments: Mapping[str, Any]) -> str | None:
        """Returns what is wrong with the arguments, None when they are valid. Quotes the schema, never a value."""
        if self._validator.is_valid(arguments):
            return None
        if not self._is_described:
            return _UNDESCRIBED
        try:
            self._validator.validate(arguments)
        except jsonschema_rs.ValidationError as error:
            return _describe(error)
        return _UNDESCRIBED


def compile_schema(schema: Mapping[str, Any]) -> Shape:
    """Returns the schema compiled, 2020-12 unless it names another draft. Raises `Unusable`.

    A pattern that cannot be run in linear time (look-around, back-references) is left to the server where leaving it out
    only admits more; elsewhere the schema is unusable.
    """
    try:
        expansions, recursive = _Expansions(schema).count()
    except RecursionError:
        raise Unusable("its references go too deep") from None
    if expansions > MAX_EXPANSIONS:
        raise Unusable(f"it has more than {MAX_EXPANSIONS} parts when its references are followed")
    try:
        validator = _build(schema)
    except Unusable:
        loose = _without_slow_patterns(schema)
        if loose == schema:
            raise
        validator = _build(loose)
    return Shape(validator, not recursive and expansions <= _DESCRIBED_EXPANSIONS)


def _build(schema: Mapping[str, Any]) -> Any:
    try:
        return jsonschema_rs.validator_for(
            dict(schema), validate_formats=False, offline=True, pattern_options=_PATTERNS
        )
    except jsonschema_rs.ValidationError as error:
        raise Unusable(_cut(f"at {_pointer(error.instance_path)}: {error.message}")) from None
    except (jsonschema_rs.ReferencingError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Unusable(_cut(str(error))) from None


class _Expansions:
    """Counts what a validator may have to look at for one value. Whatever refers to itself is counted once."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._anchors = dict(_anchors(schema))
        self._counted: dict[int, int] = {}
        self._open: set[int] = set()
        self._recursive = False

    def count(self) -> tuple[int, bool]:
        """Returns how many parts there are, and whether any part contains itself."""
        return self._of(self._root), self._recursive

    def _of(self, node: Any) -> int:
        if not isinstance(node, (Mapping, list)):
            return 0
        key = id(node)
        if key in self._open:
            self._recursive = True
            return 1
        if key not in self._counted:
            self._open.add(key)
            self._counted[key] = min(MAX_EXPANSIONS + 1, 1 + sum(map(self._of, self._inside(node))))
            self._open.remove(key)
        return self._counted[key]

    def _inside(self, node: Any) -> Iterator[Any]:
        if isinstance(node, list):
            yield from node
            return
        yield from node.values()
        for name in _REFERENCES:
            if isinstance(node.get(name), str):
                yield self._target(node[name])

    def _target(self, reference: str) -> Any:
        place = reference.partition("#")[2]
        if place and not place.startswith("/"):
            return self._anchors.get(place)
        node: Any = self._root
        for part in place.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list):
                node = node[int(name)] if name.isdecimal() and int(name) < len(node) else None
            else:
                node = node.get(name) if isinstance(node, Mapping) else None
        return node


def _anchors(root: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Raises `Unusable` for a schema with another one inside, in which the same reference means something else."""
    queue: list[Any] = [root]
    while queue:
        node = queue.pop()
        if isinstance(node, list):
            queue.extend(node)
        elif isinstance(node, Mapping):
            if node is not root and isinstance(node.get("$id"), str):
                raise Unusable("it has another schema with an $id of its own inside")
            yield from ((node[key], node) for key in ("$anchor", "$dynamicAnchor") if isinstance(node.get(key), str))
            queue.extend(node.values())


def _without_slow_patterns(schema: Any) -> Any:
    """Returns the schema without the patterns that we cannot run, wherever that cannot make it refuse more."""
    if not isinstance(schema, Mapping):
        return schema
    return {key: _loosened(key, value) for key, value in schema.items() if key != "pattern" or _is_linear(value)}


def _loosened(key: str, value: Any) -> Any:
    if key in _NAMED_THROUGH and isinstance(value, Mapping):
        return {name: _without_slow_patterns(inner) for name, inner in value.items()}
    if key in _LOOSENED_THROUGH:
        return (
            [_without_slow_patterns(inner) for inner in value]
            if isinstance(value, list)
            else _without_slow_patterns(value)
        )
    return value


def _is_linear(pattern: Any) -> bool:
    try:
        _build({"pattern": pattern})
    except Unusable:
        return False
    return True


def _describe(error: jsonschema_rs.ValidationError) -> str:
    rule = getattr(error.kind, "value", None)
    shown = "" if rule is None or error.kind.name in _NOT_SHOWN else f": {_cut(_written(rule))}"
    return f'at {_pointer(error.instance_path)}: "{error.kind.name}"{shown}'


def _written(rule: Any) -> str:
    return json.dumps(rule, ensure_ascii=False, default=str)


def _pointer(path: list[str | int]) -> str:
    text = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return _cut(text) if text else "the top"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
