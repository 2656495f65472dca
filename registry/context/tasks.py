"""Wake-ups of the work that stands in the rows of context. Each may run twice, or never: the next one finds the rest."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from kernel import clock
from kernel.errors import DomainError
from registry.context.embedding.provider import embedder
from registry.context.fetching import fetch
from registry.context.filling import fill, has_vectors
from registry.context.models import Import
from registry.context.queries import sources_to_refresh
from registry.context.services.gaps import expire_gaps
from registry.context.services.imports import begin_fetch
from registry.context.working import waiting_imports, work_on
from registry.git.fetching import Sources
from tenants.principals import SYSTEM
from tenants.scope import ALL, tenant_scope

_log: Final = logging.getLogger(__name__)
_REFRESHED: Final = timedelta(days=1)
_SECONDS: Final = 20
"""A wake-up ends before a worker's time for a task does, and sends the next."""
_ROUNDS: Final = 8


def wake(row: Import) -> None:
    """Sends a worker to an import once the caller's transaction holds. Sent once too often does no harm."""
    task = run_import if row.is_staged else fetch_import
    transaction.on_commit(lambda: task.delay(row.pk))


@shared_task(name="registry.run_import")
def run_import(import_id: int) -> None:
    """Reads documents of one import for a while, and wakes the next when there are more."""
    has_more = work_on(import_id, seconds=_SECONDS)
    embed_chunks.delay()
    if has_more:
        run_import.delay(import_id)


@shared_task(name="registry.fetch_import")
def fetch_import(import_id: int) -> None:
    """Takes in the repository of one import, and wakes who reads it."""
    sources: Callable[[], Sources] = import_string(settings.REPOSITORY_SOURCES)
    if fetch(import_id, sources()):
        run_import.delay(import_id)


@shared_task(name="registry.resume_imports")
def resume_imports() -> None:
    """Wakes a worker for each import that nobody holds: its wake-up was lost, or its worker."""
    for import_id in waiting_imports(is_staged=False):
        fetch_import.delay(import_id)
    for import_id in waiting_imports():
        run_import.delay(import_id)
    embed_chunks.delay()


@shared_task(name="registry.refresh_sources")
def refresh_sources() -> None:
    """Has each repository that was read once looked at again every day: what changed there is read."""
    sources: Callable[[], Sources] = import_string(settings.REPOSITORY_SOURCES)
    allowed = sources()
    with tenant_scope(ALL):
        due = list(sources_to_refresh(SYSTEM, clock.now() - _REFRESHED))
    for source in due:
        with tenant_scope(ALL):
            try:
                wake(begin_fetch(actor=SYSTEM, source=source, sources=allowed))
            except DomainError as error:  # one that leads elsewhere by now stops no other
                _log.info("%s is not read again: %s", source.slug, error.message)


@shared_task(name="registry.expire_gaps")
def forget_old_gaps() -> None:
    """Erases what agents asked in vain, and nobody has asked again for a long time."""
    expire_gaps()


@shared_task(name="registry.embed_chunks")
def embed_chunks() -> None:
    """Embeds some chunks, and wakes the next when there are more. Does nothing without an embedding."""
    chosen = embedder() if has_vectors() else None
    if chosen is None:
        return
    for _round in range(_ROUNDS):
        if not fill(chosen):
            return
    embed_chunks.delay()
