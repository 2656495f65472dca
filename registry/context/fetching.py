"""A worker's first part of an import from a git repository: fetch it, and write down what of it has to be read."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F

from audit.services import record
from kernel import clock
from kernel.errors import DomainError, Invalid, Unavailable
from registry import verbs
from registry.context.entries import Entry, shown_path, too_large
from registry.context.models import Import, Source, SourceCredential
from registry.context.places import Gathered
from registry.context.reading.formats import format_of, is_wanted
from registry.context.staging import is_read_as_now, stage
from registry.context.working import MAX_ATTEMPTS, Superseded, claim, held
from registry.git import clones
from registry.git.access import Sealed
from registry.git.bounds import Bounds
from registry.git.clones import Clone
from registry.git.fetching import Sources, fetched
from registry.git.history import last_changes
from tenants.scope import ALL, tenant_scope

LEASE: Final = timedelta(seconds=2 * Bounds().seconds)
"""Longer than a fetch may take with the writing down, or two workers would be at it."""


def fetch(import_id: int, sources: Sources) -> bool:
    """Returns whether there is something to read now. A repository that cannot be had ends its import, and says why."""
    fence = claim(import_id, is_staged=False, lease=LEASE)
    if fence is None:
        return False
    try:
        _fetch(import_id, fence, sources)
    except Superseded:
        return False
    except DomainError as error:
        _give_up(import_id, fence, error.message)
        return False
    return True


def from_clone(clone: Clone, since: str = "") -> Gathered:
    """Returns the documents of a fetched commit: what changed since an earlier one if it is there, else all of it."""
    before = _files_of(clone, since) if since and clone.knows(since) else None
    return Gathered(_documents(clone, before or {}), clone.commit, is_whole=before is None)


def _files_of(clone: Clone, commit: str) -> dict[bytes, bytes] | None:
    """Returns the files of an earlier commit, or None when a folder of it was left out."""
    try:
        return {entry.path: entry.blob for entry in clone.entries(commit) if not entry.is_link}
    except Invalid:
        clone.watch.check()
        return None


def _fetch(import_id: int, fence: int, sources: Sources) -> None:
    begun: list[tuple[Import, Source]] = []
    held(import_id, fence, lambda row: _begin(row, begun))
    row, source = begun[0]
    if row.attempts > MAX_ATTEMPTS:
        raise Unavailable(f"Fetching it ended the worker {MAX_ATTEMPTS} times, so it was given up.")
    with tenant_scope(ALL):
        since = source.commit if is_read_as_now(source) else ""
        sealed = _sealed_of(source)
    with fetched(source.location, sources=sources, branch=source.branch, sealed=sealed) as clone:
        gathered = from_clone(clone, since)
        held(import_id, fence, lambda row: _stage(row, gathered))


def _sealed_of(source: Source) -> Sealed | None:
    found = SourceCredential.objects.filter(source=source).first()
    return Sealed(source.subject, found.kind, bytes(found.sealed)) if found else None


def _begin(row: Import, begun: list[tuple[Import, Source]]) -> None:
    """Notes the attempt before it is made: a repository that ends its worker cannot say so afterwards."""
    row.attempts += 1
    row.save(update_fields=["attempts"])
    begun.append((row, row.source))


def _stage(row: Import, gathered: Gathered) -> None:
    row.commit = gathered.commit
    stage(row, row.source, gathered.entries, is_whole=gathered.is_whole)
    row.state, row.leased_until = Import.State.QUEUED, None
    row.save(update_fields=["state", "leased_until"])


def _documents(clone: Clone, before: dict[bytes, bytes]) -> Iterator[Entry]:
    """Yields what is another than before, then what is gone. A link is not followed."""
    files = [file for file in clone.entries() if not file.is_link]
    gone = dict(before)
    changed = [file for file in files if gone.pop(file.path, None) != file.blob]
    dates = last_changes(clone, {file.path for file in changed if format_of(_shown(file.path))})
    for file in changed:
        yield from _document(clone, file, dates.get(file.path, clone.committed_at))
    for path in gone:
        yield Entry(path=_shown(path), content=None, changed_at=clone.committed_at, commit=clone.commit)


def _document(clone: Clone, file: clones.Entry, at: datetime) -> Iterator[Entry]:
    path = _shown(file.path)
    if not format_of(path):
        return
    content = clone.read(file)
    fault = too_large(path, len(content))
    if fault or is_wanted(path, content):
        yield Entry(path=path, content=b"" if fault else content, changed_at=at, commit=clone.commit, fault=fault)
    else:
        yield Entry(path=path, content=None, changed_at=at, commit=clone.commit)


def _shown(path: bytes) -> str:
    return shown_path(path.decode("utf-8", "replace"))


def _give_up(import_id: int, fence: int, sentence: str) -> None:
    try:
        held(import_id, fence, lambda row: _fail(row, sentence))
    except Superseded:
        return


def _fail(row: Import, sentence: str) -> None:
    row.state, row.leased_until, row.ended_at = Import.State.FAILED, None, clock.now()
    row.fault, row.version = sentence[:300], F("version") + 1
    row.save(update_fields=["state", "leased_until", "ended_at", "fault", "version"])
    record(
        scope=row.owner_id,
        verb=verbs.IMPORT_ENDED,
        person=row.began_by.uid if row.began_by else None,
        object=f"source:{row.source.slug}",
        facts={"import": str(row.uid), "fault": sentence[:300]},
    )
