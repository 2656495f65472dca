"""Passages of documents as people read them: where one stands, what it looks like, and the words of its marks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from registry.context.excerpts import Part
from registry.context.queries import Hit
from registry.context.screening import INJECTION, SECRET

_SECRETS: Final = {
    "assigned": "an assigned password or key",
    "told": "a password in a sentence",
    "url-password": "a password in an address",
    "authorization": "an authorization header",
    "jwt": "a signed token",
    "aws-key": "an AWS key",
    "azure-key": "an Azure key",
    "npm-token": "an npm token",
}
_INJECTIONS: Final = {
    "override": "Orders to ignore instructions",
    "role": "Gives an agent another role",
    "frame": "Looks like a message of the system",
    "secrecy": "Asks to keep something from people",
    "exfiltration": "Asks to send secrets away",
    "tool": "Asks to use a tool without asking",
    "hidden": "Hidden characters",
}
TALKING: Final = tuple(f"{INJECTION}{name}" for name in _INJECTIONS)
"""Every mark of a passage that seems to speak to an agent."""
_DRAWN: Final = re.compile(r"(?m)^(?: {2,}|\t|\||```)")
_ITEM: Final = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")
_HEADING: Final = re.compile(r"[^\n]{1,60}(?<![.:;,!?])")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some lines of a passage, under the heading that stands with them; in code and tables all blanks are kept."""

    text: str
    is_drawn: bool = False
    heading: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownHit:
    """A hit as the list draws it."""

    hit: Hit
    parts: tuple[Part, ...]
    url: str
    overruled_by: Hit | None = None
    subject: str = ""


def mark_words(mark: str) -> str:
    """Returns a mark as people say it: `secret:jwt` as `a signed token`."""
    kind, _, name = mark.partition(":")
    plain = name.replace("-", " ")
    known = {SECRET: _SECRETS, INJECTION: _INJECTIONS}.get(f"{kind}:", {})
    return known.get(name, f"a {plain}" if f"{kind}:" == SECRET else plain.capitalize())


def talking(marks: Iterable[str]) -> list[str]:
    """Returns the marks that say that a text seems to speak to an agent; what is withheld says so itself."""
    return [mark for mark in marks if mark.startswith(INJECTION)]


def paragraphs(text: str) -> list[Paragraph]:
    """Returns the paragraphs of a passage. Lines that were broken by hand are joined; items of a list stay apart."""
    return [_paragraph(part.strip("\n")) for part in text.split("\n\n") if part.strip()]


def _paragraph(text: str) -> Paragraph:
    first, _, rest = text.partition("\n")
    if rest and _HEADING.fullmatch(first) and not _ITEM.match(first) and not _DRAWN.match(first):
        return replace(_body(rest), heading=first)
    return _body(text)


def _body(text: str) -> Paragraph:
    if not _ITEM.match(text) and _DRAWN.search(text):
        return Paragraph(text, is_drawn=True)
    lines: list[str] = []
    for line in text.splitlines():
        if lines and not _ITEM.match(line):
            lines[-1] = f"{lines[-1]} {line.strip()}"
        else:
            lines.append(line)
    return Paragraph("\n".join(lines))


def place_of(row: object) -> str:
    """Returns where a passage stands in its document: `line 12`, `page 3`, or nothing."""
    page, line = getattr(row, "page", 0), getattr(row, "line", 0)
    return f"page {page}" if page else f"line {line}" if line else ""


def address_of(hit: Hit) -> str:
    """Returns the address of a hit's passage in its document."""
    query = urlencode({"passage": hit.chunk})
    return f"{reverse('document', args=[hit.document])}?{query}#p-{hit.chunk}"
