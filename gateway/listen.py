"""Keeps the snapshot true: hears of changes by NOTIFY, reads again, and knows how old its knowledge is."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from gateway.snapshot import Registry, Snapshot, Tenants, load_registry, load_tenants
from gateway.wire import Limits
from kernel.errors import Unavailable

CHANNEL: Final = "hanse_policy"
PARTS: Final = ("tenants", "registry")

_HEARTBEAT: Final = 5.0
_DEBOUNCE: Final = 0.02
_BACKOFF: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_REREAD_COST: Final = 50.0
"""A part is read again unasked only after fifty times as long as it took: at most 2 % of a core."""

_CHANGE_MAX_AGE: Final = 5.0
"""Seconds that a change which we know of may stay unread before calls are refused."""


@dataclass(slots=True)
class _Part:
    load: Callable[[psycopg.Connection[Any]], Any]
    value: Any = None
    read_at: float = 0.0
    took: float = 0.0
    dirty_since: float | None = 0.0
    marked_at: float = 0.0


@dataclass(slots=True)
class Keeper:
    """Owns the current snapshot. `current()` never returns one that is older than the limits allow."""

    dsn: str
    limits: Limits
    on_swap: Callable[[Snapshot], None] = lambda _snapshot: None
    snapshot: Snapshot | None = None
    failures: int = 0
    _parts: dict[str, _Part] = field(
        default_factory=lambda: {"tenants": _Part(load_tenants), "registry": _Part(load_registry)}
    )
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _swapped: asyncio.Condition = field(default_factory=asyncio.Condition)
    _heard_at: float = -1e9
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _reader: psycopg.Connection[Any] | None = None

    async def start(self) -> None:
        """Begins to listen and to read. Returns at once: until the first read is done, calls are refused."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._refresh())]

    async def stop(self) -> None:
        """Ends both tasks and closes their connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._reader is not None:
            self._reader.close()

    def current(self) -> Snapshot:
        """Returns the snapshot. Raises `Unavailable` while there is none, or when it may no longer be true."""
        snapshot = self.snapshot
        if snapshot is None:
            raise Unavailable("The gateway has not read its policy yet.", code="policy_missing")
        now = time.monotonic()
        if now - self._heard_at > self.limits.snapshot_max_age or self._is_behind(now):
            raise Unavailable("The gateway's policy is too old to decide with.", code="policy_stale")
        return snapshot

    def _is_behind(self, now: float) -> bool:
        return any(
            part.dirty_since is not None and now - part.dirty_since > _CHANGE_MAX_AGE for part in self._parts.values()
        )

    async def read_again(self, part: str, *, newer_than: float, within: float = 2.0) -> Snapshot:
        """Returns a snapshot whose part was read after `newer_than` (monotonic), or the present one if that takes too long.

        For a token whose delegation is not known yet: it may have been made a moment ago.
        """
        if self._parts[part].read_at <= newer_than:
            self._mark(part)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within), self._swapped:
                    await self._swapped.wait_for(lambda: self._parts[part].read_at > newer_than)
        return self.current()

    def read_at(self, part: str) -> float:
        """Returns when the part was read, on the monotonic clock."""
        return self._parts[part].read_at

    def _mark(self, name: str) -> None:
        now = time.monotonic()
        for part in [self._parts[name]] if name in self._parts else self._parts.values():
            part.marked_at = now
            if part.dirty_since is None:
                part.dirty_since = now
        self._wake.set()

    async def _listen(self) -> None:
        """A broken connection may have missed something, so each new one marks everything as changed."""
        attempt = 0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._mark("all")
                    attempt = 0
                    await self._hear(connection)
            except (psycopg.Error, OSError, TimeoutError):
                self.failures += 1
            await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])
            attempt += 1

    async def _hear(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            async for notice in connection.notifies(timeout=_HEARTBEAT):
                self._mark(notice.payload)
            # Also proves that this very connection, the one that hears of revocations, is alive.
            async with asyncio.timeout(_HEARTBEAT):
                await connection.execute("SELECT 1")
            self._heard_at = time.monotonic()
            self._mark_old()

    def _mark_old(self) -> None:
        now = time.monotonic()
        for name, part in self._parts.items():
            if now - part.read_at > max(_HEARTBEAT, part.took * _REREAD_COST):
                self._mark(name)

    async def _refresh(self) -> None:
        attempt = 0
        while True:
            await self._wake.wait()
            await asyncio.sleep(_DEBOUNCE)
            self._wake.clear()
            try:
                await self._read_dirty()
                attempt = 0
            except (psycopg.Error, OSError):
                self.failures += 1
                self._drop_reader()
                self._wake.set()
                await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])
                attempt += 1

    async def _read_dirty(self) -> None:
        for part in self._parts.values():
            if part.dirty_since is None:
                continue
            began = time.monotonic()
            # In a thread: a big registry takes a second to read, and calls go on meanwhile.
            value = await asyncio.to_thread(self._read, part)
            part.value, part.read_at, part.took = value, began, time.monotonic() - began
            # A change heard of while we read may not be in what we read.
            part.dirty_since = part.marked_at if part.marked_at > began else None
        await self._swap()

    def _read(self, part: _Part) -> Any:
        if self._reader is None or self._reader.closed:
            self._reader = psycopg.Connection.connect(
                self.dsn, autocommit=True, connect_timeout=5, options="-c statement_timeout=60000"
            )
        return part.load(self._reader)

    def _drop_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    async def _swap(self) -> None:
        tenants, registry = (self._parts[name].value for name in PARTS)
        if isinstance(tenants, Tenants) and isinstance(registry, Registry):
            self.snapshot = Snapshot(tenants, registry)
            self._heard_at = max(self._heard_at, min(part.read_at for part in self._parts.values()))
            self.on_swap(self.snapshot)
        async with self._swapped:
            self._swapped.notify_all()
