"""JSON in and out without loss: strict reading, and results spliced instead of written again."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final, Never

import orjson

from gateway.sse import EventParser
from gateway.wire import INVALID_REQUEST, PARSE_ERROR, Refusal

_DIGITS: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_TOO_LONG: Final = b"0" * 19
"""So many digits in a row may be a number that 64 bits do not hold."""

_SENTINEL: Final = re.compile(r"\A=\?base64\?(.*)\?=\Z")
_TOKEN: Final = re.compile(r"\A[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_SAFE: Final = re.compile(r"\A[\x20-\x7e]*\Z")


def read_json(body: bytes, *, depth: int) -> tuple[Any, bool]:
    """Returns the value and whether its numbers need exact writing. Duplicate keys and deep nesting are refused."""
    exact = _TOO_LONG in body.translate(_DIGITS)
    try:
        value = _loads_exactly(body) if exact else orjson.loads(body)
    except (ValueError, RecursionError):
        raise Refusal("The body is not valid JSON.", number=PARSE_ERROR, code="json_invalid") from None
    if body.count(b"{") + body.count(b"[") > depth:
        _check_depth(value, depth)
    if not exact:
        _check_keys(body, value)
    return value, exact


def write_json(value: Any, *, exact: bool) -> bytes:
    """Returns compact JSON. `exact` keeps integers of any size as they came."""
    if exact:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    return orjson.dumps(value)


def _check_keys(body: bytes, value: Any) -> None:
    # A dropped duplicate takes at least one colon with it; all other colons survive a round trip unless the
    # sender escaped one, and then the slow reader decides.
    if b"\\u003" in body or body.count(b":") != orjson.dumps(value).count(b":"):
        _loads_exactly(body)


def _loads_exactly(body: bytes) -> Any:
    value = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    # What cannot be written again, as half a character or a number beyond all numbers, cannot be recorded or sent.
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Refusal("An object holds the same key twice.", number=PARSE_ERROR, code="json_duplicate_key")
    return made


def _no_constant(_text: str) -> Never:
    raise ValueError


def _check_depth(value: Any, depth: int) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(depth):
        inner = (item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer))
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return
    raise Refusal("The JSON is nested too deeply.", number=INVALID_REQUEST, code="json_too_deep")


def decode_header(value: bytes) -> str | None:
    """Returns what a routing header says, its base64 form opened; None when that form is malformed."""
    text = value.strip(b" \t").decode("latin-1")
    if not text.startswith("=?"):
        return text
    match = _SENTINEL.match(text)
    if match is None:
        return text
    try:
        raw = base64.b64decode(match[1], validate=True)
        if base64.b64encode(raw).decode() != match[1]:
            return None
        return raw.decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def encode_header(value: str) -> bytes:
    """Returns a header value that survives HTTP: as it is when plain ASCII, else in its base64 form."""
    if _SAFE.match(value) and value == value.strip() and not _SENTINEL.match(value):
        return value.encode()
    return b"=?base64?" + base64.b64encode(value.encode()) + b"?="


def open_response(body: bytes, sent_id: bytes) -> tuple[dict[str, Any], bytes | None]:
    """Returns the upstream's JSON-RPC response and, where it can be told, the raw bytes of its result.

    Raises `ValueError` when it is not one response to the request `sent_id`.
    """
    head = b'{"jsonrpc":"2.0","id":' + sent_id + b',"result":'
    tail = b',"jsonrpc":"2.0","id":' + sent_id + b"}"
    if body.startswith(head) and body.endswith(b"}"):
        raw = body[len(head) : -1]
    elif body.startswith(b'{"result":') and body.endswith(tail):
        raw = body[len(b'{"result":') : -len(tail)]
    else:
        return _open_slowly(body, sent_id), None
    try:
        # That the slice is one JSON value proves that the envelope has these three members and no other.
        return {"result": orjson.loads(raw)}, raw
    except orjson.JSONDecodeError:
        return _open_slowly(body, sent_id), None


def _open_slowly(body: bytes, sent_id: bytes) -> dict[str, Any]:
    try:
        value = _loads_exactly(body)
    except (Refusal, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise ValueError("not a JSON-RPC response")
    if isinstance(value.get("id"), bool) or value.get("id") != int(sent_id):
        raise ValueError("a response to another request")
    if ("result" in value) == ("error" in value):
        raise ValueError("neither a result nor an error")
    return value


def last_event(body: bytes, sent_id: bytes) -> bytes:
    """Returns the JSON-RPC response in an event stream: the data of the last event that answers `sent_id`."""
    events = EventParser(len(body) + 1).feed(body)
    return next((data for data in reversed(events) if _answers(data, sent_id)), b"")


def _answers(data: bytes, sent_id: bytes) -> bool:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(value, dict) or isinstance(value.get("id"), bool):
        return False
    return value.get("id") == int(sent_id) and ("result" in value or "error" in value)


def header_paths(schema: Any) -> tuple[tuple[tuple[str, ...], bytes], ...]:
    """Returns the path and the header name, in lower case, of each property that is mirrored into a header."""
    found: list[tuple[tuple[str, ...], bytes]] = []
    stack: list[tuple[tuple[str, ...], Any]] = [((), schema)]
    while stack:
        path, node = stack.pop()
        if not isinstance(node, dict):
            continue
        token = node.get("x-mcp-header")
        if path and isinstance(token, str) and _TOKEN.match(token):
            found.append((path, b"mcp-param-" + token.lower().encode()))
        inner = node.get("properties")
        if isinstance(inner, dict):
            stack.extend(((*path, name), sub) for name, sub in inner.items())
    return tuple(found)


def header_value(arguments: Any, path: tuple[str, ...]) -> str | None:
    """Returns how an argument is mirrored into its header; None when it is absent or has no such form."""
    node = arguments
    for name in path:
        node = node.get(name) if isinstance(node, Mapping) else None
    if isinstance(node, bool):
        return "true" if node else "false"
    return str(node) if isinstance(node, (str, int, float)) else None
