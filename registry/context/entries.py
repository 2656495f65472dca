"""What an import is given: documents by path, each with its bytes, or gone, or refused before it was read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

from django.utils.text import slugify

from registry.context.models import MAX_PATH
from registry.context.reading.archives import members
from registry.context.reading.formats import ARCHIVE, BINARY, MAX_BINARY, MAX_TEXT
from registry.context.reading.sections import Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One document as it is brought. `content` None: it is gone where it comes from. `fault`: why it is not read."""

    path: str
    content: bytes | None
    changed_at: datetime
    commit: str = ""
    fault: str = ""


def pasted(title: str, text: str, at: datetime) -> Entry:
    """Returns a text of this title as a Markdown document. The same title is the same document."""
    body = text.replace("\r\n", "\n").strip()
    content = body if body.startswith("# ") else f"# {title}\n\n{body}"
    name = slugify(title)[:80].strip("-") or "page"
    return Entry(path=f"{name}.md", content=f"{content}\n".encode(), changed_at=at)


def limit_of(path: str) -> int:
    """Returns how many bytes a document of this name may have."""
    ending = PurePosixPath(path).suffix.lower()
    return MAX_BINARY if ending in BINARY or ending == ARCHIVE else MAX_TEXT


def too_large(path: str, size: int) -> str:
    """Returns the sentence for a document that has too many bytes, empty when it fits."""
    most = limit_of(path)
    return f"It has {size:,} bytes; a document of this kind may have {most:,}." if size > most else ""


def prepared(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yields entries with sound paths and sizes; an archive becomes its members, each a document of its own."""
    for entry in entries:
        fault = entry.fault or _fault_of_path(entry.path) or too_large(entry.path, len(entry.content or b""))
        if fault:
            yield replace(entry, path=shown_path(entry.path), content=b"", fault=fault)
        elif entry.content is not None and PurePosixPath(entry.path).suffix.lower() == ARCHIVE:
            yield from _unpacked(entry, entry.content)
        else:
            yield entry


def _unpacked(entry: Entry, content: bytes) -> Iterator[Entry]:
    try:
        for path, inside, fault in members(content):
            whole = f"{entry.path}/{shown_path(path)}"
            refused = fault or _fault_of_path(whole) or too_large(whole, len(inside))
            yield replace(entry, path=shown_path(whole), content=b"" if refused else inside, fault=refused)
    except Unreadable as refused:
        yield replace(entry, content=b"", fault=refused.message)


def _fault_of_path(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        return "Its path leads out of its source, so it is not read."
    if len(path) > MAX_PATH or not path.isprintable():
        return f"Its path has more than {MAX_PATH} characters, or some that cannot be shown."
    return ""


def shown_path(path: str) -> str:
    """Returns a path that can be kept and shown, whatever was brought."""
    text = "".join(character if character.isprintable() else "�" for character in path)
    return text[:MAX_PATH] or "(no name)"
