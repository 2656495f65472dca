"""What goes over the wire: limits, JSON read strictly, refusals, and the one place where errors become answers."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

import orjson

from kernel.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022

# Ours. JSON-RPC keeps -32768..-32000 for itself and MCP; `error.data.code` is the name to match on.
UNAUTHENTICATED: Final = -31001
FORBIDDEN: Final = -31002
TOO_LARGE: Final = -31003
CONFLICT: Final = -31004
RATE_LIMITED: Final = -31005
UNAVAILABLE: Final = -31006
UPSTREAM: Final = -31007
INTERNAL: Final = -31008
HTTP: Final = -31009


@dataclass(frozen=True, slots=True)
class Limits:
    """Every number that bounds what a caller or an upstream can make the gateway do."""

    body_bytes: int = 1 << 20
    depth: int = 64
    headers: int = 64
    header_bytes: int = 16_384
    token_bytes: int = 8_192
    id_chars: int = 128
    name_chars: int = 256
    payload_bytes: int = 16_384
    upstream_bytes: int = 8 << 20
    deadline: float = 60.0
    in_flight: int = 1_024
    in_flight_per_server: int = 256
    in_flight_per_agent: int = 128
    tokens_cached: int = 20_000
    surfaces_cached: int = 4_096
    audit_batch: int = 500
    audit_pipeline: int = 2
    audit_waiting: int = 10_000
    audit_deadline: float = 10.0
    snapshot_max_age: float = 30.0
    list_ttl_ms: int = 30_000
    clock_skew: float = 30.0
    disconnect_watch_after: float = 0.02


BODY_SECONDS: Final = 20.0
"""How long a request's body may take to arrive; no connection is held open by somebody who sends a byte now and then."""


class Era(Enum):
    """Which of the two families of MCP revisions a request speaks. Chosen once, by header."""

    MODERN = "modern"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Call:
    """One JSON-RPC message that was read and found well-formed. `id` is its raw JSON, None for a notification."""

    era: Era
    version: str
    id: bytes | None
    method: str
    params: Mapping[str, Any]
    headers: Mapping[bytes, bytes] = field(repr=False)
    exact: bool = False
    """True when the numbers need arbitrary precision, so that the fast writer must not touch them."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, complete."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refusal(DomainError):
    """A message that breaks the protocol: HTTP status, JSON-RPC number, and data where the protocol wants some."""

    code = "protocol"

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        number: int = INVALID_REQUEST,
        code: str | None = None,
        data: Mapping[str, Any] | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.number = number
        self.data = data
        self.headers = headers


_log: Final = logging.getLogger(__name__)
_FRAMES: Final = 6

JSON_TYPE: Final = (b"content-type", b"application/json")
_NO_STORE: Final = (b"cache-control", b"no-store")

_ANSWERS: Final[tuple[tuple[type[DomainError], int, int], ...]] = (
    (Unauthenticated, 401, UNAUTHENTICATED),
    (Forbidden, 403, FORBIDDEN),
    (NotFound, 404, HTTP),
    (Invalid, 400, INVALID_PARAMS),
    (TooLarge, 413, TOO_LARGE),
    (Conflict, 409, CONFLICT),
    (PreconditionFailed, 412, CONFLICT),
    (RateLimited, 429, RATE_LIMITED),
    (Unavailable, 503, UNAVAILABLE),
)


def render_error(error: Exception, call_id: bytes | None) -> Reply:
    """Returns the answer to a call that failed. Whatever is not a `DomainError` shows nothing of itself."""
    if isinstance(error, Refusal):
        data = dict(error.data) if error.data is not None else {"code": error.error_code}
        return _error_reply(error.status, error.number, error.message, data, call_id, error.headers)
    if not isinstance(error, DomainError):
        _report(error)
        return _error_reply(500, INTERNAL, "The gateway failed.", {"code": "internal"}, call_id)
    status, number = next(((s, n) for kind, s, n in _ANSWERS if isinstance(error, kind)), (500, INTERNAL))
    data = {"code": error.error_code, **{name: value for name, value in error.facts.items() if value}}
    extra: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, RateLimited):
        extra = ((b"retry-after", str(error.retry_after).encode()),)
    elif isinstance(error, Unavailable):
        extra = ((b"retry-after", b"1"),)
    return _error_reply(status, number, error.message, data, call_id, extra)


def _report(error: Exception) -> None:
    """Tells the operator where it happened and never what it said: that may hold what a caller or a server sent."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    _log.error("unforeseen %s at %s", type(error).__name__, places or "no known place")


def _error_reply(
    status: int,
    number: int,
    message: str,
    data: Mapping[str, Any],
    call_id: bytes | None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Reply:
    error = orjson.dumps({"code": number, "message": message, "data": data}, default=str)
    body = b'{"jsonrpc":"2.0","id":' + (call_id or b"null") + b',"error":' + error + b"}"
    return Reply(status, body, (JSON_TYPE, _NO_STORE, *headers))


JSON_HEADERS: Final = (JSON_TYPE, _NO_STORE)


def result_reply(call_id: bytes, result: bytes, *headers: tuple[bytes, bytes]) -> Reply:
    """Returns the answer that carries `result`, which is JSON already."""
    return Reply(200, b'{"jsonrpc":"2.0","id":' + call_id + b',"result":' + result + b"}", (*JSON_HEADERS, *headers))


async def write_reply(send: Send, reply: Reply) -> None:
    """Sends an answer with its length, so that the connection stays usable."""
    length = (b"content-length", str(len(reply.body)).encode())
    await send({"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, length]})
    await send({"type": "http.response.body", "body": reply.body})


async def read_body(
    scope_headers: Mapping[bytes, bytes], receive: Receive, limit: int, *, seconds: float = BODY_SECONDS
) -> bytes:
    """Returns the request's body. Raises `TooLarge` as soon as it must be longer than `limit`, and never waits for ever."""
    declared = scope_headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared[:20]) > limit:
        raise TooLarge("The request is too large.", code="request_too_large", limit_bytes=limit)
    try:
        async with asyncio.timeout(seconds):
            return await _gather_body(receive, limit)
    except TimeoutError:
        # What may still come belongs to this request, so the connection is of no more use.
        close = ((b"connection", b"close"),)
        raise Refusal("The body did not come in time.", status=408, code="request_slow", headers=close) from None


async def _gather_body(receive: Receive, limit: int) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        _check_arrived(message, body, limit)
        return body
    parts = [body]
    size = len(body)
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        _check_arrived(message, b"", limit)
        if size > limit:
            raise TooLarge("The request is too large.", code="request_too_large", limit_bytes=limit)
    return b"".join(parts)


def _check_arrived(message: Message, body: bytes, limit: int) -> None:
    if message["type"] == "http.disconnect":
        raise Refusal("The request ended before its body.", code="request_incomplete")
    if len(body) > limit:
        raise TooLarge("The request is too large.", code="request_too_large", limit_bytes=limit)
