"""The durable record: rows of many calls in one statement, each caller released only after its COMMIT.

While one statement runs, the rows of the next gather. Under load the cost of a flush is shared; alone, a call waits
for one. There is no second way to write and no spill: without PostgreSQL there is no record, so there is no call.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
import psycopg

from audit.records import Row
from gateway.appender import Appender
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
        while self._waiting and self.ready:
            await asyncio.wait([future for _, future in self._waiting])
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._fail(self._waiting)
        await self._disconnect()

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
                self._fail(self._waiting)
                self._waiting = []
                await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])
                attempt += 1

    async def _connect(self) -> None:
        async with asyncio.timeout(self.limits.audit_deadline):
            self._appender = await Appender.connect(self.dsn, self._wake.set)

    async def _disconnect(self) -> None:
        appender, self._appender = self._appender, None
        if appender is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await appender.close()

    async def _write_forever(self) -> None:
        while True:
            if not self._waiting:
                self._wake.clear()
                if self.ready:
                    await self._wake.wait()
            if not self.ready:
                raise psycopg.OperationalError("the connection was lost")
            batch = self._waiting[: self.limits.audit_batch]
            del self._waiting[: len(batch)]
            try:
                await self._write(batch)
            except BaseException:
                self._fail(batch)
                raise

    async def _write(self, batch: Sequence[Waiting]) -> None:
        try:
            await self._commit(batch)
        except (psycopg.DataError, psycopg.IntegrityError):
            if len(batch) == 1:
                self._fail(batch)
                return
            # One row that the database refuses must not take the calls of others with it.
            for one in batch:
                await self._write([one])

    async def _commit(self, batch: Sequence[Waiting]) -> None:
        if self._appender is None:
            raise psycopg.OperationalError("no connection")
        rows = b"[" + b",".join([row for row, _ in batch]) + b"]"
        async with asyncio.timeout(self.limits.audit_deadline):
            await self._appender.append(rows)
        self.batches += 1
        self.rows += len(batch)
        for _, future in batch:
            if not future.done():
                future.set_result(None)

    def _fail(self, batch: Sequence[Waiting]) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(unavailable())
                # Nobody may be left to ask: its caller can have gone away.
                future.exception()
