"""Beginning, pausing, resuming, retrying and cancelling imports. Workers do the reading: see `registry.context.working`."""

from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.db.models import Q

from audit.services import record
from kernel import clock
from kernel.errors import Conflict
from registry import verbs
from registry.context.entries import Entry
from registry.context.models import OPEN, Import, ImportItem, Source
from registry.context.staging import stage
from registry.git.fetching import Sources, check_source
from tenants import authority
from tenants.principals import Principal
from tenants.versions import check_version, lock


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
    if source.kind == Source.Kind.GIT:
        raise Conflict("It is read from its repository: bring documents into another source.", slug=source.slug)
    row = _created(actor, source, commit=commit)
    stage(row, source, entries, is_whole=is_whole)
    _record(actor, row, verbs.IMPORT_BEGUN, commit=commit, items=row.items.count(), unchanged=row.unchanged)
    return row


@transaction.atomic
def begin_fetch(*, actor: Principal, source: Source, sources: Sources) -> Import:
    """Returns an import whose documents a worker fetches from the source's repository: what changed since the last."""
    authority.require_contributor(actor, source.owner, "import documents")
    source = lock(source)
    if source.kind != Source.Kind.GIT:
        raise Conflict("It is no git repository: bring its documents.", slug=source.slug)
    check_source(source.location, source.branch, sources)
    row = _created(actor, source, is_staged=False)
    _record(actor, row, verbs.IMPORT_BEGUN, location=source.location, branch=source.branch)
    return row


def _created(actor: Principal, source: Source, **facts: object) -> Import:
    try:
        with transaction.atomic():
            return Import.objects.create(source=source, owner_id=source.owner_id, began_by=actor.person, **facts)
    except IntegrityError as error:
        raise Conflict(
            f"“{source.slug}” is being read already; wait for it, or cancel it.", slug=source.slug
        ) from error


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
    row.attempts = 0
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
    if not _wait_again(row):
        raise Conflict("Nothing of it can be tried again: bring the documents anew.")
    if row.state in OPEN:
        return row
    row.ended_at, row.fault, row.attempts = None, "", 0
    try:
        with transaction.atomic():
            return _set_state(actor, row, Import.State.QUEUED, verbs.IMPORT_RETRIED)
    except IntegrityError as error:
        raise Conflict("The source is being read by another import; wait for it, or cancel it.") from error


def _wait_again(row: Import) -> bool:
    """Tells whether something of an import waits now that had failed: its repository, or documents of it."""
    if not row.is_staged:
        return row.state == Import.State.FAILED
    failed = ImportItem.objects.filter(of=row, state=ImportItem.State.FAILED).filter(
        Q(content__isnull=False) | Q(is_removal=True)
    )
    return bool(failed.update(state=ImportItem.State.WAITING, fault="", attempts=0))


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
