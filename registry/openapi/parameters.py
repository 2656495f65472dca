"""The parameters and the body of one operation: what the tool takes, and where each argument goes."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from registry.openapi.faults import LeftOut, shown
from registry.openapi.plans import FORM_BODY, JSON_BODY, PLACES, Body, Part, is_sendable
from registry.openapi.shaping import MAX_TEXT, Shaper

MAX_PARAMETERS: Final = 60
BODY: Final = "body"
_IGNORED: Final = frozenset({"accept", "content-type", "authorization"})
"""OpenAPI says of these three: a header parameter of this name is ignored."""
_NOT_ARGUMENT: Final = re.compile(r"[^A-Za-z0-9_.-]")
_DEFAULT_STYLE: Final = {"path": "simple", "query": "form", "header": "simple"}
_FORM_MEDIA: Final = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class Taken:
    """What was made of an operation's parameters and body so far."""

    parts: list[Part] = field(default_factory=list)
    body: Body | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter with its references followed and its schema shaped."""

    name: str
    place: str
    style: str
    required: bool
    schema: Mapping[str, Any]


def take_parameters(taken: Taken, given: Iterable[Mapping[str, Any]], shaper: Shaper, secret: frozenset[str]) -> None:
    """Adds the parameters. One that cannot be sent is noted when it is optional, and raises `LeftOut` when it is not.

    `secret` holds the headers and query names that the API's credential has: no argument fills those.
    """
    kept: list[Parameter] = []
    for parameter in given:
        name, place = parameter.get("name"), parameter.get("in")
        if not isinstance(name, str) or not 0 < len(name) <= 100 or not name.isprintable():
            raise LeftOut("a parameter has no usable name")
        if place == "header" and name.lower() in _IGNORED:
            continue
        required = parameter.get("required") is True or place == "path"
        reason = _secret_or_unsendable(name, place, secret)
        made = None
        if not reason:
            made, reason = _read(name, str(place), parameter, shaper, required=required)
        if made is not None:
            kept.append(made)
        elif required and not (reason and name.lower() in secret):
            raise LeftOut(f"the parameter “{shown(name)}” is required, and {reason}")
        else:
            taken.notes.append(f"“{shown(name)}” is left out: {reason}")
    if len(kept) > MAX_PARAMETERS:
        raise LeftOut(f"it has more than {MAX_PARAMETERS} parameters")
    _add(taken, kept)


def _secret_or_unsendable(name: str, place: Any, secret: frozenset[str]) -> str:
    if place == "cookie":
        return "cookies are not sent"
    if place not in PLACES:
        return f"“{shown(place, 20)}” is not a place that we know"
    if place != "path" and name.lower() in secret:
        return "the gateway's credential stands there"
    if place == "header" and not is_sendable(name.lower()):
        return "no argument fills this header"
    return ""


def _read(
    name: str, place: str, parameter: Mapping[str, Any], shaper: Shaper, *, required: bool
) -> tuple[Parameter | None, str]:
    content = parameter.get("content")
    if isinstance(content, Mapping):
        if place != "query" or list(content) != ["application/json"]:
            return None, "its content has a type that is not written into a parameter"
        schema, style = shaper.shape(_schema_of(content["application/json"])), "json"
    else:
        schema = shaper.shape(_schema_of(parameter))
        style, reason = _style(place, parameter, shaper.opened(schema), shaper)
        if reason:
            return None, reason
    said = parameter.get("description")
    if isinstance(said, str) and said and isinstance(schema, Mapping) and "description" not in schema:
        schema = {**schema, "description": said[:MAX_TEXT]}
    return Parameter(name, place, style, required, {} if schema is True else schema), ""


def _schema_of(node: Any) -> Any:
    return node.get("schema", {}) if isinstance(node, Mapping) else {}


def _style(place: str, parameter: Mapping[str, Any], schema: Mapping[str, Any], shaper: Shaper) -> tuple[str, str]:
    """Returns how its value is written, or why it cannot be."""
    style = parameter.get("style", _DEFAULT_STYLE[place])
    explode = parameter.get("explode", style == "form")
    types = _types(schema)
    if style == "deepObject" and place == "query":
        return "deep", ""
    if style != _DEFAULT_STYLE[place]:
        return "", f"its style “{shown(style, 30)}” is not written"
    if "object" in types:
        return "", "an object is written into a parameter only in the style deepObject"
    if "array" not in types:
        return ("repeat" if place == "query" and explode is True else "comma") if not types else "plain", ""
    if _types(shaper.opened(schema.get("items", {}))) & {"object", "array"}:
        return "", "its items are not plain values"
    return ("repeat" if place == "query" and explode is True else "comma"), ""


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    kind = schema.get("type")
    return frozenset([kind] if isinstance(kind, str) else kind if isinstance(kind, list) else [])


def _add(taken: Taken, kept: list[Parameter]) -> None:
    plain = Counter(_argument(parameter.name) for parameter in kept)
    for parameter in kept:
        name = _argument(parameter.name)
        if plain[name] > 1 or name == BODY:
            name = f"{name}_{parameter.place}"
        if name in taken.properties:
            raise LeftOut(f"two parameters cannot be told apart: “{shown(parameter.name)}”")
        taken.properties[name] = parameter.schema
        if parameter.required:
            taken.required.append(name)
        taken.parts.append(Part(name, parameter.place, parameter.name, parameter.style))


def _argument(name: str) -> str:
    return _NOT_ARGUMENT.sub("_", name)[:56]


def take_body(taken: Taken, request_body: Any, method: str, shaper: Shaper) -> None:
    """Adds the body as the argument `body`. Raises `LeftOut` for one that we cannot write."""
    if not isinstance(request_body, Mapping):
        return
    required = request_body.get("required") is True
    if method in {"GET", "DELETE"}:
        if required:
            raise LeftOut(f"a {method} request with a body is not sent")
        taken.notes.append(f"the body is left out: a {method} request is sent without one")
        return
    content = request_body.get("content")
    content = content if isinstance(content, Mapping) else {}
    media = list(content)
    chosen, kind = _choose(media)
    if not kind:
        if any(str(name).startswith("multipart/") for name in media):
            raise LeftOut("its body is multipart: files are not passed through an agent's arguments")
        raise LeftOut(f"its body is neither JSON nor a form: {shown(', '.join(map(str, media)) or 'nothing')}")
    schema = shaper.shape(_schema_of(content[chosen]))
    if kind == FORM_BODY:
        _check_form(shaper.opened(schema), shaper)
    _add_body(taken, Body(BODY, chosen.partition(";")[0].strip().lower(), kind), schema, request_body)
    if required:
        taken.required.append(BODY)


def _add_body(taken: Taken, body: Body, schema: Any, request_body: Mapping[str, Any]) -> None:
    said = request_body.get("description")
    if isinstance(schema, Mapping) and isinstance(said, str) and said and "description" not in schema:
        schema = {**schema, "description": said[:MAX_TEXT]}
    taken.properties[BODY] = schema
    taken.body = body


def _choose(media: list[Any]) -> tuple[str, str]:
    names = {str(name).partition(";")[0].strip().lower(): str(name) for name in media}
    for plain, name in names.items():
        if plain == "application/json" or plain.endswith("+json"):
            return name, JSON_BODY
    return (names[_FORM_MEDIA], FORM_BODY) if _FORM_MEDIA in names else ("", "")


def _check_form(schema: Mapping[str, Any], shaper: Shaper) -> None:
    if "object" not in _types(schema) and "properties" not in schema:
        raise LeftOut("its form has no fields")
    for name, inner in schema.get("properties", {}).items():
        opened = shaper.opened(inner)
        items = shaper.opened(opened.get("items", {})) if "array" in _types(opened) else {}
        if "object" in _types(opened) or _types(items) & {"object", "array"}:
            raise LeftOut(f"its form has a field that is not a plain value: “{shown(name)}”")
