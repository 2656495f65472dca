"""Beginning, pausing, resuming, retrying and cancelling imports. Workers do the reading: see `registry.context.working`."""

from collections.abc import Iterable, Iterator
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Q

from audit.services import record
from kernel import clock
from kernel.errors import Conflict, TooLarge
from registry import verbs
from registry.context.entries import Entry, prepared
from registry.context.keeping import digest_of
from registry.context.models import OPEN, Document, Import, ImportItem, Source
from registry.context.reading.formats import VERSION
from tenants import authority
from tenants.principals import Principal
from tenants.versions import check_version, lock

MAX_DOCUMENTS: Final = 50_000
_AT_ONCE: Final = 100
_BYTES_AT_ONCE: Final = 8_000_000


@transaction.atomic
def begin_import(
    *, actor: Principal, source: Source, entries: Iterable[Entry], commit: str = "", is_whole: bool = False
) -> Import:
    """Returns an import with one item for each document that is new, changed, gone or refused.

    What is as it was is counted and not read again. `is_whole` says that the entries are all there is in the source,
    so that what is missing among them is gone.
    """
    authority.require_contributor(actor, source.owner, "import documents")
    source = lock(source)
    try:
        with transaction.atomic():
            row = Import.objects.create(source=source, owner_id=source.owner_id, commit=commit, began_by=actor.person)
    except IntegrityError as error:
        raise Conflict(
            f"“{source.slug}” is being read already; wait for it, or cancel it.", slug=source.slug
        ) from error
    ImportItem.objects.filter(of__source=source).exclude(of=row).exclude(content=None).update(content=None)
    seen = _stage(row, source, entries)
    if is_whole:
        _stage_removals(row, source, seen)
    row.save(update_fields=["unchanged"])
    _record(actor, row, verbs.IMPORT_BEGUN, commit=commit, items=row.items.count(), unchanged=row.unchanged)
    return row


@transaction.atomic
def pause_import(*, actor: Principal, row: Import, expected_version: int | None = None) -> Import:
    """Returns the import paused: what is being read now is not kept, and is read again once it is resumed."""
    authority.require_contributor(actor, row.owner, "pause imports")
    row = _opened(row, expected_version)
    return _set_state(actor, row, Import.State.PAUSED, verbs.IMPORT_PAUSED)


@transaction.atomic
def resume_import(*, actor: Principal, row: Import, expected_version: int | None = None) -> Import:
    """Returns the import queued again."""
    authority.require_contributor(actor, row.owner, "resume imports")
    row = _opened(row, expected_version)
    if row.state != Import.State.PAUSED:
        raise Conflict("The import is not paused.")
    return _set_state(actor, row, Import.State.QUEUED, verbs.IMPORT_RESUMED)


@transaction.atomic
def cancel_import(*, actor: Principal, row: Import, expected_version: int | None = None) -> Import:
    """Returns the import cancelled. What it has read stays; what waited is dropped, with its bytes."""
    authority.require_contributor(actor, row.owner, "cancel imports")
    row = _opened(row, expected_version)
    waiting = ImportItem.objects.filter(of=row, state=ImportItem.State.WAITING)
    waiting.update(state=ImportItem.State.CANCELLED, content=None)
    row.ended_at = clock.now()
    return _set_state(actor, row, Import.State.CANCELLED, verbs.IMPORT_CANCELLED)


@transaction.atomic
def retry_import(*, actor: Principal, row: Import, expected_version: int | None = None) -> Import:
    """Returns the import with everything that failed waiting again. What was refused before it was read stays refused."""
    authority.require_contributor(actor, row.owner, "retry imports")
    row = lock(row)
    check_version(row, expected_version)
    failed = ImportItem.objects.filter(of=row, state=ImportItem.State.FAILED).filter(
        Q(content__isnull=False) | Q(is_removal=True)
    )
    if not failed.update(state=ImportItem.State.WAITING, fault="", attempts=0):
        raise Conflict("Nothing of it can be tried again: bring the documents anew.")
    if row.state in OPEN:
        return row
    row.ended_at = None
    try:
        with transaction.atomic():
            return _set_state(actor, row, Import.State.QUEUED, verbs.IMPORT_RETRIED)
    except IntegrityError as error:
        raise Conflict("The source is being read by another import; wait for it, or cancel it.") from error


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


def _opened(row: Import, expected_version: int | None) -> Import:
    row = lock(row)
    check_version(row, expected_version)
    if row.state not in OPEN:
        raise Conflict("The import has ended.")
    return row


def _set_state(actor: Principal, row: Import, state: str, verb: str) -> Import:
    """A new state also ends the worker's hold: what it is reading now is not kept, and is read again later."""
    row.state, row.leased_until = state, None
    row.version += 1
    row.save()
    _record(actor, row, verb)
    return row


def _record(actor: Principal, row: Import, verb: str, **facts: object) -> None:
    slug = row.source.slug
    facts = {"import": str(row.uid), **facts}
    record(scope=row.owner_id, verb=verb, person=actor.uid, object=f"source:{slug}", facts=facts)
