"""Packs of strangers: what their objects would unfold to is known before any of them is unfolded.

An object says its size, and dulwich unfolds no more than that; so the sizes are looked at first. A delta says the size
of its result, and dulwich makes no more than that.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha1
from mmap import mmap
from typing import Final

from dulwich.pack import DELTA_TYPES, OFS_DELTA, REF_DELTA, read_pack_header_at, unpack_object_at

from registry.git.bounds import Bounds, Watch, refused

Contents = bytes | mmap
_LONGEST_NUMBER: Final = 10
_DELTA_HEAD: Final = 2 * _LONGEST_NUMBER


@dataclass(frozen=True, slots=True)
class Head:
    """What an object of a pack says of itself, before anything of it is unfolded. `data` is where that begins."""

    kind: int
    size: int
    data: int
    base: int | bytes | None = None

    @property
    def is_delta(self) -> bool:
        """Whether it is written as a difference to another object."""
        return self.kind in DELTA_TYPES


def check_pack(contents: Contents, bounds: Bounds, watch: Watch) -> None:
    """Raises unless every object of the pack, and all together, keep to the bounds once they are unfolded."""
    count = read_pack_header_at(contents)[1]
    if count > bounds.objects:
        raise refused("too_many_objects", f"The repository has more than {bounds.objects:,} objects.")
    total, offset = 0, 12
    for _ in range(count):
        watch.check()
        head = read_head(contents, offset)
        _check_size(head.size, bounds)
        unpacked, offset = unpack_object_at(contents, offset, sha1)
        total += head.size
        if head.is_delta:
            made = result_size(unpacked.decomp_chunks)
            _check_size(made, bounds)
            total += made
        if total > bounds.inflated:
            raise refused("too_large", f"The repository unfolds to more than {bounds.inflated:,} bytes.")


def _check_size(size: int, bounds: Bounds) -> None:
    if size > bounds.blob:
        raise refused("blob_too_large", f"The repository holds an object of more than {bounds.blob:,} bytes.")


def read_head(contents: Contents, offset: int) -> Head:
    """Returns the head of the object at an offset. A number that is longer than any honest one is refused unread."""
    octets, place = _number_at(contents, offset)
    size = octets[0] & 0x0F
    for place_of, octet in enumerate(octets[1:]):
        size |= (octet & 0x7F) << (4 + 7 * place_of)
    kind = octets[0] >> 4 & 0x07
    if kind == OFS_DELTA:
        octets, after = _number_at(contents, place)
        return Head(kind, size, after, _distance(octets))
    if kind == REF_DELTA:
        return Head(kind, size, place + 20, bytes(contents[place : place + 20]))
    return Head(kind, size, place)


def _number_at(contents: Contents, offset: int) -> tuple[bytes, int]:
    octets = bytes(contents[offset : offset + _LONGEST_NUMBER])
    for place, octet in enumerate(octets):
        if not octet & 0x80:
            return octets[: place + 1], offset + place + 1
    raise refused("broken", "The repository's data is broken: a number in it does not end.")


def _distance(octets: bytes) -> int:
    """The distance to a delta's base, as git writes it: each further octet adds one before it shifts."""
    distance = octets[0] & 0x7F
    for octet in octets[1:]:
        distance = (distance + 1 << 7) | (octet & 0x7F)
    return distance


def result_size(delta: Sequence[bytes]) -> int:
    """Returns the size that a delta says its result has."""
    head = b"".join(_first(delta, _DELTA_HEAD))
    _, place = _number_at(head, 0)
    octets, _ = _number_at(head, place)
    return sum((octet & 0x7F) << (7 * place_of) for place_of, octet in enumerate(octets))


def _first(chunks: Sequence[bytes], most: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:most]
        most -= len(chunk)
        if most <= 0:
            return


def peeked_size(contents: Contents, head: Head) -> int:
    """Returns the size of the object that a head leads to; of a delta only the first few bytes are unfolded."""
    if not head.is_delta:
        return head.size
    start = zlib.decompressobj().decompress(contents[head.data : head.data + 4096], _DELTA_HEAD)
    return result_size([start])
