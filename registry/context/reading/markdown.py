"""Markdown: blocks and headings with their lines. Inline markup stays as written; nothing is rendered."""

from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from registry.context.reading.sections import Outline, Reading

_PARSER: Final = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table").disable(["inline", "text_join"])
_WHOLE: Final = frozenset({"fence", "code_block", "table_open", "html_block"})
_FENCE: Final = "---"


def read_markdown(text: str) -> Reading:
    """Returns the sections of a Markdown text. A front matter in YAML gives the title and is no text."""
    lines = text.split("\n")
    title, begin = _front_matter(lines)
    if begin:
        lines[:begin] = [""] * begin  # so that lines keep their numbers
    outline = Outline()
    tokens = _PARSER.parse("\n".join(lines))
    for place, token in enumerate(tokens):
        if token.level == 0 and token.map:
            _take(outline, token, tokens[place + 1 : place + 2], lines)
    return outline.reading(title)


def _take(outline: Outline, token: Token, following: list[Token], lines: list[str]) -> None:
    first, last = token.map or (0, 0)
    if token.type == "heading_open":
        outline.heading(int(token.tag[1:]), following[0].content if following else "")
    elif token.type != "hr":
        outline.block("\n".join(lines[first:last]), line=first + 1, is_whole=token.type in _WHOLE)


def _front_matter(lines: list[str]) -> tuple[str, int]:
    """Returns the title that a front matter names and how many lines it has."""
    if not lines or lines[0].rstrip() != _FENCE:
        return "", 0
    for place, line in enumerate(lines[1:200], start=1):
        if line.rstrip() == _FENCE:
            named = [entry[6:].strip().strip("\"'") for entry in lines[1:place] if entry.startswith("title:")]
            return (named[0] if named else ""), place + 1
    return "", 0
