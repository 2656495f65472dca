"""Passages of documents as people read them: where one stands, what it looks like, and the words of its marks."""

import re
from dataclasses import dataclass
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
_DRAWN: Final = re.compile(r"(?m)^(?: {2,}|\t|\||```)")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some lines of a passage; in what is drawn with blanks (code, tables, lists of lists) they are kept."""

    text: str
    is_drawn: bool


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


def paragraphs(text: str) -> list[Paragraph]:
    """Returns the paragraphs of a passage."""
    return [Paragraph(part, bool(_DRAWN.search(part))) for part in text.split("\n\n") if part.strip()]


def place_of(row: object) -> str:
    """Returns where a passage stands in its document: `line 12`, `page 3`, or nothing."""
    page, line = getattr(row, "page", 0), getattr(row, "line", 0)
    return f"page {page}" if page else f"line {line}" if line else ""


def address_of(hit: Hit) -> str:
    """Returns the address of a hit's passage in its document."""
    query = urlencode({"passage": hit.chunk})
    return f"{reverse('document', args=[hit.document])}?{query}#p-{hit.chunk}"
