"""BERT's uncased word pieces: how a text becomes the numbers that the built-in model knows."""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

LONGEST_WORD: Final = 100
"""A longer word has no pieces; it is one unknown word."""

_CJK: Final = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2FA1F), (0xF900, 0xFAFF))


class WordPieces:
    """A vocabulary, and the greedy longest match over it. Safe to share between threads."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}
        self._unknown, self._begin, self._end = (self._ids[mark] for mark in ("[UNK]", "[CLS]", "[SEP]"))
        self._pieces_of = lru_cache(maxsize=20_000)(self._match)

    def encode(self, text: str, limit: int) -> list[int]:
        """Returns at most `limit` numbers, of which the first and the last are the marks of begin and end."""
        found: list[int] = [self._begin]
        for word in words(text):
            found += self._pieces_of(word)
            if len(found) >= limit:
                break
        return [*found[: limit - 1], self._end]

    def _match(self, word: str) -> tuple[int, ...]:
        if len(word) > LONGEST_WORD:
            return (self._unknown,)
        found: list[int] = []
        start = 0
        while start < len(word):
            end = len(word)
            while end > start:
                piece = word[start:end] if start == 0 else f"##{word[start:end]}"
                if piece in self._ids:
                    break
                end -= 1
            if end == start:
                return (self._unknown,)
            found.append(self._ids[piece])
            start = end
        return tuple(found)


def words(text: str) -> Iterator[str]:
    """Yields words in lower case without accents; each punctuation mark and each CJK character is one by itself."""
    spaced = "".join(_spaced(character) for character in text)
    for word in spaced.split():
        yield from _split(_plain(word))


@lru_cache(maxsize=4096)
def _spaced(character: str) -> str:
    code = ord(character)
    if code in {0, 0xFFFD}:
        return ""
    if character in "\t\n\r" or unicodedata.category(character) == "Zs":
        return " "
    if unicodedata.category(character).startswith("C"):
        return ""
    return f" {character} " if any(first <= code <= last for first, last in _CJK) else character


def _plain(word: str) -> str:
    lowered = word.lower()
    if lowered.isascii():
        return lowered
    return "".join(part for part in unicodedata.normalize("NFD", lowered) if unicodedata.category(part) != "Mn")


def _split(word: str) -> Iterator[str]:
    begin = 0
    for place, character in enumerate(word):
        if _is_mark(character):
            if place > begin:
                yield word[begin:place]
            yield character
            begin = place + 1
    if begin < len(word):
        yield word[begin:]


@lru_cache(maxsize=4096)
def _is_mark(character: str) -> bool:
    is_ascii_mark = character.isascii() and not character.isalnum() and character.isprintable()
    return is_ascii_mark or unicodedata.category(character).startswith("P")
