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
    """One half of the snapshot with a connection of its own, so that a large registry never delays a revocation."""

    load: Callable[[psycopg.Connection[Any]], Any]
    value: Any = None
    read_at: float = 0.0
    took: float = 0.0
    dirty_since: float | None = 0.0
    marked_at: float = 0.0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    reader: psycopg.Connection[Any] | None = None

    def mark(self) -> None:
        self.marked_at = time.monotonic()
        if self.dirty_since is None:
            self.dirty_since = self.marked_at
        self.wake.set()

    def is_behind(self, now: float) -> bool:
        return self.dirty_since is not None and now - self.dirty_since > max(_CHANGE_MAX_AGE, 3 * self.took)

    def read(self, dsn: str) -> Any:
        if self.reader is None or self.reader.closed:
            options = "-c statement_timeout=60000"
            self.reader = psycopg.Connection.connect(dsn, autocommit=True, connect_timeout=5, options=options)
        value = self.load(self.reader)
        # Equal news is no news: what was built on the old value (surfaces, opened credentials) stays good.
        return self.value if value == self.value else value

    def close(self) -> None:
        if self.reader is not None:
            self.reader.close()
            self.reader = None


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
    _swapped: asyncio.Condition = field(default_factory=asyncio.Condition)
    _heard_at: float = -1e9
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Begins to listen and to read. Returns at once: until the first read is done, calls are refused."""
        self._tasks = [asyncio.create_task(self._refresh(part)) for part in self._parts.values()]
        self._tasks.append(asyncio.create_task(self._listen()))

    async def stop(self) -> None:
        """Ends the tasks and closes their connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for part in self._parts.values():
            part.close()

    def current(self) -> Snapshot:
        """Returns the snapshot. Raises `Unavailable` while there is none, or when it may no longer be true."""
        snapshot = self.snapshot
        if snapshot is None:
            raise Unavailable("The gateway has not read its policy yet.", code="policy_missing")
        now = time.monotonic()
        if now - self._heard_at > self.limits.snapshot_max_age or any(
            part.is_behind(now) for part in self._parts.values()
        ):
            raise Unavailable("The gateway's policy is too old to decide with.", code="policy_stale")
        return snapshot

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
        for part in [self._parts[name]] if name in self._parts else self._parts.values():
            part.mark()

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
            except Exception:  # noqa: BLE001 - who ends for good hears of no revocation any more
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

    async def _refresh(self, part: _Part) -> None:
        attempt = 0
        while True:
            await part.wake.wait()
            await asyncio.sleep(_DEBOUNCE)
            part.wake.clear()
            try:
                await self._read(part)
                attempt = 0
            except Exception:  # noqa: BLE001 - a row that cannot be read today may be mended tomorrow
                self.failures += 1
                part.close()
                part.wake.set()
                await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)])
                attempt += 1

    async def _read(self, part: _Part) -> None:
        began = time.monotonic()
        # In a thread: a big registry takes a second to read, and calls go on meanwhile.
        value = await asyncio.to_thread(part.read, self.dsn)
        part.value, part.read_at, part.took = value, began, time.monotonic() - began
        # A change heard of while we read may not be in what we read.
        part.dirty_since = part.marked_at if part.marked_at > began else None
        await self._swap()

    async def _swap(self) -> None:
        tenants, registry = (self._parts[name].value for name in PARTS)
        if isinstance(tenants, Tenants) and isinstance(registry, Registry):
            self._heard_at = max(self._heard_at, min(part.read_at for part in self._parts.values()))
            held = self.snapshot
            if held is None or held.tenants is not tenants or held.registry is not registry:
                self.snapshot = Snapshot(tenants, registry)
                self.on_swap(self.snapshot)
        async with self._swapped:
            self._swapped.notify_all()
