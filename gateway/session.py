"""Calls to upstreams of the handshake era (2025-03-26 to 2025-11-25), which want a session before they answer.

One session for each (target, partition): callers with different credentials never share one. It is opened at the first
call, with no capability, so the upstream may ask us for nothing; what it asks all the same gets an error. A session
that the upstream has forgotten (404, so the call was not executed) is opened again and the call repeated once; nothing
else is ever repeated. `LegacySessions.call` returns one JSON-RPC response in the words of 2026-07-28.
"""

import asyncio
import itertools
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.egress import Egress, Headers, StreamReply, Target
from gateway.envelope import LEGACY_VERSIONS, MODERN_VERSION
from gateway.legacy import SERVER_INFO
from gateway.rewrite import read_json, write_json
from gateway.sse import EventParser
from gateway.upstream_errors import BadStatus, ProtocolBroken, UpstreamError
from gateway.wire import Refusal

Message = dict[str, Any]
Key = tuple[str, str, str | None, bytes | str]

MAX_DEPTH: Final = 128
MAX_SESSIONS: Final = 1024
MAX_QUESTIONS: Final = 32
SMALL: Final = 256 * 1024
GOODBYE_SECONDS: Final = 3.0
"""How long a finished event stream may take to end, so that its connection can be used again."""
SETTLE_SECONDS: Final = 0.05
_SESSION_ID: Final = re.compile(rb"[\x21-\x7e]{1,1024}")
_COMPLETE: Final = {"resultType": "complete"}
_UNCACHED: Final = {**_COMPLETE, "ttlMs": 0, "cacheScope": "private"}
_CACHEABLE: Final = frozenset(
    {"tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"}
)
_OURS: Final = frozenset({b"accept", b"content-type"})
_NOTHING_OFFERED: Final = {"code": -32601, "message": "This client offers nothing to servers."}


class _Forgotten(Exception):
    """The upstream does not know the session any more; it did not execute the call."""


@dataclass(slots=True)
class _Session:
    version: str
    id: bytes | None = None
    info: Message = field(default_factory=dict)
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))


@dataclass(frozen=True, slots=True)
class _Route:
    """What stays the same over the exchanges of one call."""

    target: Target
    headers: Headers = field(repr=False)
    partition: bytes | str
    deadline: float
    max_bytes: int

    @property
    def seconds(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


class LegacySessions:
    """The sessions of one worker. They may be lost at any time: that costs a handshake and nothing else."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._sessions: OrderedDict[Key, asyncio.Task[_Session]] = OrderedDict()
        self._farewells: set[asyncio.Task[None]] = set()

    async def call(
        self,
        target: Target,
        headers: Headers,
        method: str,
        params: Mapping[str, Any],
        *,
        request_id: bytes,
        protocol: str,
        timeout: float,  # noqa: ASYNC109 - one deadline over the handshake and the call
        max_bytes: int,
        partition: bytes | str = "",
        exact: bool = False,
    ) -> bytes:
        """Returns a JSON-RPC response with `request_id` (raw JSON), or raises UpstreamError.

        `protocol` is the version to offer. `headers` carry the credential; protocol headers in them are replaced.
        """
        plain = [(name, value) for name, value in headers if not _is_ours(name)]
        route = _Route(target, plain, partition, time.monotonic() + timeout, max_bytes)
        if method == "server/discover":
            return _discovered((await self._session(route, protocol)).info, request_id)
        wanted = {name: value for name, value in params.items() if name != "_meta"}
        message = await self._call_once_more(route, protocol, method, wanted, exact)
        return _modern(message, method, request_id)

    async def _call_once_more(
        self,
        route: _Route,
        protocol: str,
        method: str,
        params: Message,
        exact: bool,  # noqa: FBT001
    ) -> Message:
        session = await self._session(route, protocol)
        try:
            return await self._exchange(route, session, method, params, exact=exact)
        except _Forgotten:
            self._forget(route, session)
        session = await self._session(route, protocol)
        try:
            return await self._exchange(route, session, method, params, exact=exact)
        except _Forgotten:
            raise BadStatus("The server forgets its sessions at once.", status=404) from None

    # Sessions

    async def _session(self, route: _Route, protocol: str) -> _Session:
        """Returns the session of this credential; callers that come together wait for the same handshake."""
        key = _key(route)
        opening = self._sessions.get(key)
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            opening = self._sessions[key] = asyncio.create_task(self._open(route, protocol))
            opening.add_done_callback(_look_at)
            while len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(key)
        # A caller that goes away must not take the handshake away from the others.
        return await asyncio.shield(opening)

    def _forget(self, route: _Route, session: _Session) -> None:
        held = self._sessions.get(_key(route))
        # Another caller may have opened a new one already.
        if held is not None and held.done() and not held.cancelled() and held.result() is session:
            del self._sessions[_key(route)]

    async def _open(self, route: _Route, protocol: str) -> _Session:
        session = _Session(protocol if protocol in LEGACY_VERSIONS else LEGACY_VERSIONS[-1])
        client = {"name": SERVER_INFO["name"], "version": SERVER_INFO["version"]}
        params = {"protocolVersion": session.version, "capabilities": {}, "clientInfo": client}
        answer = await self._exchange(route, session, "initialize", params)
        result = answer.get("result")
        if not isinstance(result, dict) or result.get("protocolVersion") not in LEGACY_VERSIONS:
            raise ProtocolBroken("The server and the gateway share no protocol version.", sent=True)
        session.info, session.version = result, result["protocolVersion"]
        await self._send(route, session, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        return session

    async def close(self) -> None:
        """Drops every session; upstreams let them expire."""
        for opening in self._sessions.values():
            opening.cancel()
        self._sessions.clear()
        await asyncio.gather(*self._farewells, return_exceptions=True)

    # Exchanges

    async def _exchange(
        self, route: _Route, session: _Session, method: str, params: Message, *, exact: bool = False
    ) -> Message:
        """Returns the response to one request of ours."""
        number = next(session.ids)
        body = write_json({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, exact=exact)
        try:
            async with self._egress.stream(
                route.target,
                _headers(route, session, with_session=method != "initialize"),
                body,
                timeout=route.seconds,
                max_bytes=route.max_bytes,
                partition=route.partition,
            ) as reply:
                message = await self._read(route, session, reply, number)
                if method == "initialize":
                    session.id = _session_id(reply)
                return message
        except (asyncio.CancelledError, UpstreamError) as error:
            if method != "initialize" and (isinstance(error, asyncio.CancelledError) or error.error_code == "timeout"):
                self._cancel_at_server(route, session, number)
            raise

    async def _read(self, route: _Route, session: _Session, reply: StreamReply, number: int) -> Message:
        if reply.status == 404 and session.id is not None:
            raise _Forgotten
        kind = reply.header(b"content-type").partition(b";")[0].strip().lower()
        if kind == b"text/event-stream" and reply.status < 300:
            message = await self._read_events(route, session, reply, number)
        elif kind == b"application/json":
            message = _parse(b"".join([chunk async for chunk in reply.chunks()]))
        else:
            raise BadStatus(f"The server answered with HTTP {reply.status} and no JSON.", status=reply.status)
        if message.get("id") != number or isinstance(message.get("id"), bool):
            raise _not_an_answer(reply.status)
        if isinstance(message.get("result"), dict) == isinstance(message.get("error"), dict):
            raise _not_an_answer(reply.status)
        return message

    async def _read_events(self, route: _Route, session: _Session, reply: StreamReply, number: int) -> Message:
        """Returns the final response. Notifications are dropped, questions are refused."""
        parser = EventParser(route.max_bytes)
        questions = 0
        chunks = reply.chunks()
        async for chunk in chunks:
            for data in parser.feed(chunk):
                message = _parse(data)
                if "method" not in message and message.get("id") == number:
                    await _settle(chunks)
                    return message
                if "method" in message and "id" in message:
                    questions += 1
                    if questions > MAX_QUESTIONS:
                        raise ProtocolBroken("The server asks the gateway too much.", sent=True)
                    await self._send(route, session, _answer_question(message))
        raise ProtocolBroken("The server's event stream ended without an answer.", sent=True)

    async def _send(self, route: _Route, session: _Session, message: Message) -> None:
        """Sends what has no response."""
        reply = await self._egress.post(
            route.target,
            _headers(route, session),
            write_json(message, exact=True),
            timeout=route.seconds,
            max_bytes=SMALL,
            partition=route.partition,
        )
        if reply.status >= 300:
            raise BadStatus(f"The server refused a notification with HTTP {reply.status}.", status=reply.status)

    def _cancel_at_server(self, route: _Route, session: _Session, number: int) -> None:
        """In this era hanging up means nothing, so the upstream is told; nobody waits for that."""
        later = _Route(route.target, route.headers, route.partition, time.monotonic() + GOODBYE_SECONDS, SMALL)
        params = {"requestId": number, "reason": "The caller went away."}
        message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
        farewell = asyncio.create_task(self._say_goodbye(later, session, message))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    async def _say_goodbye(self, route: _Route, session: _Session, message: Message) -> None:
        try:
            await self._send(route, session, message)
        except UpstreamError:
            # The call has its outcome already; whether the upstream heard this changes nothing of it.
            pass


def _key(route: _Route) -> Key:
    return (route.target.origin, route.target.path, route.target.uds, route.partition)


def _look_at(opening: "asyncio.Task[_Session]") -> None:
    """Reads a failure that nobody may be waiting for any more, so that the loop does not report it as lost."""
    if not opening.cancelled():
        opening.exception()


def _is_ours(name: bytes) -> bool:
    lowered = name.lower()
    return lowered in _OURS or lowered.startswith(b"mcp-")


def _headers(route: _Route, session: _Session, *, with_session: bool = True) -> list[tuple[bytes, bytes]]:
    headers = [
        *route.headers,
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
    ]
    if with_session:
        headers.append((b"mcp-protocol-version", session.version.encode()))
        if session.id is not None:
            headers.append((b"mcp-session-id", session.id))
    return headers


def _session_id(reply: StreamReply) -> bytes | None:
    value = reply.header(b"mcp-session-id")
    if value and not _SESSION_ID.fullmatch(value):
        raise ProtocolBroken("The server's session id has characters that are not allowed.", sent=True)
    return value or None


async def _settle(chunks: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            async for _ in chunks:
                pass
    except (TimeoutError, UpstreamError):
        # The answer is there; only the connection is lost.
        pass


def _parse(data: bytes) -> Message:
    try:
        message, _ = read_json(data, depth=MAX_DEPTH)
    except Refusal:
        raise ProtocolBroken("The server's answer is not JSON as we accept it.", sent=True) from None
    if not isinstance(message, dict):
        raise ProtocolBroken("The server's answer is not a JSON-RPC message.", sent=True)
    return message


def _not_an_answer(status: int) -> UpstreamError:
    if status >= 300:
        return BadStatus(f"The server answered with HTTP {status}.", status=status)
    return ProtocolBroken("The server's answer is not the answer to this call.", sent=True)


def _answer_question(question: Message) -> Message:
    """A ping is answered; for sampling, elicitation and roots there is nobody here."""
    answer: Message = {"result": {}} if question["method"] == "ping" else {"error": _NOTHING_OFFERED}
    return {"jsonrpc": "2.0", "id": question["id"], **answer}


def _discovered(info: Message, request_id: bytes) -> bytes:
    capabilities = info.get("capabilities")
    result: Message = {
        **_UNCACHED,
        "supportedVersions": [MODERN_VERSION],
        "capabilities": {"tools": {}} if isinstance(capabilities, dict) and "tools" in capabilities else {},
        "_meta": {"io.modelcontextprotocol/serverInfo": info.get("serverInfo")},
    }
    if isinstance(info.get("instructions"), str):
        result["instructions"] = info["instructions"]
    return _response(b"result", result, request_id)


def _modern(message: Message, method: str, request_id: bytes) -> bytes:
    """Returns the response as 2026-07-28 says it."""
    if "error" in message:
        error = message["error"]
        # "Resource not found" has become an invalid parameter.
        return _response(b"error", {**error, "code": -32602} if error.get("code") == -32002 else error, request_id)
    extra = _UNCACHED if method in _CACHEABLE else _COMPLETE
    return _response(b"result", {**message["result"], **extra}, request_id)


def _response(member: bytes, value: Message, request_id: bytes) -> bytes:
    # Exact writing: the reader may have met numbers that 64 bits do not hold.
    return b'{"jsonrpc":"2.0","id":%s,"%s":%s}' % (request_id, member, write_json(value, exact=True))
