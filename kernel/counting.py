"""Numbers of things as people say them."""

from typing import Final

_PLURALS: Final = {"person": "people", "repository": "repositories"}


def counted(number: int, word: str) -> str:
    """Returns `1 document`, `1,200 documents`, `2 people`."""
    return f"{number:,} {word if number == 1 else _PLURALS.get(word, f'{word}s')}"
