"""A worker's part of an import: take it by its lease, read document after document, give it back.

The rows are the truth. Each document is kept in one transaction that first asks whether this worker still holds the
import, so a worker that was thought dead adds nothing, and one that dies leaves whole documents only.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q

from audit.services import record
from kernel import clock
from registry import verbs
from registry.context import keeping
from registry.context.models import Document, Import, ImportItem, Source
from registry.context.reading.formats import format_of
from registry.context.reading.isolation import read_document
from registry.context.reading.sections import Unreadable
from tenants.scope import ALL, tenant_scope

LEASE: Final = timedelta(seconds=120)
"""Longer than any one document may take, or a slow one would be read twice."""
MAX_ATTEMPTS: Final = 3
"""How often a document may end its worker before it is given up."""
_LONGEST_FAULT: Final = 300


class Superseded(Exception):
    """The import is held by somebody else now, or is no longer to be worked on. Nothing was written."""


def claim(import_id: int, *, is_staged: bool = True, lease: timedelta = LEASE) -> int | None:
    """Returns the fence under which this worker holds the import, or None when it is not to be had.

    One whose documents are not here yet is another worker's: see `registry.context.fetching`.
    """
    present = clock.now()
    with tenant_scope(ALL):
        rows = Import.objects.select_for_update(skip_locked=True).filter(_free(present), is_staged=is_staged)
        row = rows.filter(pk=import_id).first()
        if row is None:
            return None
        row.fence += 1
        row.state, row.leased_until = Import.State.RUNNING, present + lease
        row.save(update_fields=["fence", "state", "leased_until"])
        return row.fence


def waiting_imports(*, is_staged: bool = True) -> list[int]:
    """Returns the imports that no worker holds and that have something to read, or else to fetch."""
    with tenant_scope(ALL):
        rows = Import.objects.filter(_free(clock.now()), is_staged=is_staged)
        return list(rows.order_by("pk").values_list("pk", flat=True))


def work_on(import_id: int, *, seconds: float) -> bool:
    """Reads what waits in an import, for about so long. Returns whether there is more to do for who comes next."""
    fence = claim(import_id)
    if fence is None:
        return False
    until = clock.monotonic_ms() + seconds * 1000
    try:
        while clock.monotonic_ms() < until:
            if not _next(import_id, fence):
                _end(import_id, fence)
                return False
        held(import_id, fence, _give_back)
    except Superseded:
        return False
    return True


def _free(present: object) -> Q:
    return Q(state__in=[Import.State.QUEUED, Import.State.RUNNING]) & (
        Q(leased_until=None) | Q(leased_until__lt=present)
    )


def held(import_id: int, fence: int, act: Callable[[Import], None]) -> None:
    """Does something in one transaction in which this worker holds the import. Raises `Superseded` when it does not."""
    with tenant_scope(ALL), transaction.atomic():
        row = Import.objects.select_for_update().filter(pk=import_id, fence=fence, state=Import.State.RUNNING).first()
        if row is None:
            raise Superseded
        act(row)


def _give_back(row: Import) -> None:
    row.state, row.leased_until = Import.State.QUEUED, None
    row.save(update_fields=["state", "leased_until"])


def _next(import_id: int, fence: int) -> bool:
    """Reads one document. Returns whether there was one."""
    taken: list[ImportItem] = []
    held(import_id, fence, lambda row: _take(row, taken))
    if not taken:
        return False
    item = taken[0]
    prepared, fault = _read(item)
    held(import_id, fence, lambda row: _finish(row, item, prepared, fault))
    return True


def _read(item: ImportItem) -> tuple[keeping.Prepared | None, str]:
    """Returns the document cut and screened, or why it cannot be; neither for one that is gone."""
    if item.is_removal:
        return None, ""
    if item.attempts > MAX_ATTEMPTS:
        return None, f"Reading it ended the worker {MAX_ATTEMPTS} times, so it is left out."
    try:
        return keeping.prepare(item.path, read_document(item.path, bytes(item.content or b""))), ""
    except Unreadable as refused:
        return None, refused.message


def _take(row: Import, taken: list[ImportItem]) -> None:
    """Notes the attempt before it is made: a document that ends its worker cannot say so afterwards."""
    item = ImportItem.objects.filter(of=row, state=ImportItem.State.WAITING).order_by("pk").first()
    if item is None:
        return
    item.attempts += 1
    item.save(update_fields=["attempts"])
    row.leased_until = clock.now() + LEASE
    row.save(update_fields=["leased_until"])
    taken.append(item)


def _finish(row: Import, item: ImportItem, prepared: keeping.Prepared | None, fault: str) -> None:
    item.state, item.fault = ImportItem.State.DONE, ""
    if fault:
        item.state, item.fault = ImportItem.State.FAILED, fault[:_LONGEST_FAULT]
    elif prepared is None:
        keeping.forget(Document.objects.filter(source=row.source_id, path=item.path))
    else:
        source = Source.objects.get(pk=row.source_id)
        brought = keeping.Brought(
            path=item.path,
            format=format_of(item.path),
            digest=item.digest,
            commit=item.commit,
            changed_at=item.changed_at,
        )
        item.chunks = keeping.keep(source, brought, prepared).chunk_count
    if item.state == ImportItem.State.DONE:
        item.content = None
    item.save(update_fields=["state", "fault", "content", "chunks"])


def _end(import_id: int, fence: int) -> None:
    held(import_id, fence, _close)


def _close(row: Import) -> None:
    """Ends the import. The source is at its commit only when every document was read, so the next import looks again."""
    row.state, row.leased_until, row.ended_at = Import.State.DONE, None, clock.now()
    row.version = F("version") + 1
    row.save(update_fields=["state", "leased_until", "ended_at", "version"])
    keeping.count_words(row.owner_id)
    failed = row.items.filter(state=ImportItem.State.FAILED).count()
    done = row.items.filter(state=ImportItem.State.DONE).count()
    source = Source.objects.select_for_update().get(pk=row.source_id)
    source.read_at = row.ended_at
    if not failed:
        source.commit = row.commit or source.commit
    source.save(update_fields=["read_at", "commit"])
    record(
        scope=row.owner_id,
        verb=verbs.IMPORT_ENDED,
        person=row.began_by.uid if row.began_by else None,
        object=f"source:{source.slug}",
        facts={"import": str(row.uid), "done": done, "failed": failed, "unchanged": row.unchanged},
    )
