"""Makes a set to score the search on out of documents alone: a heading is taken out of its document and is the question.

Only headings that stand nowhere else are taken, numbers and marks aside, so that one document is the answer.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kernel.errors import Invalid

KINDS: Final = ("titles", "sections")
"""The first heading of a document, or the first later one that is fit."""
FEWEST_WORDS: Final = 3
_HEADING: Final = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_LISTING: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_NUMBER: Final = re.compile(r"^\s*(?:(?:ADR[- ]?)?\d+[.:)]?\s+|ADR[- ]?\d+[.: -]*)")


def known_items(teams: object, kind: str, *, is_together: bool) -> dict[str, Any]:
    """Returns documents and queries as `context evaluate` wants them, of `[{"name", "docs": [Markdown, ..]}, ..]`.

    `is_together` searches all teams' documents at once. Raises `Invalid` when the teams have another form.
    """
    if not isinstance(teams, list) or not all(
        isinstance(row, dict) and isinstance(row.get("docs"), list) for row in teams
    ):
        raise Invalid('The file must hold [{"name", "docs": [Markdown, ..]}, ..].')
    often = Counter(
        key for team in teams for text in team["docs"] for key in {_key(found) for found in _headings(text)}
    )
    documents, queries = [], []
    for number, team in enumerate(teams):
        owner = "all" if is_together else str(team.get("name", number))
        for place, whole in enumerate(team["docs"]):
            name, text = f"{number}/{place}", str(whole)
            taken = _taken(text, kind, often)
            if taken is not None:
                text = text[: taken.start()] + text[taken.end() :]
                queries.append({"team": owner, "text": _said(taken), "relevant": [name]})
            documents.append({"id": name, "team": owner, "text": text})
    return {"documents": documents, "queries": queries}


def _taken(text: str, kind: str, often: Mapping[str, int]) -> re.Match[str] | None:
    """Returns the heading that becomes the question, if one is fit."""
    found = _headings(text)
    for heading in found[:1] if kind == "titles" else found[1:]:
        key = _key(heading)
        if often[key] == 1 and len(key.split()) >= FEWEST_WORDS:
            return heading
    return None


def _headings(text: str) -> Sequence[re.Match[str]]:
    listings = [found.span() for found in _LISTING.finditer(text)]
    return [
        found for found in _HEADING.finditer(text) if not any(begin <= found.start() < end for begin, end in listings)
    ]


def _said(heading: re.Match[str]) -> str:
    """Returns what a heading says, without its number, links and marks."""
    text = re.sub(r"[`*_]", " ", _LINK.sub(r"\1", heading[1]))
    return re.sub(r"\s+", " ", _NUMBER.sub("", text)).strip()


def _key(heading: re.Match[str]) -> str:
    return re.sub(r"\W+", " ", _said(heading).lower()).strip()
