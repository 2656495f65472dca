"""How much of a repository is taken in, and how long that may take. What goes beyond is refused in one line."""

import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol, Self

from kernel.errors import Invalid, Unavailable

_MIB: Final = 1024 * 1024
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Bounds:
    """The largest repository that is taken in. `commits` is how deep the history goes; what is older is left out."""

    received: int = 256 * _MIB
    named: int = 16 * _MIB
    objects: int = 250_000
    blob: int = 50 * _MIB
    inflated: int = 1024 * _MIB
    files: int = 50_000
    depth: int = 64
    checkout: int = 512 * _MIB
    commits: int = 1_000
    seconds: float = 180.0


def refused(code: str, sentence: str) -> Invalid:
    """Returns the error that a repository is not taken in, with a code that begins with `git_`."""
    return Invalid(sentence, code=f"git_{code}")


def unreachable(sentence: str) -> Unavailable:
    """Returns the error that a repository could not be had now; another time it may be."""
    return Unavailable(sentence, code="git_unreachable")


def in_one_line(text: str) -> str:
    """Returns words of a stranger as one short line: what is not printable becomes a blank."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_LONGEST]


class Ending(Protocol):
    """What can be cut off: a socket."""

    def shutdown(self, how: int, /) -> None:
        """Ends both directions, also under somebody who waits for a byte."""


class Watch:
    """The clock of one fetch. When time is up, whatever is being waited for ends at once, and `check` raises."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds
        self._late = threading.Event()
        self._waiting: Ending | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._timer.cancel()

    @property
    def is_late(self) -> bool:
        """Whether the time is up."""
        return self._late.is_set() or time.monotonic() >= self._ends

    @property
    def left(self) -> float:
        """How many seconds are left; a socket that never waits would be one that never times out, so at least a bit."""
        return max(self._ends - time.monotonic(), 0.001)

    def check(self) -> None:
        """Raises when the time is up."""
        if self.is_late:
            raise refused("too_slow", f"The repository was not there within {self.seconds:g} seconds.")

    def guard(self, waiting: Ending) -> None:
        """Takes over a socket: it is cut off when the time is up, however slowly its peer drips."""
        self._waiting = waiting
        if self._late.is_set():
            self._cut(waiting)

    def _end(self) -> None:
        self._late.set()
        if self._waiting is not None:
            self._cut(self._waiting)

    @staticmethod
    def _cut(waiting: Ending) -> None:
        try:
            waiting.shutdown(2)
        except OSError:
            pass  # it has ended already
