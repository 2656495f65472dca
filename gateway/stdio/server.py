"""One local server: started at its first call, kept while it is used, restarted with growing pauses when it fails."""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gateway.stdio.channel import Answer, Channel, Message, StdioError
from gateway.stdio.specs import Limits, ServerSpec, environment_for, resource_limits

OFFERED: Final = "2025-11-25"
SPOKEN: Final = frozenset({"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"})
CLIENT: Final = {"name": "hanse-gateway", "version": "1"}
STOP_SECONDS: Final = 2.0
_GUARDIAN: Final = str(Path(__file__).with_name("child.py"))


class Server:
    """Owns at most one process at a time."""

    def __init__(
        self, spec: ServerSpec, limits: Limits, home: Path, may_start: Callable[[], bool] = lambda: True
    ) -> None:
        self.spec = spec
        self._may_start = may_start
        self._limits = limits
        self._home = home
        self._channel: Channel | None = None
        self._starting: asyncio.Task[Channel] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._used_at = time.monotonic()
        self._stopped = False
        self._last_error = ""
        self._last_stderr = ""
        self.starts = 0
        self.info: Message = {}

    async def call(self, method: str, params: Message, *, exact: bool = False) -> Answer:
        """Returns the server's answer; starts its process when there is none."""
        channel = await self.connect()
        self._used_at = time.monotonic()
        try:
            answer = await channel.request(method, params, seconds=self._limits.call_seconds, exact=exact)
        finally:
            self._used_at = time.monotonic()
        self._failures = 0
        return answer

    async def connect(self) -> Channel:
        """Returns the open channel. Callers that come at the same time wait for one and the same start."""
        if self._channel is not None and self._channel.is_open:
            return self._channel
        if self._starting is None:
            self._refuse_too_early()
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(self._started)
        # A caller that goes away must not take the start away from the others.
        return await asyncio.shield(self._starting)

    def _started(self, task: asyncio.Task[Channel]) -> None:
        self._starting = None
        if not task.cancelled():
            # Reading it here keeps the loop quiet when every caller has gone.
            task.exception()

    def _refuse_too_early(self) -> None:
        if self._stopped:
            raise StdioError("stdio_stopped", "The server was stopped.", sent=False)
        if time.monotonic() < self._not_before:
            raise StdioError("stdio_backoff", "The server failed and is not started again yet.", sent=False)
        if not self._may_start():
            raise StdioError("stdio_full", "Too many local servers are running.", sent=False)

    async def _start(self) -> Channel:
        channel = None
        try:
            async with asyncio.timeout(self._limits.start_seconds):
                await self._wait_for_end(self._channel)
                channel = self._channel = await self._spawn()
                self.info = await self._greet(channel)
        except (OSError, StdioError) as error:
            raise await self._failed(channel, error) from None
        except asyncio.CancelledError:
            if channel is not None:
                channel.end("the runner stopped it")
            raise
        return channel

    async def _failed(self, channel: Channel | None, error: Exception) -> StdioError:
        self._last_error = str(error) or "it did not answer in time"
        if channel is None:
            self._pause()
        else:
            # What ended it, if it ended by itself, says more than the error that its end gave us.
            channel.end(self._last_error)
            await self._wait_for_end(channel)
            self._last_error = channel.reason
        return StdioError("stdio_start_failed", "The server could not be started.", sent=False)

    async def _spawn(self) -> Channel:
        loop = asyncio.get_running_loop()
        self.starts += 1
        home = await asyncio.to_thread(_make_home, self._home / str(self.starts))
        limits = resource_limits(self.spec, self._limits)
        _, channel = await loop.subprocess_exec(
            lambda: Channel(self._limits, lambda ended: self._ended(ended, home)),
            *_guarded(limits, self.spec.command),
            env=environment_for(self.spec, home),
            cwd=self.spec.cwd or home,
            start_new_session=True,
        )
        return channel

    async def _greet(self, channel: Channel) -> Message:
        """The handshake of the 2025 revisions, with no capability that lets the server ask us for anything."""
        params = {"protocolVersion": OFFERED, "capabilities": {}, "clientInfo": CLIENT}
        answer = await channel.request("initialize", params, seconds=self._limits.start_seconds)
        result = answer.message.get("result") or {}
        if result.get("protocolVersion") not in SPOKEN:
            raise StdioError("stdio_start_failed", "The server speaks no protocol version that we know.", sent=False)
        channel.notify("notifications/initialized")
        return dict(result)

    def _ended(self, channel: Channel, home: str) -> None:
        """Called once for each process, when nothing of it is left."""
        self._last_error = channel.reason
        self._last_stderr = channel.stderr
        if channel is self._channel:
            self._channel = None
        asyncio.get_running_loop().run_in_executor(None, shutil.rmtree, home, True)
        if not channel.was_asked_to_end:
            self._pause()

    def _pause(self) -> None:
        """Growing pauses keep a broken server from eating the machine."""
        seconds = min(self._limits.backoff_seconds * 2**self._failures, self._limits.backoff_max_seconds)
        # The first failure after a good call is restarted at once: the caller has already had the error.
        self._not_before = time.monotonic() + (seconds if self._failures else 0.0)
        self._failures = min(self._failures + 1, 16)

    @staticmethod
    async def _wait_for_end(channel: Channel | None) -> None:
        """Returns when the process and its descendants are gone; a guardian that hangs is killed."""
        if channel is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await channel.ended.wait()
        except TimeoutError:
            channel.kill()

    async def stop(self, *, for_good: bool = True) -> None:
        """Ends the process tree within two seconds; the next call starts a new one unless it is for good."""
        self._stopped = self._stopped or for_good
        starting, channel = self._starting, self._channel
        if starting is not None:
            starting.cancel()
            await asyncio.wait([starting])
            channel = self._channel
        if channel is not None:
            channel.was_asked_to_end = True
            channel.end("the runner stopped it")
            await self._wait_for_end(channel)

    @property
    def has_process(self) -> bool:
        return self._channel is not None or self._starting is not None

    @property
    def is_idle(self) -> bool:
        """Whether the process has had nothing to do for so long that it should end."""
        channel = self._channel
        if channel is None or self._starting is not None or channel.in_flight:
            return False
        return time.monotonic() - self._used_at > self._limits.idle_seconds

    def describe(self) -> dict[str, Any]:
        """Returns its state for the operator; the tail of its standard error may hold secrets."""
        channel = self._channel
        return {
            "uid": self.spec.uid,
            "state": self._state(),
            "pid": channel.pid if channel is not None else None,
            "starts": self.starts,
            "failures": self._failures,
            "in_flight": channel.in_flight if channel is not None else 0,
            "server": self.info.get("serverInfo"),
            "protocol": self.info.get("protocolVersion"),
            "last_error": self._last_error,
            "stderr": (channel.stderr if channel is not None else self._last_stderr)[-4000:],
        }

    def _state(self) -> str:
        if self._starting is not None:
            return "starting"
        if self._channel is not None and self._channel.is_open:
            return "running"
        return "waiting" if time.monotonic() < self._not_before else "stopped"


def _make_home(home: Path) -> str:
    """Returns a private, empty directory: no process of a server sees what an earlier one left."""
    home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.mkdir(mode=0o700)
    return str(home)


def _guarded(limits: dict[str, int], command: tuple[str, ...]) -> list[str]:
    """The guardian runs isolated (-I -S), so that no variable meant for the server changes what it does."""
    return [sys.executable, "-I", "-S", _GUARDIAN, str(os.getpid()), json.dumps(limits), *command]
