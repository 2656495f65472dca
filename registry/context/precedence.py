"""Which hits speak of the same thing, and whose word counts. Pure, and the same for the same hits.

Two hits of different tiers conflict when they speak of the same thing and do not say the same:
- they have a heading in common (the last step of the path, or one inside the passage; without any, the title), and
  share a quarter of their words; or
- they share six tenths of their words, whatever they are called: one was copied from the other and changed.

The share is counted against the shorter of the two. What says exactly the same is no conflict. A team's word counts
before its domains', a domain's before the platform's. The overruled hit stays, behind the hit that overrules it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from tenants.rules import Tier

SAME_HEADING: Final = 0.25
SAME_WORDS: Final = 0.6
_RANK: Final = {tier.value: rank for rank, tier in enumerate((Tier.TEAM, Tier.DOMAIN, Tier.PLATFORM))}
_WORD: Final = re.compile(r"\w+")
_SHORTEST: Final = 3
_HEADING: Final = re.compile(r"[^\n]{1,80}(?<![.:;,!?])")
"""A line that may be a heading inside a passage: short, and not the end of a sentence."""


class Placed(Protocol):
    """What is compared of a hit."""

    @property
    def title(self) -> str:
        """The document's title."""

    @property
    def heading(self) -> tuple[str, ...]:
        """The heading path."""

    @property
    def text(self) -> str:
        """What it says."""

    @property
    def tier(self) -> str:
        """Whose tier it is."""


H = TypeVar("H", bound=Placed)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two hits by their places among the hits: the one that counts, the one that is overruled, and what they share."""

    winner: int
    loser: int
    subject: str
    likeness: float
    why: str


def conflicts(hits: Sequence[Placed]) -> list[Conflict]:
    """Returns every conflict between hits of different tiers, in the order of the hits."""
    words = [_words(hit.text) for hit in hits]
    named = [_names(hit) for hit in hits]
    said = [" ".join(_WORD.findall(hit.text.casefold())) for hit in hits]
    found = []
    for second in range(len(hits)):
        for first in range(second):
            if _RANK[hits[first].tier] == _RANK[hits[second].tier] or said[first] == said[second]:
                continue
            likeness = _share(words[first], words[second])
            winner, loser = sorted((first, second), key=lambda place: _RANK[hits[place].tier])
            subject, why = _about(named[winner], named[loser], likeness)
            if why:
                found.append(Conflict(winner, loser, subject, round(likeness, 2), why))
    return found


def ordered(hits: Sequence[H], found: Sequence[Conflict]) -> list[H]:
    """Returns all hits in their order, but each behind what overrules it."""
    overruling: dict[int, list[int]] = {}
    for conflict in found:
        overruling.setdefault(conflict.loser, []).append(conflict.winner)
    placed: dict[int, None] = {}
    for place in range(len(hits)):
        placed.update(dict.fromkeys(_before(place, overruling)))
    return [hits[place] for place in placed]


def _before(place: int, overruling: dict[int, list[int]]) -> Iterator[int]:
    """Yields what must stand before a hit, then the hit. Ends, because each step leads to a higher precedence."""
    for winner in sorted(overruling.get(place, [])):
        yield from _before(winner, overruling)
    yield place


def _about(winner: dict[str, str], loser: dict[str, str], likeness: float) -> tuple[str, str]:
    """Returns what both speak of, by the winner's words, and why they are compared; no reason: they are not."""
    shared = [name for plain, name in winner.items() if plain in loser]
    if shared and likeness >= SAME_HEADING:
        return shared[0], "the same heading"
    return next(iter(winner.values()), ""), "nearly the same words" if likeness >= SAME_WORDS else ""


def _names(hit: Placed) -> dict[str, str]:
    """Returns the headings of a passage by their plain form: a small section stands in one with what is before it."""
    lines = [part.partition("\n") for part in hit.text.split("\n\n")]
    inside = [first.rpartition(" / ")[2] for first, _, rest in lines if rest and _HEADING.fullmatch(first)]
    names = [hit.heading[-1] if hit.heading else hit.title, *inside]
    return {plain: name for name in names if (plain := _plain(name))}


def _plain(name: str) -> str:
    """Returns a heading without its numbering, case and marks."""
    return " ".join(word for word in _WORD.findall(name.casefold()) if not word.isdecimal())


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in _WORD.findall(text.casefold()) if len(word) >= _SHORTEST or word.isdecimal())


def _share(first: frozenset[str], second: frozenset[str]) -> float:
    shorter = min(len(first), len(second))
    return len(first & second) / shorter if shorter else 0.0
