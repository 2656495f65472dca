"""One HTTP/1.1 connection to an upstream: writes a request, parses one reply, and knows whether it may be used again."""

import asyncio
import select
import time
from collections.abc import Callable
from typing import Final, cast

import httptools

from gateway.inflate import known_encoding
from gateway.upstream_errors import ProtocolBroken, TimedOut, TooLarge, UpstreamError, UpstreamFailed

MAX_HEAD: Final = 64 * 1024
MAX_HEADERS: Final = 200
"""Chunk sizes and trailers also cost memory and time, so the bytes on the wire are bounded beside the body."""
WIRE_FACTOR: Final = 8
PAUSE_ABOVE: Final = 256 * 1024
_MAX_ADVERTISED_IDLE: Final = 60.0


class Head:
    """Status and headers of a reply; names are lower-case, values without surrounding spaces."""

    __slots__ = ("headers", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.headers = headers

    def take_encoding(self) -> bytes:
        """Returns the content encoding to undo and removes the header, which will not be true afterwards."""
        values = [value for name, value in self.headers if name == b"content-encoding"]
        if not values:
            return b""
        encoding = known_encoding(b",".join(values))
        if encoding:
            self.headers = [h for h in self.headers if h[0] not in {b"content-encoding", b"content-length"}]
        return encoding


class Connection(asyncio.Protocol):
    """Serves one exchange at a time. Anything it did not expect makes it unusable for ever."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_complete",
        "_error",
        "_fd_poll",
        "_forget",
        "_framed",
        "_head",
        "_head_bytes",
        "_headers",
        "_idle_until",
        "_is_paused",
        "_is_stream",
        "_keep",
        "_loop",
        "_max_bytes",
        "_outstanding",
        "_parser",
        "_rested_at",
        "_timer",
        "_transport",
        "_waiter",
        "_wire_bytes",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, forget: Callable[["Connection"], None]) -> None:
        self._loop = loop
        self._forget = forget
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._fd_poll: select.poll | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: UpstreamError | None = None
        self._outstanding = False
        self._keep = False
        self._idle_until = 0.0
        self._rested_at = 0.0
        self._reset(0)

    def _reset(self, max_bytes: int) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._head: Head | None = None
        self._head_bytes = 0
        self._body_bytes = 0
        self._max_bytes = max_bytes
        self._wire_bytes = 0
        self._complete = False
        self._framed = False
        self._is_stream = False
        self._is_paused = False

    # What the pool asks

    @property
    def is_reusable(self) -> bool:
        """Whether the last exchange ended cleanly and the peer means to stay."""
        return self._keep and self._complete and self._error is None and self._is_open

    @property
    def _is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def rest(self, seconds: float) -> None:
        """Starts the idle time, which a `Keep-Alive: timeout=` of the peer shortens or lengthens."""
        head = self._head
        value = b"" if head is None else next((v for k, v in head.headers if k == b"keep-alive"), b"")
        self._rested_at = time.monotonic()
        self._idle_until = self._rested_at + (_advertised(value) if value else seconds)

    def is_fresh(self, now: float, *, ask_after: float | None = None) -> bool:
        """Whether a new request may be written: in time, open, silent, and (asked the kernel) not hung up."""
        if now >= self._idle_until or not self._is_open or self._error is not None:
            return False
        return ask_after is None or now - self._rested_at < ask_after or not self._is_readable()

    def _is_readable(self) -> bool:
        """An idle peer that has something to say says goodbye, or lies; the loop may not have read it yet."""
        if self._fd_poll is None:
            assert self._transport is not None  # noqa: S101 - is_fresh has just asked
            self._fd_poll = select.poll()
            self._fd_poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._fd_poll.poll(0))

    # One exchange

    async def exchange(self, request: bytes, *, deadline: float, max_bytes: int) -> tuple[Head, bytes]:
        """Returns head and raw body of the reply."""
        self._start(request, deadline, max_bytes)
        await self._wait()
        assert self._head is not None  # noqa: S101 - a complete reply has a head
        body = self._body
        return self._head, body[0] if len(body) == 1 else b"".join(body)

    async def open(self, request: bytes, *, deadline: float, max_bytes: int) -> Head:
        """Returns the head as soon as it is there; the body follows by next_chunk."""
        self._start(request, deadline, max_bytes)
        self._is_stream = True
        await self._wait()
        assert self._head is not None  # noqa: S101 - the wait ends with a head or raises
        return self._head

    async def next_chunk(self) -> bytes:
        """Returns what has arrived, or b"" at the end of the reply."""
        while not self._body:
            # A reply that is complete stays good, whatever happens to the connection afterwards.
            if self._complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()
        chunk = b"".join(self._body)
        self._body.clear()
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()
        return chunk

    def finish_stream(self) -> None:
        """Ends a stream: a reply that was not read to its end closes the connection."""
        if not self._complete or self._body:
            self.abort()

    def abort(self) -> None:
        """Closes at once; whoever waits gets an error."""
        self._fail(UpstreamFailed("The connection was closed.", sent=True))

    def _start(self, request: bytes, deadline: float, max_bytes: int) -> None:
        if self._transport is None or not self._is_open:
            raise UpstreamFailed("The upstream closed the connection.", sent=False)
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimedOut("The time for this call was over before it could be sent.", sent=False)
        self._reset(max_bytes)
        self._outstanding = True
        self._timer = self._loop.call_later(seconds, self._expire)
        self._transport.write(request)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter

    def _expire(self) -> None:
        self._fail(TimedOut("The upstream did not answer in time.", sent=True))

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None:
            self._error = error
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(self._error)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast and not a check: uvloop's transports have the methods but not the base class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._outstanding:
            self._fail(ProtocolBroken("The upstream spoke without being asked.", sent=True))
            return
        self._wire_bytes += len(data)
        if self._wire_bytes > MAX_HEAD + self._max_bytes * WIRE_FACTOR:
            self._fail(TooLarge("The reply is too large.", sent=True))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(ProtocolBroken("The reply is not valid HTTP.", sent=True))
            return
        if self._head is None and self._wire_bytes > MAX_HEAD:
            self._fail(TooLarge("The reply's head is too large.", sent=True))
        elif self._is_stream and sum(map(len, self._body)) > PAUSE_ABOVE:
            self._pause()

    def _pause(self) -> None:
        if not self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._end_of_connection()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_of_connection()
        self._transport = None
        self._forget(self)

    def _end_of_connection(self) -> None:
        """A body without a length ends with the connection; every other end before completion is a failure."""
        self._keep = False
        if not self._outstanding:
            self._fail(UpstreamFailed("The upstream closed the connection.", sent=False))
        elif self._head is not None and not self._framed and self._error is None:
            self._end_of_reply()
        else:
            self._fail(UpstreamFailed("The upstream closed the connection before its reply was complete.", sent=True))

    # httptools. The parser reads on behind the end of a reply: nothing after it may touch that reply.

    def on_message_begin(self) -> None:
        if self._complete:
            self._fail(ProtocolBroken("The upstream sent more than one reply.", sent=True))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._complete:
            return
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD or len(self._headers) >= MAX_HEADERS:
            self._fail(TooLarge("The reply's head is too large.", sent=True))
        elif self._head is None:
            self._headers.append((name.lower(), value.strip()))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            # Interim replies are dropped; switching protocols was never asked for.
            self._headers = []
            if status == 101:
                self._fail(ProtocolBroken("The upstream switched protocols.", sent=True))
            return
        self._head = Head(status, self._headers)
        self._framed = status in {204, 304} or any(
            name in {b"content-length", b"transfer-encoding"} for name, _ in self._headers
        )
        if self._is_stream:
            self._wake()

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._max_bytes:
            self._fail(TooLarge("The reply is too large.", sent=True))
        else:
            self._body.append(body)
            if self._is_stream:
                self._wake()

    def on_message_complete(self) -> None:
        if self._head is not None and self._error is None:
            self._keep = self._framed and self._parser.should_keep_alive()
            self._end_of_reply()

    def _end_of_reply(self) -> None:
        self._complete = True
        self._outstanding = False
        self._stop_timer()
        self._wake()


def _advertised(value: bytes) -> float:
    """Seconds that a `Keep-Alive` header promises, less one for the way; 0 when it cannot be read."""
    for part in value.split(b","):
        name, _, seconds = part.strip().partition(b"=")
        if name.lower() == b"timeout" and seconds.isdigit() and len(seconds) < 7:
            return max(0.0, min(float(seconds) - 1.0, _MAX_ADVERTISED_IDLE))
    return 0.0
