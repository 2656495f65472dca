"""A log as files in the C2SP tlog-tiles layout: written for outsiders, and checked the way an outsider would. Pure."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.merkle import TILE_HEIGHT, TILE_WIDTH, Tree, leaf_hash
from audit.notes import Head, NoteError, Verifier, open_checkpoint

MAX_ENTRY_BYTES: Final = 0xFFFF
CHECKPOINT: Final = "checkpoint"


class LogError(ValueError):
    """The files do not make up the log that their checkpoint states."""


def tile_path(level: int | str, index: int, width: int = TILE_WIDTH) -> str:
    """Returns the path of a tile (or, at level `entries`, a bundle) below the log's directory."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"tile/{level}/{name}" + ("" if width == TILE_WIDTH else f".p/{width}")


def pack_entries(entries: Iterable[bytes]) -> bytes:
    """Returns a bundle: each entry after its length in 16 bits."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise LogError(f"an entry of {len(entry)} bytes does not fit into a bundle")
        parts += (struct.pack(">H", len(entry)), entry)
    return b"".join(parts)


def unpack_entries(data: bytes) -> list[bytes]:
    """Returns the entries of a bundle. Raises `LogError` if it ends inside one."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise LogError("an entry bundle ends inside an entry")
        entries.append(data[at + 2 : end])
        at = end
    return entries


def write_log(directory: Path, entries: Iterable[bytes], note: str, verifier: Verifier) -> Head:
    """Returns the head of the log that it wrote, after all tiles, so that a reader never sees a checkpoint too early.

    Raises `LogError` and writes no checkpoint if the entries are not those that the checkpoint states.
    """
    head = open_checkpoint(note, verifier)
    writer = _Writer(directory)
    for entry in entries:
        writer.add(entry)
    writer.finish()
    _check_head(head, writer.tree)
    _write(directory / CHECKPOINT, note.encode())
    return head


def verify_log(directory: Path, verifier: Verifier) -> Head:
    """Returns the head of the log in `directory` once everything holds: signature, root, every entry, every tile."""
    head = open_checkpoint(_text(directory / CHECKPOINT), verifier)
    tree = Tree()
    for entry in _read_entries(directory, head.size):
        for tile in tree.append(leaf_hash(entry)):
            _compare(directory / tile_path(tile.level, tile.index), tile.hashes)
    for path, hashes in _partial_tiles(tree):
        _compare(directory / path, hashes)
    _check_head(head, tree)
    return head


@dataclass(slots=True)
class _Writer:
    directory: Path
    tree: Tree
    bundle: list[bytes]

    def __init__(self, directory: Path) -> None:
        self.directory, self.tree, self.bundle = directory, Tree(), []

    def add(self, entry: bytes) -> None:
        self.bundle.append(entry)
        for tile in self.tree.append(leaf_hash(entry)):
            _write(self.directory / tile_path(tile.level, tile.index), tile.hashes)
        if len(self.bundle) == TILE_WIDTH:
            self._write_bundle((self.tree.size - 1) // TILE_WIDTH)

    def finish(self) -> None:
        if self.bundle:
            self._write_bundle(self.tree.size // TILE_WIDTH)
        for path, hashes in _partial_tiles(self.tree):
            _write(self.directory / path, hashes)

    def _write_bundle(self, index: int) -> None:
        _write(self.directory / tile_path("entries", index, len(self.bundle)), pack_entries(self.bundle))
        self.bundle.clear()


def _partial_tiles(tree: Tree) -> Iterator[tuple[str, bytes]]:
    for level, hashes in enumerate(tree.partial):
        if hashes:
            yield tile_path(level, tree.size >> TILE_HEIGHT * (level + 1), len(hashes)), b"".join(hashes)


def _read_entries(directory: Path, size: int) -> Iterator[bytes]:
    for first in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - first)
        path = tile_path("entries", first // TILE_WIDTH, width)
        entries = unpack_entries(_bytes(directory / path))
        if len(entries) != width:
            raise LogError(f"{path} holds {len(entries)} entries instead of {width}")
        yield from entries


def _check_head(head: Head, tree: Tree) -> None:
    if (head.size, head.root) != (tree.size, tree.root()):
        raise LogError(f"the entries are not those of the checkpoint at size {head.size}")


def _compare(path: Path, expected: bytes) -> None:
    if _bytes(path) != expected:
        raise LogError(f"tile {path.name} differs from the entries below it")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LogError(f"{path.name} cannot be read") from error


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode()
    except UnicodeDecodeError as error:
        raise NoteError("the checkpoint is not UTF-8") from error


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(data)
    draft.replace(path)
