"""HTML: cleaned of everything that acts, then read as headings and blocks. Scripts, styles and forms never get in."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Final

import nh3

from registry.context.reading.sections import MAX_HEADING, Outline, Reading, Unreadable

MAX_HTML: Final = 4_000_000

_TITLE: Final = re.compile(r"<title\b[^>]{0,200}>([^<]{1,500})</title", re.IGNORECASE)
_HEAD: Final = 65_536
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BLOCKS: Final = frozenset(
    {"p", "li", "dt", "dd", "blockquote", "figcaption", "caption", "summary", "div", "section", "article"}
)
_WHOLE: Final = frozenset({"pre", "table"})
_CELLS: Final = frozenset({"td", "th"})
_TAGS: Final = {*_HEADINGS, *_BLOCKS, *_WHOLE, *_CELLS, "tr", "br", "main", "body", "ul", "ol", "dl", "code", "hr"}
_DROPPED: Final = {
    "title",
    "script",
    "style",
    "noscript",
    "template",
    "iframe",
    "object",
    "svg",
    "math",
    "nav",
    "select",
    "textarea",
    "button",
}


def read_html(text: str) -> Reading:
    """Returns the sections of a page: the text that a reader sees, without navigation."""
    if len(text) > MAX_HTML:
        raise Unreadable(f"It has {len(text):,} characters; a page may have {MAX_HTML:,}.")
    cleaned = nh3.clean(text, tags=_TAGS, clean_content_tags=_DROPPED, attributes={}, strip_comments=True)
    walker = _Walker()
    walker.feed(cleaned)
    walker.close()
    return walker.outline.reading(_title_of(text))


def _title_of(text: str) -> str:
    """The head does not survive cleaning, so the title is looked up in the text, as text."""
    found = _TITLE.search(text[:_HEAD])
    return " ".join(unescape(found[1]).split())[:MAX_HEADING] if found else ""


class _Walker(HTMLParser):
    """Walks clean, well-formed HTML and gives blocks to an outline."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.outline = Outline()
        self._words: list[str] = []
        self._level = 0
        self._whole = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Ends the block before, where a new one begins."""
        if self._whole:
            self._inside(tag)
        elif tag in _HEADINGS or tag in _BLOCKS or tag in _WHOLE:
            self._flush()
        elif tag == "br":
            self._words.append("\n")
        if tag in _WHOLE:
            self._whole += 1
        self._level = _HEADINGS.get(tag, self._level)

    def handle_endtag(self, tag: str) -> None:
        """Ends a heading or a block."""
        if tag in _WHOLE:
            self._whole -= 1
        if self._whole:
            self._words.append("\n" if tag == "tr" else "")
        elif tag in _HEADINGS or tag in _BLOCKS or tag in _WHOLE:
            self._flush(is_whole=tag in _WHOLE)

    def handle_data(self, data: str) -> None:
        """Collects what a reader sees."""
        self._words.append(data if self._whole else " ".join(data.split(" ")))

    def close(self) -> None:
        """Ends the last block."""
        super().close()
        self._flush()

    def _inside(self, tag: str) -> None:
        self._words.append(" | " if tag in _CELLS else "\n" if tag == "br" else "")

    def _flush(self, *, is_whole: bool = False) -> None:
        text = "".join(self._words)
        self._words = []
        text = text.strip("\n") if is_whole else " ".join(text.split())
        level, self._level = self._level, 0
        if level and text:
            self.outline.heading(level, text)
        else:
            self.outline.block(text, is_whole=is_whole)
