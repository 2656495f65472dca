"""Tells the stdio runner which local servers there are. The runner knows no database; the registry is its only source."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

import orjson

from gateway.egress import Egress, Target
from gateway.snapshot import Registry, Snapshot
from gateway.upstream_errors import UpstreamError

_AGAIN_AFTER: Final = 5.0
"""Seconds after which the same list is told again: a runner that was restarted knows nothing."""
_RETRY_AFTER: Final = 0.5
_TIMEOUT: Final = 5.0
_MAX_REPLY: Final = 8 << 20


@dataclass(slots=True)
class LocalServers:
    """Keeps the runner's list equal to the registry's. Telling it twice changes nothing there."""

    egress: Egress
    socket: str
    failures: int = 0
    _registry: Registry | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to tell."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stops telling; what runs goes on until the runner stops."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def take(self, snapshot: Snapshot) -> None:
        """Notes the registry of a new snapshot; a part that did not change is not told again."""
        if snapshot.registry is not self._registry:
            self._registry = snapshot.registry
            self._changed.set()

    async def _run(self) -> None:
        while True:
            told = await self._tell()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_AFTER if told else _RETRY_AFTER):
                    await self._changed.wait()

    async def _tell(self) -> bool:
        self._changed.clear()
        registry = self._registry
        if registry is None:
            return True
        servers = [
            {"uid": server.uid, "command": list(server.command)} for server in registry.known.values() if server.command
        ]
        target = Target("", "stdio", 0, "/-/servers", tls=False, uds=self.socket)
        headers = [(b"content-type", b"application/json")]
        try:
            body = orjson.dumps(servers)
            reply = await self.egress.post(target, headers, body, timeout=_TIMEOUT, max_bytes=_MAX_REPLY)
        except UpstreamError:
            self.failures += 1
            return False
        return reply.status == 200
