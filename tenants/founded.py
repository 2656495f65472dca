"""The steps that every new tenant takes, by their dotted paths. Floors above add theirs at start, before any model is there."""

from typing import Final

STEPS: Final[list[str]] = []


def register(path: str) -> None:
    """Adds a function that is given each new tenant in the transaction that makes it. Twice is once."""
    if path not in STEPS:
        STEPS.append(path)
