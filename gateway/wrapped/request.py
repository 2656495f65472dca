"""One HTTP request from an approved plan and arguments that fit the approved schema.

The plan says method, path and header names; an argument only ever fills a value. Whatever could be read as more than a
value by the server, by a proxy or by a router that decodes first (a slash in a path segment, a dot segment, an end of
line) is refused before anything is recorded as allowed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson

from gateway.rewrite import write_json
from registry.openapi.plans import FORM_BODY, Part, Plan, Unplanned, read_plan, split_path

MAX_TARGET: Final = 8_000
MAX_HEADER: Final = 4_000
_ACCEPT: Final = (b"accept", b"application/json, text/*;q=0.8, */*;q=0.1")
_HEADER_TEXT: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Unfit(ValueError):
    """Arguments that cannot be written into the request. The message names the argument, never its value."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What all requests of one operation share. `plan` is None when the approved one cannot be used."""

    plan: Plan | None
    pieces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A request but for what the gateway adds: its credential and its trace."""

    verb: bytes
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def pattern_of(request: bytes, base: str) -> Pattern:
    """Returns the pattern of an approved plan below the server's own path. No plan means that nothing can be called."""
    try:
        plan = read_plan(orjson.loads(request or b"null"))
    except (Unplanned, orjson.JSONDecodeError):
        return Pattern(None)
    pieces, names = split_path(plan.path)
    return Pattern(plan, (base.partition("?")[0].rstrip("/") + pieces[0], *pieces[1:]), names)


def build_request(pattern: Pattern, arguments: Mapping[str, Any], *, exact: bool) -> Request:
    """Returns the request. Raises `Unfit` with what to mend."""
    plan = pattern.plan
    if plan is None:
        raise Unfit("the approved plan of this operation cannot be used")
    path = _path(pattern, plan, arguments)
    query = "&".join(_query(plan, arguments))
    target = f"{path}?{query}" if query else path
    if len(target) > MAX_TARGET:
        raise Unfit(f"the address would be longer than {MAX_TARGET} characters")
    headers = [_ACCEPT, *_headers(plan, arguments)]
    body = b""
    if plan.body is not None and plan.body.argument in arguments:
        headers.append((b"content-type", plan.body.media.encode()))
        body = _body(plan.body.kind, plan.body.argument, arguments[plan.body.argument], exact=exact)
    return Request(plan.method.encode(), target, tuple(headers), body)


def _path(pattern: Pattern, plan: Plan, arguments: Mapping[str, Any]) -> str:
    parts = {part.name: part for part in plan.parts if part.place == "path"}
    filled = [pattern.pieces[0]]
    for name, piece in zip(pattern.names, pattern.pieces[1:], strict=True):
        part = parts[name]
        filled += [_segment(part, arguments.get(part.argument)), piece]
    return "".join(filled)


def _segment(part: Part, value: Any) -> str:
    texts = _texts(part, value)
    if not texts or not all(texts):
        raise Unfit(f"“{part.argument}” is empty, and a part of the path cannot be")
    for text in texts:
        _check_segment(part, text)
    return ",".join(_quoted(text) for text in texts)


def _check_segment(part: Part, text: str) -> None:
    """Some servers decode a path before they look for its slashes, and some decode it twice.

    A value is never empty and never only a dot or two, so neither is the segment that it is a part of.
    """
    for _ in range(3):
        if "/" in text or "\\" in text or text in {".", ".."} or _CONTROL.search(text):
            raise Unfit(
                f"“{part.argument}” stands in one segment of the path: no slash, dot segment or control character"
            )
        if (plain := unquote(text)) == text:
            return
        text = plain
    raise Unfit(f"“{part.argument}” is percent-encoded again and again")


def _query(plan: Plan, arguments: Mapping[str, Any]) -> Iterator[str]:
    for part in plan.parts:
        value = arguments.get(part.argument)
        if part.place != "query" or value is None:
            continue
        name = _quoted(part.name)
        if part.style == "json":
            yield f"{name}={_quoted(write_json(value, exact=True).decode())}"
        elif part.style == "deep":
            yield from _deep(part, name, value)
        elif part.style == "repeat":
            yield from (f"{name}={_quoted(text)}" for text in _texts(part, value))
        elif texts := _texts(part, value):
            yield f"{name}={','.join(_quoted(text) for text in texts)}"


def _deep(part: Part, name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        raise Unfit(f"“{part.argument}” must be an object")
    for key, inner in value.items():
        if not key or set(key) & set("[]"):
            raise Unfit(f"“{part.argument}” has a key that is empty or holds a bracket")
        if inner is not None:
            yield from (f"{name}%5B{_quoted(key)}%5D={_quoted(text)}" for text in _texts(part, inner))


def _headers(plan: Plan, arguments: Mapping[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for part in plan.parts:
        value = arguments.get(part.argument)
        if part.place != "header" or value is None:
            continue
        text = ",".join(_texts(part, value))
        if len(text) > MAX_HEADER or not _HEADER_TEXT.fullmatch(text):
            raise Unfit(f"“{part.argument}” goes into a header: printable ASCII, no space at the ends, not empty")
        yield part.name.lower().encode(), text.encode()


def _body(kind: str, argument: str, value: Any, *, exact: bool) -> bytes:
    if kind != FORM_BODY:
        return write_json(value, exact=exact)
    if not isinstance(value, Mapping):
        raise Unfit(f"“{argument}” must be an object")
    fields = Part(argument, "body", argument)
    pairs = [(key, text) for key, inner in value.items() if inner is not None for text in _texts(fields, inner)]
    return "&".join(f"{_quoted(key)}={_quoted(text)}" for key, text in pairs).encode()


def _texts(part: Part, value: Any) -> list[str]:
    """Returns the plain values of an argument as text: one, or those of a list."""
    if value is None:
        return []
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    return [_text(part, item) for item in values]


def _text(part: Part, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return write_json(value, exact=True).decode()
    raise Unfit(f"“{part.argument}” must be a plain value or a list of plain values")


def _quoted(text: str) -> str:
    """Nothing but letters, digits and `-._~` stands for itself."""
    return quote(text, safe="")
