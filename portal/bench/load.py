"""A closed loop of callers over keep-alive connections; every reply is compared with what it must be.

Run as `python -m portal.bench.load` with a plan as JSON on the standard input; prints one JSON object.
"""

import asyncio
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Final, cast

import uvloop

PLACE: Final = b"@@@@@@@@"
"""Stands for the id of a call; ids have as many digits, so that lengths never change."""
_FIRST_ID: Final = 10_000_000
_PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is sent how often. Without `expected`, the first reply of each connection says what all others must be."""

    port: int
    request: str
    status: int
    expected: str = ""
    connections: int = 1
    warm: float = 0.5
    seconds: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of it. `calls` counts every reply, `rate` only those between warming up and the end."""

    calls: int
    errors: int
    rate: float
    p50: float
    p99: float
    sample: str


@dataclass(slots=True)
class Tally:
    """What all callers of one run share."""

    plan: Plan
    measure_from: float
    until: float
    next_id: int = _FIRST_ID
    calls: int = 0
    errors: int = 0
    sample: bytes = b""
    latencies: list[float] = field(default_factory=list)

    def take_id(self) -> bytes:
        """Returns the id of the next call."""
        self.next_id += 1
        return b"%d" % self.next_id

    def fail(self, reply: bytes) -> None:
        """Counts a reply that is not what it must be, and keeps the first."""
        self.sample = self.sample if self.errors else reply
        self.errors += 1


class Caller(asyncio.Protocol):
    """One connection: sends the next call when the reply to the last is there, whole and right."""

    def __init__(self, tally: Tally, done: asyncio.Future[None]) -> None:
        self._tally = tally
        self._done = done
        self._request = tally.plan.request.encode()
        self._expected = tally.plan.expected.encode()
        self._status = b"HTTP/1.1 %d " % tally.plan.status
        self._buffer = b""
        self._id = b""
        self._began = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._tally.fail(b"connection lost")
            self._done.set_result(None)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data if self._buffer else data
        head = buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = buffer.find(b"content-length: ", 0, head)
        end = head + 4 + int(buffer[at + 16 : buffer.index(b"\r\n", at)])
        if len(buffer) >= end:
            self._buffer = b""
            self._take(buffer, head + 4, end)

    def _take(self, reply: bytes, start: int, end: int) -> None:
        present = time.perf_counter()
        tally = self._tally
        tally.calls += 1
        body = reply[start:end]
        if not self._expected:
            self._expected = tally.sample = body.replace(self._id, PLACE)
        if not reply.startswith(self._status) or len(reply) != end or body != self._expected.replace(PLACE, self._id):
            tally.fail(reply)
        if tally.measure_from <= present < tally.until:
            tally.latencies.append(present - self._began)
        if present < tally.until:
            self._send()
        else:
            self._done.set_result(None)
            self._transport.close()

    def _send(self) -> None:
        self._id = self._tally.take_id()
        self._began = time.perf_counter()
        self._transport.write(self._request.replace(PLACE, self._id))


async def run(plan: Plan) -> Measured:
    """Returns what was measured; no call is left without its reply."""
    loop = asyncio.get_running_loop()
    begin = time.perf_counter() + plan.warm
    tally = Tally(plan, begin, begin + plan.seconds)
    done: list[asyncio.Future[None]] = [loop.create_future() for _ in range(plan.connections)]
    for one in done:
        await loop.create_connection(lambda one=one: Caller(tally, one), "127.0.0.1", plan.port)  # type: ignore[misc]
    await asyncio.wait_for(asyncio.gather(*done), plan.warm + plan.seconds + _PATIENCE)
    times = sorted(tally.latencies) or [0.0]
    return Measured(
        calls=tally.calls,
        errors=tally.errors,
        rate=len(tally.latencies) / plan.seconds,
        p50=statistics.median(times) * 1000,
        p99=times[min(len(times) - 1, len(times) * 99 // 100)] * 1000,
        sample=tally.sample.decode(errors="replace")[:200_000],
    )


if __name__ == "__main__":
    json.dump(asdict(uvloop.run(run(Plan(**json.load(sys.stdin))))), sys.stdout)
