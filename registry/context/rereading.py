"""Reads the best hits again, for the words as the question wrote them. Pure, and the same for the same hits.

The index knows stems: "deploy" is found by "deploying", and small words are not in it at all. That finds more, and tells
less apart. So the first hits are read once more, word by word: plain BM25 of their documents, as far as they were found,
is added to the score that they came with.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar
from uuid import UUID

SHARE: Final = 0.4
"""How much the words as written count beside what a hit was found by, each measured against the best of the hits."""
_IN_HEADING: Final = 0.3
"""A heading stands above each of its chunks, so it is counted less often than it is read."""
_SATURATION: Final = 1.2
_LENGTH: Final = 0.75
_WORD: Final = re.compile(r"\w+")


class Found(Protocol):
    """What is read of a hit."""

    @property
    def document(self) -> UUID:
        """The document it is of."""

    @property
    def heading(self) -> tuple[str, ...]:
        """The heading path."""

    @property
    def text(self) -> str:
        """What it says."""

    @property
    def score(self) -> float:
        """What it was found by; 0 or more."""


FoundHit = TypeVar("FoundHit", bound=Found)


def scores(question: str, hits: Sequence[Found]) -> list[float]:
    """Returns one score for each hit, in their order: between 0 and 1 + `SHARE`."""
    best = max((hit.score for hit in hits), default=0.0) or 1.0
    exact = _exact(list(dict.fromkeys(_words(question))), hits)
    most = max(exact.values(), default=0.0) or 1.0
    return [hit.score / best + SHARE * exact[hit.document] / most for hit in hits]


def reread(question: str, hits: Sequence[FoundHit]) -> list[tuple[float, FoundHit]]:
    """Returns the hits with their new scores, best first; of equal ones, who was first stays first."""
    return sorted(zip(scores(question, hits), hits, strict=True), key=lambda pair: -pair[0])


def _exact(words: Sequence[str], hits: Sequence[Found]) -> dict[UUID, float]:
    """Returns plain BM25 of each document, as far as it is among the hits."""
    counts: dict[UUID, dict[str, float]] = {hit.document: dict.fromkeys(words, 0.0) for hit in hits}
    lengths: Counter[UUID] = Counter()
    for hit in hits:
        held = counts[hit.document]
        read = Counter(_words(hit.text))
        above = Counter(_words(" ".join(hit.heading)))
        lengths[hit.document] += read.total()
        for word in words:
            held[word] += read[word] + _IN_HEADING * above[word]
    mean = lengths.total() / len(counts) if lengths.total() else 1.0
    weights = {word: _rarity(sum(held[word] > 0 for held in counts.values()), len(counts)) for word in words}
    return {
        document: sum(weights[word] * _saturated(often, lengths[document] / mean) for word, often in held.items())
        for document, held in counts.items()
    }


def _rarity(holding: int, among: int) -> float:
    return math.log(1 + (among - holding + 0.5) / (holding + 0.5))


def _saturated(often: float, length: float) -> float:
    return often * (_SATURATION + 1) / (often + _SATURATION * (1 - _LENGTH + _LENGTH * length)) if often else 0.0


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
