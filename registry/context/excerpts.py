"""What is shown of a hit: the part of its text where the question's words stand, and which words those are.

Words are compared by PostgreSQL in the language of each text, as the search does it. The text itself goes back as it
is, in parts: whoever shows it escapes every part, and nothing that stands in a document is ever markup.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from django.db import connection

MOST_WORDS: Final = 70
"""How many words of a passage are shown in a list of hits."""
_WORD: Final = re.compile(r"\w+")
_LONGEST: Final = 64
_SHORTEST: Final = 2

_MATCHING: Final = """
SELECT there.language, there.word
  FROM unnest(%(languages)s::text[], %(words)s::text[]) AS there(language, word)
  JOIN (SELECT l AS language, websearch_to_tsquery(l::regconfig, %(question)s) AS wanted
          FROM unnest(%(spoken)s::text[]) l) asked USING (language)
 WHERE to_tsvector(there.language::regconfig, there.word) @@ asked.wanted
"""


class Spoken(Protocol):
    """A text and the language it is in."""

    @property
    def text(self) -> str:
        """The text."""

    @property
    def language(self) -> str:
        """A text search configuration of PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some characters of a text, and whether they are a word that was asked for."""

    text: str
    is_marked: bool = False


def excerpts(question: str, texts: Sequence[Spoken]) -> list[tuple[Part, ...]]:
    """Returns an excerpt of each text, in order: one statement for all of them."""
    found = _matching(question, texts)
    return [excerpt(text.text, found.get(text.language, frozenset())) for text in texts]


def excerpt(text: str, wanted: frozenset[str]) -> tuple[Part, ...]:
    """Returns the window of the text that has the most of the wanted words, in parts; `…` where something is left out."""
    words = list(_WORD.finditer(text))
    marked = [word[0].casefold() in wanted for word in words]
    first = _best(marked)
    last = min(first + MOST_WORDS, len(words))
    start = words[first].start() if first else 0
    end = len(text) if last == len(words) else words[last - 1].end()
    parts: list[Part] = [Part("… ")] if first else []
    at = start
    for word, is_marked in zip(words[first:last], marked[first:last], strict=True):
        if is_marked:
            parts += [Part(text[at : word.start()]), Part(word[0], is_marked=True)]
            at = word.end()
    parts.append(Part(text[at:end] + (" …" if last < len(words) else "")))
    return tuple(part for part in parts if part.text)


def _best(marked: Sequence[bool]) -> int:
    """Returns where the window begins: a little before the first of as many marked words as fit into one."""
    most, best, inside = 0, 0, 0
    for end, is_marked in enumerate(marked):
        inside += is_marked - (end >= MOST_WORDS and marked[end - MOST_WORDS])
        if inside > most:
            most, best = inside, max(0, end - MOST_WORDS + 1)
    first = next((place for place in range(best, len(marked)) if marked[place]), 0)
    return max(0, min(first - MOST_WORDS // 6, len(marked) - MOST_WORDS))


def _matching(question: str, texts: Iterable[Spoken]) -> dict[str, frozenset[str]]:
    """Returns the words of the texts that the question asks for, by language, in small letters."""
    asked = " or ".join(word for word in _WORD.findall(question) if word.casefold() != "or")
    pairs = {(text.language, word) for text in texts for word in _words(text.text)}
    if not asked or not pairs:
        return {}
    languages, words = zip(*sorted(pairs), strict=True)
    values: dict[str, Any] = {
        "question": asked,
        "languages": list(languages),
        "words": list(words),
        "spoken": sorted(set(languages)),
    }
    with connection.cursor() as cursor:
        cursor.execute(_MATCHING, values)
        rows = cursor.fetchall()
    return {language: frozenset(word for spoken, word in rows if spoken == language) for language in set(languages)}


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text) if _SHORTEST <= len(word) <= _LONGEST}
