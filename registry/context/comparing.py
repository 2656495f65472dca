"""What bringing documents would change: compared with what was read, what is on its way, and what could not be read."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from registry.context.entries import Entry, prepared
from registry.context.keeping import digest_of
from registry.context.models import Document, ImportItem, Source
from registry.context.reading.formats import VERSION, format_of
from tenants.access import Viewer

ADDED: Final = "+"
CHANGED: Final = "~"
REMOVED: Final = "-"
_UNKNOWN: Final = "Its format is not one that is read."


@dataclass(slots=True)
class Compared:
    """The documents that an import would read or remove, as sign and path, and those that it would refuse, with why."""

    changes: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


def compare(principal: Viewer, source: Source, entries: Iterable[Entry], *, is_whole: bool) -> Compared:
    """Returns what an import of these documents would change in a visible source. Nothing is written.

    The same bytes that are waiting to be read, or that were tried last and could not be read, are no change.
    """
    read, tried = _read(principal, source), _tried(principal, source)
    found, seen = Compared(), set[str]()
    for entry in prepared(entries):
        if entry.path in seen:
            continue
        seen.add(entry.path)
        if fault := entry.fault or _fault_of(entry):
            found.faults.append((entry.path, fault))
        elif entry.content is None:
            found.changes += _gone(entry.path, read, tried)
        else:
            digest = digest_of(entry.content)
            if digest not in {read.get(entry.path), tried.get(entry.path)}:
                found.changes.append((CHANGED if entry.path in read else ADDED, entry.path))
    for path in sorted(read.keys() - seen) if is_whole else ():
        found.changes += _gone(path, read, tried)
    return found


def _fault_of(entry: Entry) -> str:
    return "" if entry.content is None or format_of(entry.path) else _UNKNOWN


def _gone(path: str, read: dict[str, str], tried: dict[str, str]) -> list[tuple[str, str]]:
    return [(REMOVED, path)] if path in read and tried.get(path) != "" else []


def _read(principal: Viewer, source: Source) -> dict[str, str]:
    """Returns the digest of each document, empty where our readers have changed since."""
    rows = Document.objects.visible_to(principal).filter(source=source).values_list("path", "digest", "reading")
    return {path: digest if reading == VERSION else "" for path, digest, reading in rows.iterator()}


def _tried(principal: Viewer, source: Source) -> dict[str, str]:
    """Returns by path the digest of what waits, or failed when it was tried last; empty where a removal waits."""
    rows = ImportItem.objects.visible_to(principal).filter(of__source=source).order_by("path", "-pk").distinct("path")
    last = rows.values_list("path", "state", "digest", "is_removal")
    return {
        path: "" if is_removal else digest
        for path, state, digest, is_removal in last.iterator()
        if state in {ImportItem.State.WAITING, ImportItem.State.FAILED}
    }
