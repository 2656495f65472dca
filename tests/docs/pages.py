"""The documentation as text: its pages, their links, anchors, code blocks and tables."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"(?m)^#{1,6} (.+)$")


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose_of(path: Path) -> str:
    """Returns the page without its code blocks."""
    return _FENCE.sub("", text_of(path))


def blocks_of(path: Path, *languages: str) -> Iterator[str]:
    """Yields the code blocks of these languages, with continued lines joined."""
    for found in re.finditer(r"(?ms)^[ ]*```(\w*)\n(.*?)^[ ]*```$", text_of(path)):
        if found[1] in languages:
            yield found[2].replace("\\\n", " ")


def links_of(path: Path) -> Iterator[str]:
    """Yields the targets of links and pictures that stay in the repository."""
    for found in _LINK.finditer(prose_of(path)):
        target = found[1] or found[2]
        if not re.match(r"[a-z]+:", target):
            yield target


@cache
def anchors_of(path: Path) -> frozenset[str]:
    """Returns the anchors of a page's headings, as the usual renderers make them."""
    headings = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", found) for found in _HEADING.findall(prose_of(path)))
    return frozenset(re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings)


def rows_of(path: Path, *, first: str) -> list[list[str]]:
    """Returns the cells of the table whose first heading is `first`, without the heading."""
    lines = prose_of(path).splitlines()
    tables = [place for place, line in enumerate(lines) if line.startswith(f"| {first} |")]
    rows: list[list[str]] = []
    for begin in tables:
        for line in lines[begin + 2 :]:
            if not line.startswith("|"):
                break
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
