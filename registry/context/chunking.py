"""Cuts sections into chunks that keep their place: stable keys, so that reading a document again is a difference."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Final

from registry.context.reading.sections import Block, Reading, Section

MOST_WORDS: Final = 180
"""A chunk is closed before it has more words, unless one block alone is longer."""
FEWEST_WORDS: Final = 40
"""A section with fewer words shares a chunk with what follows it."""
LONGEST_CHUNK: Final = 8_000
"""Characters: even a table that is kept whole is cut here."""

_SENTENCE: Final = re.compile(r"(?<=[.!?;:])\s+|\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk before it is kept. `key` names its place in the document, `digest` what it says."""

    key: str
    digest: str
    heading: tuple[str, ...]
    text: str
    line: int
    page: int
    words: int


def chunk(reading: Reading, language: str) -> list[Piece]:
    """Returns the chunks in the order of the document. The same reading gives the same keys and digests."""
    ordinals: Counter[tuple[str, ...]] = Counter()
    pieces = []
    for group in _groups(reading.sections):
        heading = _shared([section.heading for section in group])
        for blocks in _packed(list(_blocks(group, heading))):
            pieces.append(_piece(heading, ordinals[heading], blocks, language))
            ordinals[heading] += 1
    return pieces


def _piece(heading: tuple[str, ...], ordinal: int, blocks: Sequence[Block], language: str) -> Piece:
    text = "\n\n".join(block.text for block in blocks)
    return Piece(
        key=_digest(*heading, str(ordinal)),
        digest=_digest(language, *heading, "", text),
        heading=heading,
        text=text,
        line=blocks[0].line,
        page=blocks[0].page,
        words=len(text.split()),
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _groups(sections: Iterable[Section]) -> Iterator[list[Section]]:
    """Yields sections that share chunks: a small one goes with what follows it, as long as both fit."""
    group: list[Section] = []
    size = 0
    for section in sections:
        words = sum(_words(block.text) for block in section.blocks)
        if group and (size >= FEWEST_WORDS or size + words > MOST_WORDS):
            yield group
            group, size = [], 0
        group.append(section)
        size += words
    if group:
        yield group


def _shared(headings: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    if len(headings) == 1:
        return headings[0]
    steps = zip(*headings, strict=False)
    return tuple(step[0] for step in takewhile(lambda step: len(set(step)) == 1, steps))


def _blocks(group: Sequence[Section], heading: tuple[str, ...]) -> Iterator[Block]:
    """Yields the blocks of a group; a heading that is not part of the shared path stands before its first block."""
    for section in group:
        below = section.heading[len(heading) :]
        for place, block in enumerate(section.blocks):
            title = " / ".join(below) if place == 0 else ""
            text = f"{title}\n{block.text}" if title else block.text
            yield Block(text, block.line, block.page, block.is_whole)


def _packed(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    packed: list[Block] = []
    size = length = 0
    for block in chain.from_iterable(map(_cut, blocks)):
        words = _words(block.text)
        if packed and (size + words > MOST_WORDS or length + len(block.text) > LONGEST_CHUNK):
            yield packed
            packed, size, length = [], 0, 0
        packed.append(block)
        size += words
        length += len(block.text)
    if packed:
        yield packed


def _cut(block: Block) -> Iterator[Block]:
    """Yields the block, or its parts where it is too long: at ends of sentences and lines, never within a word."""
    most = LONGEST_CHUNK // 8 if block.is_whole else MOST_WORDS
    if _words(block.text) <= most and len(block.text) <= LONGEST_CHUNK:
        yield block
        return
    begin, line, size = 0, block.line, 0
    ends = [*(match.end() for match in _SENTENCE.finditer(block.text)), len(block.text)]
    last = 0
    for end in ends:
        size += _words(block.text[last:end])
        if last > begin and (size > most or end - begin > LONGEST_CHUNK):
            yield from _lengths(Block(block.text[begin:last].strip(), line, block.page))
            line += block.text.count("\n", begin, last) if line else 0
            begin, size = last, _words(block.text[last:end])
        last = end
    yield from _lengths(Block(block.text[begin:].strip(), line, block.page))


def _lengths(block: Block) -> Iterator[Block]:
    """Yields a sentence that alone is too long in parts of words; a word that is too long, in parts of characters."""
    words = block.text.split(" ")
    if len(words) <= MOST_WORDS and len(block.text) <= LONGEST_CHUNK:
        if block.text:
            yield block
        return
    part: list[str] = []
    size = 0
    for word in chain.from_iterable(map(_lines, words)):
        if part and (len(part) >= MOST_WORDS or size + len(word) + 1 > LONGEST_CHUNK):
            yield Block(" ".join(part), block.line, block.page)
            part, size = [], 0
        part.append(word)
        size += len(word) + 1
    if "".join(part).strip():
        yield Block(" ".join(part), block.line, block.page)


def _lines(word: str) -> Iterator[str]:
    for begin in range(0, max(len(word), 1), LONGEST_CHUNK):
        yield word[begin : begin + LONGEST_CHUNK]


def _words(text: str) -> int:
    return len(text.split())
