"""The table of local servers: which there are, who is idle, and their orderly end."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.stdio.server import Server
from gateway.stdio.specs import Limits, ServerSpec
from kernel.errors import NotFound


class Runner:
    """Runs the servers of the list that it was given last, each in at most one process."""

    def __init__(
        self,
        homes: Path,
        limits: Limits | None = None,
        *,
        specs: Mapping[str, ServerSpec] | None = None,
        sweep_seconds: float = 5.0,
    ) -> None:
        self._homes = homes
        self._first = specs or {}
        self._limits = limits or Limits()
        self._sweep_seconds = sweep_seconds
        self._servers: dict[str, Server] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._replacing = asyncio.Lock()
        self._made = 0
        self._refused: Mapping[str, str] = {}

    async def start(self) -> None:
        """Clears what a runner that was killed left on disk, and begins to look for idle servers."""
        await asyncio.to_thread(shutil.rmtree, self._homes, True)
        self._homes.mkdir(mode=0o700, parents=True)
        await self.replace(self._first)
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Ends every process tree within two seconds."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.replace({})
        await asyncio.to_thread(shutil.rmtree, self._homes, True)

    async def replace(self, specs: Mapping[str, ServerSpec], refused: Mapping[str, str] | None = None) -> None:
        """Takes a new list. A server whose entry did not change keeps its process; the others end."""
        async with self._replacing:
            self._refused = refused or {}
            gone = [server for uid, server in self._servers.items() if specs.get(uid) != server.spec]
            kept = {uid: server for uid, server in self._servers.items() if specs.get(uid) == server.spec}
            self._servers = kept | {uid: self._make(spec) for uid, spec in specs.items() if uid not in kept}
            await asyncio.gather(*(server.stop() for server in gone))

    def _make(self, spec: ServerSpec) -> Server:
        # A server that is replaced may still be ending, so the new one gets a directory of its own.
        self._made += 1
        return Server(spec, self._limits, self._homes / f"{spec.uid}-{self._made}", self._may_start)

    def _may_start(self) -> bool:
        return sum(server.has_process for server in self._servers.values()) < self._limits.running

    def server(self, uid: str) -> Server:
        """Returns a server of the list, or raises NotFound."""
        found = self._servers.get(uid)
        if found is None:
            raise NotFound("No such server.")
        return found

    def describe(self) -> list[dict[str, Any]]:
        """Returns every server's state, also of entries that were refused."""
        refused = [{"uid": uid, "state": "refused", "last_error": why} for uid, why in self._refused.items()]
        return [server.describe() for server in self._servers.values()] + refused

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_seconds)
            await asyncio.gather(*(s.stop(for_good=False) for s in self._servers.values() if s.is_idle))
