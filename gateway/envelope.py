"""Reads one message: chooses the era by header, then checks that headers and body say the same."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.rewrite import decode_header, read_json
from gateway.wire import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    UNSUPPORTED_VERSION,
    Call,
    Era,
    Limits,
    Refusal,
)

MODERN_VERSION: Final = "2026-07-28"
LEGACY_VERSIONS: Final = ("2025-03-26", "2025-06-18", "2025-11-25")
NEWEST_LEGACY: Final = LEGACY_VERSIONS[-1]

META_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
META_CLIENT: Final = "io.modelcontextprotocol/clientInfo"

_VERSION_HEADER: Final = b"mcp-protocol-version"
_METHOD_HEADER: Final = b"mcp-method"
_NAME_HEADER: Final = b"mcp-name"
_NAMED: Final[Mapping[str, str]] = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

# A reader of the first and a reader of the last copy would disagree about what was asked.
_ONCE: Final = frozenset(
    {b"host", b"origin", b"authorization", b"content-type", b"content-length", b"content-encoding"}
    | {_VERSION_HEADER, _METHOD_HEADER, _NAME_HEADER}
)
_LEGACY_HEADERS: Final = frozenset(version.encode() for version in LEGACY_VERSIONS)


def fold_headers(raw: list[tuple[bytes, bytes]], limits: Limits) -> dict[bytes, bytes]:
    """Returns headers by name. Refuses too many, too long, and a second copy of any that we decide by."""
    folded = dict(raw)
    size = sum(map(len, folded)) + sum(map(len, folded.values()))
    if len(folded) != len(raw):
        _check_once(raw)
        size = sum([len(name) + len(value) for name, value in raw])
    if len(raw) > limits.headers or size > limits.header_bytes:
        raise Refusal("The request has too many or too long headers.", status=431, code="headers_too_large")
    return folded


def _check_once(raw: list[tuple[bytes, bytes]]) -> None:
    seen: set[bytes] = set()
    for name, _ in raw:
        if name in seen and (name in _ONCE or name.startswith(b"mcp-param-")):
            raise Refusal(
                f"The header {name.decode('latin-1')} appears more than once.",
                number=HEADER_MISMATCH,
                code="header_duplicate",
            )
        seen.add(name)


def read_call(headers: Mapping[bytes, bytes], body: bytes, limits: Limits) -> Call:
    """Returns the one message in a body, checked against the rules of its era. Raises `Refusal` for all else."""
    version = headers.get(_VERSION_HEADER, b"").strip(b" \t")
    era = Era.LEGACY if not version or version in _LEGACY_HEADERS else Era.MODERN
    message, exact = read_json(body, depth=limits.depth)
    if isinstance(message, list):
        raise Refusal("Batches are not accepted: send one message per request.", code="batch_refused")
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):
        raise Refusal("The body must be one JSON-RPC request or notification.", code="message_malformed")
    call_id = _read_id(message, limits) if "id" in message else None
    params = message.get("params", {})
    try:
        return _checked(Call(era, version.decode("latin-1"), call_id, message["method"], params, headers, exact))
    except Refusal as refusal:
        raise Answerable(refusal, call_id) from None


class Answerable(Exception):
    """A refusal of a message whose id is known, so that the answer can carry it."""

    def __init__(self, refusal: Refusal, call_id: bytes | None) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.call_id = call_id


def _read_id(message: Mapping[str, Any], limits: Limits) -> bytes:
    value = message["id"]
    if isinstance(value, bool) or not isinstance(value, (str, int)) or len(str(value)) > limits.id_chars:
        raise Refusal(
            f"The id must be a string or integer of at most {limits.id_chars} characters.", code="id_malformed"
        )
    return orjson.dumps(value) if isinstance(value, str) else str(value).encode()


def _checked(call: Call) -> Call:
    if not isinstance(call.params, dict):
        raise Refusal("params must be an object.", number=INVALID_PARAMS, code="params_malformed")
    meta = call.params.get("_meta")
    if call.era is Era.MODERN:
        return _checked_modern(call, meta)
    if isinstance(meta, dict) and META_VERSION in meta:
        # It speaks the new revision in its body and hides it from whoever routes by header.
        raise _mismatch("the MCP-Protocol-Version header is missing or names another revision")
    return call


def _checked_modern(call: Call, meta: Any) -> Call:
    if call.id is None:
        _check_version(call.version)
        return call
    if not isinstance(meta, dict):
        raise _lacks("params._meta must be an object with the keys that this revision requires.")
    missing = [key for key in (META_VERSION, META_CAPABILITIES) if key not in meta]
    if missing:
        raise _lacks(f"params._meta lacks {', '.join(missing)}.")
    if meta[META_VERSION] != call.version:
        raise _mismatch("the MCP-Protocol-Version header does not match the body's _meta")
    if decode_header(call.headers.get(_METHOD_HEADER, b"")) != call.method:
        raise _mismatch("the Mcp-Method header does not match the body's method")
    key = _NAMED.get(call.method)
    if key is not None and _says(call.headers.get(_NAME_HEADER)) != call.params.get(key):
        raise _mismatch(f"the Mcp-Name header does not match the body's {key}")
    _check_version(call.version)
    if not isinstance(meta[META_CAPABILITIES], dict):
        raise _lacks("The client's capabilities must be an object.")
    return call


def _says(value: bytes | None) -> str | None:
    return None if value is None else decode_header(value)


def _check_version(version: str) -> None:
    if version != MODERN_VERSION:
        raise Refusal(
            "Unsupported protocol version",
            number=UNSUPPORTED_VERSION,
            code="version_unsupported",
            data={"supported": [MODERN_VERSION], "requested": version, "code": "version_unsupported"},
        )


def _mismatch(what: str) -> Refusal:
    return Refusal(f"Headers and body disagree: {what}.", number=HEADER_MISMATCH, code="header_mismatch")


def _lacks(what: str) -> Refusal:
    return Refusal(what, number=INVALID_PARAMS, code="meta_missing")
