"""Which embedding an installation uses: the built-in one, an endpoint that an operator named, or none."""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol
from urllib.error import URLError
from urllib.request import Request, urlopen

from django.conf import settings

from kernel.errors import Unavailable
from registry.context.embedding import minilm

NONE: Final = "none"
BUILT_IN: Final = "built-in"
MAX_DIMENSIONS: Final = 4_000
_KEPT_QUESTIONS: Final = 512
_SECONDS: Final = 20
_LARGEST_ANSWER: Final = 64_000_000


class Embedder(Protocol):
    """Turns texts into vectors of length one. `name` is kept beside each vector: only vectors of one name compare."""

    @property
    def name(self) -> str:
        """The model, as it is kept beside each vector."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Returns one vector for each text. Raises `Unavailable` when it cannot."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint, as servers of sentence-transformers models have it, too."""

    url: str
    name: str
    key: str

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Returns the vectors that the endpoint answers, made of length one."""
        body = json.dumps({"model": self.name, "input": list(texts)}).encode()
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {self.key}"} if self.key else {})
        try:
            with urlopen(Request(self.url, body, headers), timeout=_SECONDS) as answer:  # noqa: S310 - checked by `portal.config`
                found = json.loads(answer.read(_LARGEST_ANSWER))
            rows = sorted(found["data"], key=lambda row: row["index"])
            vectors = [unit([float(number) for number in row["embedding"]]) for row in rows]
        except (URLError, OSError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"The embedding endpoint did not answer as it must ({type(error).__name__}).") from error
        if len(vectors) != len(texts) or any(not 0 < len(vector) <= MAX_DIMENSIONS for vector in vectors):
            raise Unavailable("The embedding endpoint answered with another number of vectors, or with unusable ones.")
        return vectors


class Questions:
    """Remembers the vectors of the last questions: people and agents ask the same thing again, and it costs most."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def vector(self, embedder: Embedder, question: str) -> list[float]:
        """Returns the vector of a question."""
        key = (embedder.name, question)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        vector = embedder.embed([question])[0]
        with self._lock:
            self._kept[key] = vector
            while len(self._kept) > _KEPT_QUESTIONS:
                self._kept.popitem(last=False)
        return vector


QUESTIONS: Final = Questions()


def embedder() -> Embedder | None:
    """Returns the embedding of this installation; None: search goes by words alone, and says so."""
    facts: Mapping[str, str] = settings.EMBEDDING
    return _made(facts["source"], facts["model"], facts["key"])


@lru_cache(maxsize=4)
def _made(source: str, model: str, key: str) -> Embedder | None:
    if source == NONE:
        return None
    return minilm.find() if source == BUILT_IN else Endpoint(source, model, key)


def unit(vector: Sequence[float]) -> list[float]:
    """Returns the vector with length one; a vector of nothing stays as it is."""
    length = sum(number * number for number in vector) ** 0.5
    return [number / length for number in vector] if length else list(vector)


def as_text(vector: Sequence[float]) -> str:
    """Returns a vector as PostgreSQL reads it."""
    return "[" + ",".join(f"{number:.6g}" for number in vector) + "]"
