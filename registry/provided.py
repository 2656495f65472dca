"""The internal servers, by the dotted paths of their providers. A floor above adds its own at start."""

from typing import Final

PATHS: Final[list[str]] = []


def register(path: str) -> None:
    """Adds the `Provider` at this path. Twice is once."""
    if path not in PATHS:
        PATHS.append(path)
