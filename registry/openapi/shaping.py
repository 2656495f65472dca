"""Schemas of OpenAPI as one self-contained JSON Schema: what a tool's arguments are compared with.

What a schema refers to is gathered below `$defs` instead of being copied to each place, so cycles stay cycles and
nothing unfolds. Only keywords that we know are kept.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from registry.openapi.faults import LeftOut
from registry.openapi.references import References

MAX_PARTS: Final = 2_000
MAX_TEXT: Final = 1_000
_PLAIN: Final = frozenset(
    {"type", "enum", "const", "default", "format", "deprecated", "required", "dependentRequired", "pattern"}
    | {"multipleOf", "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "maxLength", "minLength"}
    | {"maxItems", "minItems", "uniqueItems", "minContains", "maxContains", "maxProperties", "minProperties"}
)
_TOO_WIDE: Final = 2**53
"""No pin holds a whole number from here on; a bound that wide bounds nothing that an agent sends."""
_TEXTS: Final = frozenset({"title", "description"})
_ONE: Final = frozenset(
    {"items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"}
    | {"unevaluatedProperties", "unevaluatedItems"}
)
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
_REFUSED: Final = ("$id", "$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor")
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9_.-]")


class Shaper:
    """Shapes the schemas of one operation. Raises `LeftOut` for what has no such form."""

    def __init__(self, references: References, *, is_old: bool) -> None:
        self._references = references
        self._is_old = is_old
        self._names: dict[str, str] = {}
        self._waiting: list[str] = []
        self._parts = 0
        self.definitions: dict[str, Any] = {}

    @property
    def parts(self) -> int:
        """Returns how much was shaped."""
        return self._parts

    def shape(self, schema: Any) -> Any:
        """Returns the schema; everything that it refers to is in `definitions` afterwards."""
        shaped = self._shape(schema)
        while self._waiting:
            ref = self._waiting.pop()
            self.definitions[self._names[ref]] = self._shape(self._references.target(ref))
        return shaped

    def opened(self, shaped: Any) -> Mapping[str, Any]:
        """Returns a shaped schema with its outermost references followed, to look at its type."""
        for _ in range(16):
            ref = shaped.get("$ref") if isinstance(shaped, Mapping) else None
            if not isinstance(ref, str):
                break
            shaped = self.definitions.get(ref.removeprefix("#/$defs/"))
        return shaped if isinstance(shaped, Mapping) else {}

    def _shape(self, schema: Any) -> Any:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise LeftOut(f"its schemas have more than {MAX_PARTS:,} parts")
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise LeftOut("a schema in it is not an object")
        if any(name in schema for name in _REFUSED):
            raise LeftOut("a schema in it has an identifier or a dynamic reference, which is not followed")
        if isinstance(ref := schema.get("$ref"), str):
            rest = {} if self._is_old else {key: value for key, value in schema.items() if key != "$ref"}
            return {"$ref": self._name(ref), **self._members(rest)}
        return self._members(self._renewed(schema) if self._is_old else schema)

    def _name(self, ref: str) -> str:
        if ref not in self._names:
            plain = _NOT_PLAIN.sub("_", ref.rpartition("/")[2])[:64] or "schema"
            name, taken, number = plain, set(self._names.values()), 2
            while name in taken:
                name, number = f"{plain}_{number}", number + 1
            self._names[ref] = name
            self._waiting.append(ref)
        return f"#/$defs/{self._names[ref]}"

    def _members(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _PLAIN and not (isinstance(value, int) and abs(value) >= _TOO_WIDE):
                found[key] = value
            elif key in _TEXTS and isinstance(value, str):
                found[key] = value[:MAX_TEXT]
            elif key in _ONE:
                found[key] = self._shape(value)
            elif key in _LISTS and isinstance(value, list):
                found[key] = [self._shape(inner) for inner in value]
            elif key in _MAPS and isinstance(value, Mapping):
                found[key] = {name: self._shape(inner) for name, inner in value.items()}
        return _without_read_only(schema, found)

    @staticmethod
    def _renewed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns a schema of OpenAPI 3.0 in the words of JSON Schema 2020-12."""
        new = dict(schema)
        for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(strict := new.get(bound), bool):
                del new[bound]
                if strict and limit in new:
                    new[bound] = new.pop(limit)
        if new.get("nullable") is True and isinstance(new.get("type"), str):
            new["type"] = [new["type"], "null"]
            if isinstance(values := new.get("enum"), list) and None not in values:
                new["enum"] = [*values, None]
        return new


def _without_read_only(schema: Mapping[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What an API only answers with is not for an agent to send."""
    inner = schema.get("properties")
    if not isinstance(inner, Mapping):
        return found
    hidden = {name for name, part in inner.items() if isinstance(part, Mapping) and part.get("readOnly") is True}
    if hidden:
        found["properties"] = {name: part for name, part in found["properties"].items() if name not in hidden}
        if isinstance(required := found.get("required"), list):
            found["required"] = [name for name in required if name not in hidden]
    return found
