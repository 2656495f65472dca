"""A small supervisor: starts children, prefixes their lines, stops all of them when one ends or somebody asks.

One thread, one selector: pipes, signals and deaths arrive at the same place. No child outlives the supervisor.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final, Protocol, Self

STOP_SECONDS: Final = 8.0  # then SIGKILL; together with the database's own end this stays below ten
_PR_SET_PDEATHSIG: Final = 1
_LINE_LIMIT: Final = 65_536


class Running(Protocol):
    """What `Supervisor` needs to know of a process that it did not start."""

    returncode: int | None

    def poll(self) -> int | None:
        """Returns the exit code of an ended process."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One process: how it is started and with which environment, nothing inherited but what is written here."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)


@dataclass(slots=True)
class _Started:
    child: Child
    process: subprocess.Popen[bytes]
    rest: bytes = b""


class Supervisor:
    """Holds the children of one `up`. Use it as a context manager: leaving it stops every child."""

    def __init__(self, out: IO[str] | None = None) -> None:
        self._out = out or sys.stdout
        self._children: list[_Started] = []
        self._watched: dict[str, Running] = {}
        self._selector = selectors.DefaultSelector()
        self._asked_to_stop = False
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            self._before[number] = signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    @property
    def asked_to_stop(self) -> bool:
        """Tells whether somebody pressed Ctrl-C or sent SIGTERM."""
        return self._asked_to_stop

    def watch(self, name: str, process: Running) -> None:
        """Adds a process that was started elsewhere and whose end must stop the rest."""
        self._watched[name] = process

    def start(self, child: Child) -> int:
        """Starts a child and returns its process id."""
        process = subprocess.Popen(
            list(child.command),
            env=dict(child.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C in the terminal reaches us only, so that the order of the end is ours
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - calls the kernel only, takes no lock
        )
        started = _Started(child, process)
        self._children.append(started)
        if process.stdout is not None:
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout, selectors.EVENT_READ, started)
        return process.pid

    def ended(self) -> tuple[str, int] | None:
        """Returns name and exit code of a process that has ended, None while all run."""
        for started in self._children:
            if started.process.poll() is not None:
                return started.child.name, _exit_code(started.process.returncode)
        for name, process in self._watched.items():
            if process.poll() is not None:
                return name, _exit_code(process.returncode or 0)
        return None

    def run_until(self, is_done: Callable[[], bool], *, seconds: float | None = None, step: float = 0.1) -> bool:
        """Passes lines on until `is_done`; returns False when something ended, somebody asked or time is up first."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not is_done():
            if self._asked_to_stop or self.ended() or (deadline is not None and time.monotonic() > deadline):
                return False
            self._pass_on(step)
        return True

    def run(self) -> int:
        """Passes lines on until somebody asks to stop (0) or a process ends (its exit code, never 0)."""
        self.run_until(lambda: False, step=1.0)
        self._pass_on(0.0)
        if self._asked_to_stop:
            return 0
        name, code = self.ended() or ("", 1)
        self.say(f"{name} ended with exit code {code}; stopping the rest")
        return code or 1

    def stop(self) -> None:
        """Stops the children, last started first; whoever has not ended after its time is killed, with its group."""
        deadline = time.monotonic() + STOP_SECONDS
        for started in reversed(self._children):
            _signal(started.process, signal.SIGTERM)
        for started in reversed(self._children):
            while started.process.poll() is None and time.monotonic() < deadline:
                self._pass_on(0.05)
            if started.process.poll() is None:
                self.say(f"{started.child.name} did not stop in time and is killed")
            _kill_group(started.process)
            started.process.wait()
        self._pass_on(0.0)
        self._children.clear()

    def say(self, text: str) -> None:
        """Prints one line of our own."""
        self._write("hanse", text)

    def _on_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD:
            self._asked_to_stop = True

    def _pass_on(self, seconds: float) -> None:
        for key, _events in self._selector.select(seconds):
            if key.data is None:
                _drain(self._wake_read)
            else:
                self._read(key.data, key.fileobj)

    def _read(self, started: _Started, pipe: object) -> None:
        content = started.process.stdout.read() if started.process.stdout else b""
        if not content:
            self._selector.unregister(pipe)  # type: ignore[arg-type]
            content, started.rest = (started.rest + b"\n" if started.rest else b""), b""
        *lines, started.rest = (started.rest + content).split(b"\n")
        if len(started.rest) > _LINE_LIMIT:
            lines, started.rest = [*lines, started.rest], b""
        for line in lines:
            self._write(started.child.name, line.decode("utf-8", errors="replace").rstrip("\r"))

    def _write(self, name: str, text: str) -> None:
        try:
            print(f"{name:<9} | {text}", file=self._out, flush=True)
        except (BrokenPipeError, OSError):
            self._asked_to_stop = True  # whoever read our lines is gone


def _die_with(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


def _exit_code(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except BlockingIOError:
        pass
