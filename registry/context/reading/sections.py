"""What every reader gives: sections by heading path, made of blocks that know where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kernel.errors import DomainError

MAX_HEADING: Final = 200
MAX_DEPTH: Final = 8
"""Deeper headings count as the deepest."""


class Unreadable(DomainError):
    """A document cannot be read, or passes a limit. The sentence is shown at the document."""

    code = "unreadable"


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, table or listing, and the line or page where it begins (0: not known)."""

    text: str
    line: int = 0
    page: int = 0
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """What stands between two headings. `heading` is the path from the document's title down."""

    heading: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A document as it was read: its title, its sections, and its language when the document itself names it."""

    title: str
    sections: tuple[Section, ...]


class Outline:
    """Collects blocks under headings as a reader meets them."""

    def __init__(self) -> None:
        self._path: list[tuple[int, str]] = []
        self._blocks: list[Block] = []
        self._sections: list[Section] = []
        self._title = ""

    def heading(self, level: int, text: str) -> None:
        """Begins a section. Headings of the same and of deeper levels end with it."""
        self._close()
        level, text = min(level, MAX_DEPTH), " ".join(text.split())[:MAX_HEADING]
        if not text:
            return
        self._title = self._title or text
        self._path = [(above, name) for above, name in self._path if above < level] + [(level, text)]

    def block(self, text: str, *, line: int = 0, page: int = 0, is_whole: bool = False) -> None:
        """Adds a block to the present section; what is blank is left out."""
        if text.strip():
            self._blocks.append(Block(text.strip("\n"), line, page, is_whole))

    def reading(self, title: str = "") -> Reading:
        """Returns everything collected; the title is the given one, else the first heading."""
        self._close(is_last=True)
        return Reading(title or self._title, tuple(self._sections))

    def _close(self, *, is_last: bool = False) -> None:
        if self._blocks:
            self._sections.append(Section(tuple(name for _level, name in self._path), tuple(self._blocks)))
            self._blocks = []


def titled(reading: Reading, names: Sequence[str]) -> Reading:
    """Returns the reading with the first name that says something as title where the document has none."""
    return Reading(reading.title or next((name for name in names if name), ""), reading.sections)
