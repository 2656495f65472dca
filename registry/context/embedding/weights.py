"""Reads a file of weights (the safetensors format) without copying it: processes share its pages with each other."""

import hashlib
import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kernel.errors import Unavailable

Floats = NDArray[np.float32]
_LONGEST_HEADER: Final = 1_000_000
_BLOCK: Final = 1 << 20


def read_weights(path: Path, sha256: str) -> Mapping[str, Floats]:
    """Returns the tensors by name, read-only. Raises `Unavailable` when the file is not the one with this digest."""
    if digest_of(path) != sha256:
        raise Unavailable(
            "The weights of the built-in embedding are not the ones that were published; nothing is read."
        )
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    size = int.from_bytes(mapped[:8], "little")
    if size > _LONGEST_HEADER:
        raise Unavailable("The file of weights has no sound header.")
    header: dict[str, Any] = json.loads(mapped[8 : 8 + size])
    return {name: _tensor(mapped, 8 + size, facts) for name, facts in header.items() if facts.get("dtype") == "F32"}


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file, read in blocks so that it is never in memory as a whole."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _tensor(mapped: mmap.mmap, base: int, facts: dict[str, Any]) -> Floats:
    begin, end = facts["data_offsets"]
    flat = np.frombuffer(mapped, dtype="<f4", count=(end - begin) // 4, offset=base + begin)
    return flat.reshape(facts["shape"])
