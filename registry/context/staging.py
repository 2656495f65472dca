"""Writes down what an import has to read: one item for each document that is new, changed, gone or refused."""

from collections.abc import Iterable, Iterator
from typing import Final

from kernel import clock
from kernel.errors import TooLarge
from registry.context.entries import Entry, prepared
from registry.context.keeping import digest_of
from registry.context.models import Document, Import, ImportItem, Source
from registry.context.reading.formats import VERSION

MAX_DOCUMENTS: Final = 50_000
_AT_ONCE: Final = 100
_BYTES_AT_ONCE: Final = 8_000_000


def stage(row: Import, source: Source, entries: Iterable[Entry], *, is_whole: bool) -> None:
    """Writes the items of an import, in its caller's transaction. What is as it was is counted and not read again.

    `is_whole` says that the entries are all there is in the source, so that what is missing among them is gone.
    """
    ImportItem.objects.filter(of__source=source).exclude(of=row).exclude(content=None).update(content=None)
    seen = _stage(row, source, entries)
    if is_whole:
        _stage_removals(row, source, seen)
    row.is_staged = True
    row.save(update_fields=["unchanged", "commit", "is_staged"])


def is_read_as_now(source: Source) -> bool:
    """Tells whether all documents of a source were read as they would be now, so that only changes matter."""
    return not Document.objects.filter(source=source).exclude(reading=VERSION).exists()


def _stage(row: Import, source: Source, entries: Iterable[Entry]) -> set[str]:
    """Writes the items in batches, so that a large source is never in memory as a whole. Returns the paths."""
    there = {path: (digest, reading) for path, digest, reading in _known(source)}
    seen: set[str] = set()
    for batch in _batches(_items(row, prepared(entries), there, seen)):
        ImportItem.objects.bulk_create(batch)
    return seen


def _batches(items: Iterable[ImportItem]) -> Iterator[list[ImportItem]]:
    """Yields items a few at a time, large ones alone: a batch is written out in one statement, several times its size."""
    batch: list[ImportItem] = []
    size = 0
    for item in items:
        length = len(item.content or b"")
        if batch and (len(batch) >= _AT_ONCE or size + length > _BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch


def _known(source: Source) -> Iterable[tuple[str, str, int]]:
    return Document.objects.filter(source=source).values_list("path", "digest", "reading").iterator()


def _items(
    row: Import, entries: Iterable[Entry], there: dict[str, tuple[str, int]], seen: set[str]
) -> Iterator[ImportItem]:
    for entry in entries:
        if entry.path in seen:
            continue  # a zip archive may name a member twice
        seen.add(entry.path)
        if len(seen) > MAX_DOCUMENTS:
            raise TooLarge(f"There are more than {MAX_DOCUMENTS:,} documents; divide the source.")
        digest = digest_of(entry.content) if entry.content is not None and not entry.fault else ""
        if digest and there.get(entry.path) == (digest, VERSION):
            row.unchanged += 1
        elif entry.content is not None or entry.path in there:
            yield _item(row, entry, digest)


def _item(row: Import, entry: Entry, digest: str) -> ImportItem:
    return ImportItem(
        of=row,
        owner_id=row.owner_id,
        path=entry.path,
        commit=entry.commit,
        changed_at=entry.changed_at,
        is_removal=entry.content is None,
        content=None if entry.fault else entry.content,
        digest=digest,
        state=ImportItem.State.FAILED if entry.fault else ImportItem.State.WAITING,
        fault=entry.fault[:300],
    )


def _stage_removals(row: Import, source: Source, seen: set[str]) -> None:
    gone = [path for path, _digest, _reading in _known(source) if path not in seen]
    facts = {"of": row, "owner_id": row.owner_id, "changed_at": clock.now(), "is_removal": True, "commit": row.commit}
    ImportItem.objects.bulk_create([ImportItem(path=path, **facts) for path in gone], batch_size=_AT_ONCE)
