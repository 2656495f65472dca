"""Reads the tree of a stream from the database: its right edge for growing, any node of it for proofs."""

from audit.merkle import TILE_HEIGHT, TILE_WIDTH, ReadNode, Tree, complete_root, split_hashes
from audit.models import Leaf, Tile


def load_tree(stream: int, size: int) -> Tree:
    """Returns the stream's tree of `size` leaves, from its loose leaves and complete tiles. Raises `ValueError` if some lack."""
    partial: list[list[bytes]] = []
    level = 0
    while size >> TILE_HEIGHT * level:
        partial.append(_loose(stream, level, size >> TILE_HEIGHT * level))
        level += 1
    return Tree.load(size, partial)


def node_reader(stream: int) -> ReadNode:
    """Returns a function that reads the hash of any complete subtree; what it reads once it keeps."""
    rows: dict[tuple[int, int], list[bytes]] = {}

    def read(height: int, index: int) -> bytes:
        level, inner = divmod(height, TILE_HEIGHT)
        first = index << inner
        key = (level, first // TILE_WIDTH)
        if key not in rows:
            rows[key] = _tile_hashes(stream, *key)
        offset = first % TILE_WIDTH
        return complete_root(rows[key][offset : offset + (1 << inner)])

    return read


def _tile_hashes(stream: int, level: int, index: int) -> list[bytes]:
    """Returns the hashes of a tile, complete or not."""
    if level == 0:
        return _leaf_hashes(stream, index * TILE_WIDTH, (index + 1) * TILE_WIDTH)
    tile = Tile.objects.filter(stream=stream, level=level, index=index).values_list("hashes", flat=True).first()
    if tile is not None:
        return split_hashes(bytes(tile))
    return _roots(stream, level - 1, index * TILE_WIDTH, (index + 1) * TILE_WIDTH)


def _loose(stream: int, level: int, count: int) -> list[bytes]:
    """Returns the hashes of a level that no complete tile of it holds; the level has `count` hashes in all."""
    first = count - count % TILE_WIDTH
    return _leaf_hashes(stream, first, count) if level == 0 else _roots(stream, level - 1, first, count)


def _leaf_hashes(stream: int, low: int, high: int) -> list[bytes]:
    leaves = Leaf.objects.filter(stream=stream, index__gte=low, index__lt=high).order_by("index")
    return [bytes(value) for value in leaves.values_list("hash", flat=True)]


def _roots(stream: int, level: int, low: int, high: int) -> list[bytes]:
    tiles = Tile.objects.filter(stream=stream, level=level, index__gte=low, index__lt=high).order_by("index")
    return [complete_root(split_hashes(bytes(value))) for value in tiles.values_list("hashes", flat=True)]
