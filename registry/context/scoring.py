"""How good a ranking is: nDCG, the yardstick BM25, and how sure one may be of a difference."""

import math
import random
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

CUT: Final = 10
_SATURATION: Final = 1.2
_LENGTH: Final = 0.75
_RESAMPLES: Final = 2_000
_WORD: Final = re.compile(r"\w+")


def ndcg(ranking: Sequence[str], relevant: Collection[str], cut: int = CUT) -> float:
    """Returns the normalised discounted cumulative gain of the first `cut`, each relevant document counting the same."""
    ideal = sum(1 / math.log2(place + 2) for place in range(min(cut, len(relevant))))
    gained = sum(1 / math.log2(place + 2) for place, found in enumerate(ranking[:cut]) if found in relevant)
    return gained / ideal if ideal else 0.0


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Returns the bounds between which the mean lies with 95 %, by resampling the questions."""
    if not values:
        return 0.0, 0.0
    chance = random.Random(seed)  # noqa: S311 - a sample, no secret
    means = sorted(sum(chance.choices(values, k=len(values))) / len(values) for _sample in range(_RESAMPLES))
    return means[round(_RESAMPLES * 0.025)], means[round(_RESAMPLES * 0.975) - 1]


class Bm25:
    """Plain BM25 over whole documents: no stemming, no stop words. What a search must beat."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(_tokens(text)) for text in texts]
        self._lengths = [counts.total() for counts in self._counts]
        self._mean = sum(self._lengths) / len(texts) if texts else 0.0
        self._holding = Counter(word for counts in self._counts for word in counts)

    def ranked(self, question: str) -> list[int]:
        """Returns the places of the texts that share a word with the question, best first."""
        scores = {place: self._score(place, question) for place in range(len(self._counts))}
        return sorted((place for place in scores if scores[place] > 0), key=lambda place: (-scores[place], place))

    def _score(self, place: int, question: str) -> float:
        counts = self._counts[place]
        size = _SATURATION * (1 - _LENGTH + _LENGTH * self._lengths[place] / self._mean) if self._mean else 1.0
        return sum(
            self._rarity(word) * counts[word] * (_SATURATION + 1) / (counts[word] + size)
            for word in _tokens(question)
            if word in counts
        )

    def _rarity(self, word: str) -> float:
        holding = self._holding[word]
        return math.log(1 + (len(self._counts) - holding + 0.5) / (holding + 0.5))


def _tokens(text: str) -> list[str]:
    return _WORD.findall(text.lower())
