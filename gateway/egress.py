"""Requests to upstream servers: a small keep-alive HTTP/1.1 client with checked addresses and hard limits.

What holds for every request:
- the address that is connected to is the one that the policy checked; a name is never resolved twice;
- a connection is used for one origin and one partition (the caller's credential), never for another;
- nothing is sent twice: once a byte of a request may have left, a failure says `sent=True` and nobody retries here;
- a redirect is a reply like any other, it is never followed;
- size of head and body, inflated size and total time are bounded.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from gateway.connection import Connection, Head
from gateway.inflate import Inflater, decode_body
from gateway.upstream_errors import (
    AddressRefused,
    ConnectFailed,
    ProtocolBroken,
    RequestRefused,
    TimedOut,
    TooLarge,
    UpstreamError,
    UpstreamFailed,
)
from kernel.errors import DomainError
from registry.addresses import AddressPolicy, resolve_async

Headers = Sequence[tuple[bytes, bytes]]

ADDRESS_SECONDS: Final = 10.0
SWEEP_SECONDS: Final = 5.0
"""A connection idle for longer than this is asked whether its peer has hung up before it is used again."""
ASK_AFTER_SECONDS: Final = 0.05
_TOKEN: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_OURS: Final = frozenset(
    b"host content-length transfer-encoding connection accept-encoding te trailer upgrade expect keep-alive "
    b"proxy-authorization proxy-connection".split()
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `path` includes the query; `uds` is a unix socket that replaces host and port."""

    origin: str
    host: str
    port: int
    path: str
    tls: bool
    uds: str | None = None


@dataclass(slots=True)
class Reply:
    """A whole reply. Header names are lower-case; the body is decoded, so it has no content-encoding any more."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes:
        """Returns the first value of a header, or nothing."""
        return next((value for key, value in self.headers if key == name), b"")


@dataclass(slots=True)
class _Origin:
    """What requests to one upstream share whatever their credential: the limit and the checked addresses."""

    in_flight: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    addresses: tuple[str, ...] = ()
    addresses_until: float = 0.0


@dataclass(slots=True)
class _Pool:
    origin: _Origin
    idle: list[Connection] = field(default_factory=list)
    busy: int = 0


class StreamReply:
    """A reply whose body comes in pieces. Leaving the `async with` early closes the connection."""

    def __init__(self, connection: Connection, head: Head, inflater: Inflater | None) -> None:
        self._connection = connection
        self._inflater = inflater
        self.status = head.status
        self.headers = head.headers

    def header(self, name: bytes) -> bytes:
        """Returns the first value of a header, or nothing."""
        return next((value for key, value in self.headers if key == name), b"")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields decoded pieces as they arrive, and ends only when the reply is complete."""
        while chunk := await self._connection.next_chunk():
            piece = self._inflater.feed(chunk) if self._inflater else chunk
            if piece:
                yield piece
        if self._inflater:
            self._inflater.finish()


class Egress:
    """The pool of upstream connections of one process. Made and used inside one event loop."""

    def __init__(
        self,
        *,
        policy: AddressPolicy,
        connect_timeout: float = 5.0,
        max_idle: int = 64,
        max_in_flight: int = 256,
        idle_seconds: float = 4.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._connect_timeout = connect_timeout
        self._max_idle = max_idle
        self._max_in_flight = max_in_flight
        # Most servers hang up after five idle seconds; leaving first is how a request never meets a closing peer.
        self._idle_seconds = idle_seconds
        self._tls = tls
        self._pools: dict[tuple[str, str, int, bool, str | None, bytes | str], _Pool] = {}
        self._origins: dict[tuple[str, str, int, str | None], _Origin] = {}
        self._connections: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def post(
        self,
        target: Target,
        headers: Headers,
        body: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 - one deadline over waiting, connecting and reading, kept by a timer of our own
        max_bytes: int,
        partition: bytes | str = "",
        verb: bytes = b"POST",
        same: bytes = b"",
        path: str = "",
    ) -> Reply:
        """Returns the whole reply, of whatever status. Raises UpstreamError; cancelling it closes its connection.

        `same` are headers that `encode_headers` has encoded before, for those that are the same each time. `path` is
        one that differs from call to call, instead of the target's own.
        """
        request = _encode_request(verb, target, headers, body, same, path)
        deadline = time.monotonic() + timeout
        pool = self._pool(target, partition)
        await self._enter(pool, deadline)
        connection = None
        try:
            connection = self._reuse(pool) or await self._connect(pool, target, deadline)
            head, raw = await connection.exchange(request, deadline=deadline, max_bytes=max_bytes)
            return _finish(head, raw, max_bytes)
        except BaseException:
            if connection is not None:
                connection.abort()
            raise
        finally:
            self._leave(pool, connection)

    @asynccontextmanager
    async def stream(
        self,
        target: Target,
        headers: Headers,
        body: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 - see post
        max_bytes: int,
        partition: bytes | str = "",
        verb: bytes = b"POST",
    ) -> AsyncIterator[StreamReply]:
        """Yields the reply once its head is there; the deadline and the size limit hold until its last byte."""
        request = _encode_request(verb, target, headers, body)
        deadline = time.monotonic() + timeout
        pool = self._pool(target, partition)
        await self._enter(pool, deadline)
        connection = None
        try:
            connection = self._reuse(pool) or await self._connect(pool, target, deadline)
            head = await connection.open(request, deadline=deadline, max_bytes=max_bytes)
            encoding = head.take_encoding()
            yield StreamReply(connection, head, Inflater(encoding, max_bytes) if encoding else None)
        finally:
            if connection is not None:
                connection.finish_stream()
            self._leave(pool, connection)

    async def close(self) -> None:
        """Closes every connection, also those in use, whose callers get an error."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._connections):
            connection.abort()
        self._pools.clear()
        # One turn of the loop lets the transports close their sockets.
        await asyncio.sleep(0)

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def _pool(self, target: Target, partition: bytes | str) -> _Pool:
        key = (target.origin, target.host, target.port, target.tls, target.uds, partition)
        pool = self._pools.get(key)
        if pool is None:
            shared = (target.origin, target.host, target.port, target.uds)
            origin = self._origins.get(shared) or self._origins.setdefault(shared, _Origin())
            pool = self._pools[key] = _Pool(origin)
            self._schedule_sweep()
        return pool

    async def _enter(self, pool: _Pool, deadline: float) -> None:
        """Takes one of the places in flight, in order of arrival."""
        if self._closed:
            raise ConnectFailed("The gateway is stopping.")
        origin = pool.origin
        pool.busy += 1
        if origin.in_flight < self._max_in_flight:
            origin.in_flight += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        origin.waiting.append(place)
        try:
            await asyncio.wait_for(place, max(0.0, deadline - time.monotonic()))
        except BaseException as error:
            pool.busy -= 1
            if place.done() and not place.cancelled():
                self._give_place(origin)
            if isinstance(error, TimeoutError):
                raise TimedOut("The upstream has too many calls in flight.") from None
            raise

    @staticmethod
    def _give_place(origin: _Origin) -> None:
        while origin.waiting:
            place = origin.waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        origin.in_flight -= 1

    def _leave(self, pool: _Pool, connection: Connection | None) -> None:
        pool.busy -= 1
        if connection is not None:
            if connection.is_reusable and len(pool.idle) < self._max_idle and not self._closed:
                connection.rest(self._idle_seconds)
                pool.idle.append(connection)
            else:
                connection.abort()
        self._give_place(pool.origin)

    @staticmethod
    def _reuse(pool: _Pool) -> Connection | None:
        """Returns the connection used last, if its peer is still there. Nothing was sent on it, so trying is safe."""
        now = time.monotonic()
        while pool.idle:
            connection = pool.idle.pop()
            if connection.is_fresh(now, ask_after=ASK_AFTER_SECONDS):
                return connection
            connection.abort()
        return None

    async def _connect(self, pool: _Pool, target: Target, deadline: float) -> Connection:
        seconds = min(self._connect_timeout, deadline - time.monotonic())
        try:
            async with asyncio.timeout(seconds):
                return await self._dial(pool, target)
        except TimeoutError:
            raise TimedOut("The upstream did not accept a connection in time.") from None

    async def _dial(self, pool: _Pool, target: Target) -> Connection:
        if target.uds is not None:
            return await self._open(None, target)
        failure: OSError | None = None
        for address in await self._addresses(pool.origin, target):
            try:
                return await self._open(address, target)
            except ssl.SSLError as error:
                raise ConnectFailed(f"TLS with {target.host} failed ({error.reason or 'handshake'}).") from None
            except OSError as error:
                failure = error
        raise ConnectFailed(f"No connection to {target.host}:{target.port}.") from failure

    async def _open(self, address: str | None, target: Target) -> Connection:
        loop = asyncio.get_running_loop()

        def make() -> Connection:
            return Connection(loop, self._connections.discard)

        try:
            if address is None:
                _, connection = await loop.create_unix_connection(make, target.uds)
            else:
                _, connection = await loop.create_connection(
                    make,
                    address,
                    target.port,
                    ssl=self._context() if target.tls else None,
                    server_hostname=target.host if target.tls else None,
                )
        except (FileNotFoundError, PermissionError):
            raise ConnectFailed("The upstream's socket is not there.") from None
        except OSError:
            if address is None:
                raise ConnectFailed("The upstream's socket does not answer.") from None
            raise
        self._connections.add(connection)
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    async def _addresses(self, origin: _Origin, target: Target) -> tuple[str, ...]:
        if time.monotonic() < origin.addresses_until:
            return origin.addresses
        try:
            origin.addresses = await resolve_async(target.host, target.port, self._policy)
        except DomainError as error:
            if error.error_code == "address_refused":
                raise AddressRefused(error.message) from None
            raise ConnectFailed(error.message) from None
        origin.addresses_until = time.monotonic() + ADDRESS_SECONDS
        return origin.addresses

    def _schedule_sweep(self) -> None:
        if self._sweeper is None and not self._closed:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Drops connections that rested too long, and pools and origins that nobody uses, so none pile up."""
        self._sweeper = None
        now = time.monotonic()
        for key, pool in list(self._pools.items()):
            for connection in [c for c in pool.idle if not c.is_fresh(now)]:
                pool.idle.remove(connection)
                connection.abort()
            if not pool.idle and not pool.busy:
                del self._pools[key]
        used = {id(pool.origin) for pool in self._pools.values()}
        for shared, origin in list(self._origins.items()):
            if id(origin) not in used:
                del self._origins[shared]
        if self._pools:
            self._schedule_sweep()


def _finish(head: Head, raw: bytes, max_bytes: int) -> Reply:
    encoding = head.take_encoding()
    return Reply(head.status, head.headers, decode_body(encoding, raw, max_bytes) if encoding else raw)


@lru_cache(maxsize=1024)
def _request_line(verb: bytes, path: str, host: str, port: int, tls: bool) -> bytes:  # noqa: FBT001
    """The unchanging start of each request. A path or host that could end the line early is refused."""
    name = f"[{host}]" if ":" in host else host
    authority = name if port == (443 if tls else 80) else f"{name}:{port}"
    if not path.startswith("/") or not _is_visible(path) or not _is_visible(authority) or not verb.isalpha():
        raise RequestRefused("The request's path or host has characters that HTTP does not allow.")
    return b"%s %s HTTP/1.1\r\nhost: %s\r\naccept-encoding: identity\r\n" % (verb, path.encode(), authority.encode())


def _is_visible(text: str) -> bool:
    return bool(text) and all("!" <= character <= "~" for character in text)


@lru_cache(maxsize=4096)
def _header_name(name: bytes) -> bytes:
    if not name or not _TOKEN.issuperset(name) or name.lower() in _OURS:
        raise RequestRefused("A header has a name that is not allowed here.")
    return name.lower()


def encode_headers(headers: Headers) -> bytes:
    """Returns header lines as they go out. Raises `RequestRefused` for a name or value that is not allowed here."""
    lines = [b"%s: %s\r\n" % (_header_name(name), value) for name, value in headers]
    block = b"".join(lines)
    # Each line brings exactly one CR and one LF of ours: one more of either, or a NUL, is an injection.
    count = len(lines)
    if block.count(b"\n") != count or block.count(b"\r") != count or b"\0" in block:
        raise RequestRefused("A header has a value that is not allowed here.")
    return block


def _encode_request(
    verb: bytes, target: Target, headers: Headers, body: bytes, same: bytes = b"", path: str = ""
) -> bytes:
    block = encode_headers(headers)
    # A path with arguments in it comes once: kept, it would only push out those that come again.
    line = _request_line.__wrapped__ if path else _request_line
    start = line(verb, path or target.path, target.host, target.port, target.tls)
    return b"%s%s%scontent-length: %d\r\n\r\n%s" % (start, same, block, len(body), body)


__all__ = [
    "AddressRefused",
    "ConnectFailed",
    "Egress",
    "Headers",
    "ProtocolBroken",
    "Reply",
    "RequestRefused",
    "StreamReply",
    "Target",
    "TimedOut",
    "TooLarge",
    "UpstreamError",
    "UpstreamFailed",
    "encode_headers",
]
