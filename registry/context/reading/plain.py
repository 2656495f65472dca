"""Plain text: paragraphs with their lines, and the headings that reStructuredText and AsciiDoc underline or mark."""

import re
from typing import Final

from registry.context.reading.sections import Outline, Reading

_UNDERLINE: Final = re.compile(r"^([=\-~^\"'`#*+.:_])\1{2,}\s*$")
_MARKED: Final = re.compile(r"^(={1,6})\s+(\S.*?)(?:\s+=+)?\s*$")
_LONGEST_HEADING: Final = 120


def read_plain(text: str) -> Reading:
    """Returns the sections of a text; one without headings is a single section."""
    outline = Outline()
    lines = text.split("\n")
    levels: list[str] = []
    begin = place = 0
    while place < len(lines):
        mark = _MARKED.match(lines[place])
        if mark or _is_title(lines, place):
            _paragraphs(outline, lines, begin, place)
            level = len(mark[1]) if mark else _level(levels, lines[place + 1][0])
            outline.heading(level, mark[2] if mark else lines[place])
            place += 0 if mark else 1
            begin = place + 1
        place += 1
    _paragraphs(outline, lines, begin, len(lines))
    return outline.reading()


def _is_title(lines: list[str], place: int) -> bool:
    if place + 1 >= len(lines) or not (title := lines[place].strip()) or len(title) > _LONGEST_HEADING:
        return False
    before = lines[place - 1].strip() if place else ""
    is_apart = not before or _UNDERLINE.match(before) is not None
    below = _UNDERLINE.match(lines[place + 1])
    return (
        is_apart
        and below is not None
        and not _UNDERLINE.match(title)
        and len(lines[place + 1].strip()) >= len(title) // 2
    )


def _level(levels: list[str], mark: str) -> int:
    """The first mark that a text underlines with is its highest level, as reStructuredText has it."""
    if mark not in levels:
        levels.append(mark)
    return levels.index(mark) + 1


def _paragraphs(outline: Outline, lines: list[str], begin: int, end: int) -> None:
    start = begin
    for place in range(begin, end + 1):
        if place == end or not lines[place].strip():
            part = [line for line in lines[start:place] if not _UNDERLINE.match(line)]
            outline.block("\n".join(part), line=start + 1)
            start = place + 1
