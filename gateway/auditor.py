"""The durable record: rows of many calls in one statement, each caller released only after its COMMIT.

While statements are under way, the rows of the next gather. Under load the cost of a flush is shared; alone, a call
waits for one. There is no second way to write and no spill: without PostgreSQL there is no record, so there is no call.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
import psycopg

from audit.records import Row
from gateway.appender import ROWS_REFUSED, Appender
from gateway.wire import Limits
from kernel.errors import Unavailable

_BACKOFF: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

Waiting = tuple[bytes, asyncio.Future[None]]


def unavailable() -> Unavailable:
    """Returns the answer to a call that cannot be recorded."""
    return Unavailable("The call cannot be recorded, so it is not made.", code="audit_unavailable")


@dataclass(slots=True)
class Auditor:
    """Group commit over one connection. `append` returns a future that is done when the row is on disk."""

    dsn: str
    limits: Limits
    batches: int = 0
    rows: int = 0
    failures: int = 0
    _waiting: list[Waiting] = field(default_factory=list)
    _refused: deque[Waiting] = field(default_factory=deque)
    _sent: deque[Sequence[Waiting]] = field(default_factory=deque)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _appender: Appender | None = None

    @property
    def ready(self) -> bool:
        """Tells whether there is a connection to write to."""
        return self._appender is not None and not self._appender.is_lost

    async def start(self) -> None:
        """Begins to connect and to write."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Writes what waits, then ends."""
        while self.ready and (open_ones := self._open()):
            await asyncio.wait(open_ones)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._disconnect()
        self._fail_all()

    def append(self, row: Row | bytes) -> asyncio.Future[None]:
        """Returns a future that is done once the row, which may be JSON already, is committed, or fails with `Unavailable`.

        Raises `Unavailable` at once while there is no connection, so that nobody waits for nothing.
        """
        if not self.ready or len(self._waiting) >= self.limits.audit_waiting:
            raise unavailable()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row if isinstance(row, bytes) else orjson.dumps(row), future))
        self._wake.set()
        return future

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                await self._connect()
                attempt = 0
                await self._write_forever()
            except Exception:  # noqa: BLE001 - a writer that ended for good would let calls wait for ever
                self.failures += 1
                await self._disconnect()
                self._fail_all()
                await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])
                attempt += 1

    async def _connect(self) -> None:
        deadline = self.limits.audit_deadline
        async with asyncio.timeout(deadline):
            self._appender = await Appender.connect(self.dsn, self._wake.set, deadline=deadline)

    async def _disconnect(self) -> None:
        appender, self._appender = self._appender, None
        if appender is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await appender.close()

    async def _write_forever(self) -> None:
        while self._appender is not None and not self._appender.is_lost:
            while len(self._sent) < self.limits.audit_pipeline and (batch := self._next_batch()):
                self._send(self._appender, batch)
            await self._wake.wait()
            self._wake.clear()
        raise psycopg.OperationalError("the connection was lost")

    def _next_batch(self) -> list[Waiting]:
        # One row that the database refuses must not take the calls of others with it.
        if self._refused:
            return [self._refused.popleft()]
        batch = self._waiting[: self.limits.audit_batch]
        del self._waiting[: len(batch)]
        return batch

    def _send(self, appender: Appender, batch: Sequence[Waiting]) -> None:
        rows = b"[" + b",".join([row for row, _ in batch]) + b"]"
        self._sent.append(batch)
        try:
            appender.append(rows, self._settle)
        except psycopg.Error:
            _fail(self._sent.pop())
            raise

    def _settle(self, error: psycopg.Error | None) -> None:
        batch = self._sent.popleft()
        self._wake.set()
        if error is None:
            self.batches += 1
            self.rows += len(batch)
            for _, future in batch:
                if not future.done():
                    future.set_result(None)
        elif len(batch) > 1 and isinstance(error, ROWS_REFUSED):
            self._refused.extend(batch)
        else:
            _fail(batch)

    def _open(self) -> list[asyncio.Future[None]]:
        batches = (*self._sent, self._refused, self._waiting)
        return [future for batch in batches for _, future in batch if not future.done()]

    def _fail_all(self) -> None:
        _fail([*self._refused, *self._waiting])
        self._refused.clear()
        self._waiting.clear()


def _fail(batch: Sequence[Waiting]) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(unavailable())
            # Nobody may be left to ask: its caller can have gone away.
            future.exception()
