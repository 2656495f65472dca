"""The Merkle tree of RFC 6962 (and 9162): hashes, the growing tree, proofs and their verification. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

HASH_BYTES: Final = 32
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

# Gives the hash of the complete subtree `index` of the given height: leaves are height 0, their parents height 1.
ReadNode = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """Returns SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns SHA-256(0x01 || left || right); the other prefix keeps a leaf from posing as a node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class FullTile:
    """256 neighbouring hashes of tile level `level`: the nodes of height 8 * level from 256 * index on."""

    level: int
    index: int
    hashes: bytes


@dataclass(slots=True)
class Tree:
    """A tree that only grows. Keeps the right edge: the peaks for the root, and each level's unfinished tile."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)
    partial: list[list[bytes]] = field(default_factory=list)

    @classmethod
    def load(cls, size: int, partial: Sequence[Sequence[bytes]]) -> Self:
        """Returns the tree of `size` leaves from each level's unfinished tile (level L holds (size >> 8L) % 256 hashes)."""
        for level, hashes in enumerate(partial):
            if len(hashes) != (size >> TILE_HEIGHT * level) % TILE_WIDTH:
                raise ValueError(f"level {level} of a tree of {size} leaves has {len(hashes)} loose hashes")
        if size >> TILE_HEIGHT * len(partial):
            raise ValueError(f"a tree of {size} leaves has more than {len(partial)} levels")
        peaks = [peak for hashes in reversed(partial) for peak in _peaks_of(hashes)]
        return cls(size, peaks, [list(hashes) for hashes in partial])

    def append(self, leaf: bytes) -> list[FullTile]:
        """Adds one leaf hash and returns the tiles that it completed, mostly none."""
        done: list[FullTile] = []
        node, height = leaf, 0
        self._keep(0, node, done)
        while self.size >> height & 1:
            node = node_hash(self.peaks.pop(), node)
            height += 1
            if height % TILE_HEIGHT == 0:
                self._keep(height // TILE_HEIGHT, node, done)
        self.peaks.append(node)
        self.size += 1
        return done

    def root(self) -> bytes:
        """Returns the root over all leaves so far; of no leaves, SHA-256 of nothing."""
        return fold_right(self.peaks)

    def _keep(self, level: int, node: bytes, done: list[FullTile]) -> None:
        if level == len(self.partial):
            self.partial.append([])
        hashes = self.partial[level]
        hashes.append(node)
        if len(hashes) == TILE_WIDTH:
            done.append(FullTile(level, self.size >> TILE_HEIGHT * (level + 1), b"".join(hashes)))
            hashes.clear()


def fold_right(peaks: Sequence[bytes]) -> bytes:
    """Returns the root of neighbouring subtrees, biggest first."""
    if not peaks:
        return EMPTY_ROOT
    node = peaks[-1]
    for peak in reversed(peaks[:-1]):
        node = node_hash(peak, node)
    return node


def root_of(hashes: Iterable[bytes]) -> bytes:
    """Returns the root over the given leaf hashes."""
    tree = Tree()
    for leaf in hashes:
        tree.append(leaf)
    return tree.root()


def subtree(read: ReadNode, low: int, high: int) -> bytes:
    """Returns the hash over leaves low..high-1, where low is a multiple of the power of two that the range needs."""
    return fold_right([read(height, low >> height) for height, low in _cover(low, high)])


def inclusion_proof(read: ReadNode, index: int, size: int) -> list[bytes]:
    """Returns the RFC 6962 audit path of leaf `index` in the tree of `size` leaves, sibling of the leaf first."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(subtree(read, middle, high))
            high = middle
        else:
            path.append(subtree(read, low, middle))
            low = middle
    return path[::-1]


def consistency_proof(read: ReadNode, old: int, new: int) -> list[bytes]:
    """Returns the RFC 6962 proof that the tree of `old` leaves is the beginning of the tree of `new` leaves."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {old} leaves is not the beginning of one of {new}")
    path: list[bytes] = []
    low, high, whole = 0, new, True
    if old == 0:
        return path
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(subtree(read, middle, high))
            high = middle
        else:
            path.append(subtree(read, low, middle))
            low, whole = middle, False
    if not whole:
        path.append(subtree(read, low, high))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tells whether `path` proves that leaf hash `leaf` is number `index` in the tree of `size` with that root."""
    if not 0 <= index < size or not _are_hashes([leaf, root, *path]):
        return False
    node, place, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and node == root


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Tells whether `path` proves that the old tree is the beginning of the new one."""
    if not 0 <= old <= new or not _are_hashes([old_root, new_root, *path]):
        return False
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    return _walk_consistency(old, old_root, new, new_root, path)


def _walk_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    rest = list(path)
    if place and not rest:
        return False
    first = rest.pop(0) if place else old_root
    was = node = first
    for sibling in rest:
        if last == 0:
            return False
        if place & 1 or place == last:
            was, node = node_hash(sibling, was), node_hash(sibling, node)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and was == old_root and node == new_root


def _split(count: int) -> int:
    """Returns the largest power of two below `count` (RFC 6962's k)."""
    return 1 << (count - 1).bit_length() - 1


def _cover(low: int, high: int) -> list[tuple[int, int]]:
    """Returns (height, first leaf) of the complete subtrees that make up low..high-1, biggest first."""
    parts: list[tuple[int, int]] = []
    while low < high:
        height = (high - low).bit_length() - 1
        parts.append((height, low))
        low += 1 << height
    return parts


def _peaks_of(hashes: Sequence[bytes]) -> list[bytes]:
    return [_complete(hashes[low : low + (1 << height)]) for height, low in _cover(0, len(hashes))]


def _complete(hashes: Sequence[bytes]) -> bytes:
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """Returns the root of a complete subtree: the number of hashes is a power of two."""
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise ValueError(f"{len(hashes)} is not a power of two")
    return _complete(hashes)


def split_hashes(data: bytes) -> list[bytes]:
    """Returns the 32-byte hashes that a tile holds."""
    if len(data) % HASH_BYTES:
        raise ValueError(f"a tile of {len(data)} bytes does not hold whole hashes")
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def _are_hashes(values: Iterable[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
