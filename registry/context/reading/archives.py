"""Zip archives, such as the exports of wikis: read within bounds, never unpacked to disk."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from registry.context.reading.formats import ARCHIVE, is_wanted
from registry.context.reading.sections import Unreadable

MAX_MEMBERS: Final = 20_000
MAX_MEMBER: Final = 50_000_000
MAX_TOTAL: Final = 200_000_000
MAX_RATIO: Final = 200
MAX_NESTED: Final = 1
"""An archive inside an archive is opened (Notion exports so); one inside that is not."""

_BLOCK: Final = 1 << 16
_SLACK: Final = 1_000_000
_IGNORED: Final = ("__MACOSX/", ".git/")
Member = tuple[str, bytes, str]
"""Path, content, and why it is not read; one of the last two is empty."""


@dataclass(slots=True)
class _Allowance:
    """What is left of the bounds, over all nested archives together."""

    bytes: int = MAX_TOTAL
    members: int = MAX_MEMBERS


def members(content: bytes) -> Iterator[Member]:
    """Yields the documents in an archive. Raises `Unreadable` when the archive as a whole is none, or passes a bound."""
    yield from _members(content, "", _Allowance(), MAX_NESTED)


def _members(content: bytes, prefix: str, left: _Allowance, nested: int) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise Unreadable("It is not a whole zip archive.") from error
    with archive:
        entries = [
            entry for entry in archive.infolist() if not entry.is_dir() and not entry.filename.startswith(_IGNORED)
        ]
        left.members -= len(entries)
        if left.members < 0:
            raise Unreadable(f"It has more than {MAX_MEMBERS:,} members.")
        for entry in entries:
            yield from _member(archive, entry, prefix, left, nested)


def _member(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, prefix: str, left: _Allowance, nested: int
) -> Iterator[Member]:
    path = prefix + entry.filename
    try:
        content = _read(archive, entry, left)
    except Unreadable as refused:
        if left.bytes <= 0:
            raise
        yield path, b"", refused.message
        return
    if path.lower().endswith(ARCHIVE):
        yield from _nested(content, path, left, nested)
    elif is_wanted(path, content):
        yield path, content, ""


def _nested(content: bytes, path: str, left: _Allowance, nested: int) -> Iterator[Member]:
    if not nested:
        yield path, b"", "It is an archive in an archive in an archive, which is not opened."
        return
    try:
        yield from _members(content, f"{path}/", left, nested - 1)
    except Unreadable as refused:
        if left.bytes <= 0 or left.members < 0:
            raise
        yield path, b"", refused.message


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: _Allowance) -> bytes:
    """Returns a member's bytes. What it says of its size is not believed: it is counted while it is read."""
    if entry.flag_bits & 0x1:
        raise Unreadable("It is encrypted.")
    bound = min(MAX_MEMBER, entry.compress_size * MAX_RATIO + _SLACK)
    found = bytearray()
    try:
        with archive.open(entry) as file:
            while block := file.read(_BLOCK):
                found += block
                left.bytes -= len(block)
                if left.bytes <= 0:
                    raise Unreadable(f"Unpacked, it has more than {MAX_TOTAL:,} bytes.")
                if len(found) > bound:
                    raise Unreadable(
                        f"It unpacks to more than {bound:,} bytes, far more than its {entry.compress_size:,}."
                    )
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise Unreadable("It is damaged in the archive.") from error
    return bytes(found)
