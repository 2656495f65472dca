"""Background work on repositories: fetching and measuring them, and ending what has ended."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from blueprints.classification.executed import parse_report
from blueprints.classification.sealing import Signer
from blueprints.classification.survey import Classification, classify
from blueprints.models import Repository
from blueprints.queries.repositories import ended_patterns, lost_measurements, stale_measurements
from blueprints.services.measuring import (
    Job,
    begin_measurement,
    fail_measurement,
    finish_measurement,
    note_stage,
)
from blueprints.services.patterns import settle_pattern
from blueprints.services.repositories import ask_measurement
from kernel import clock
from kernel.errors import DomainError, Invalid
from registry.git.fetching import Sources, fetched
from tenants.principals import SYSTEM
from tenants.scope import ALL, tenant_scope


def wake(repository: Repository) -> None:
    """Sends a worker to a repository once the caller's transaction holds. Sent once too often does no harm."""
    transaction.on_commit(lambda: measure_repository.delay(repository.pk))


@shared_task(name="blueprints.measure_repository")
def measure_repository(repository_id: int) -> None:
    """Measures one repository if somebody asked for it and nobody else does it just now. Running twice is harmless."""
    with tenant_scope(ALL):
        job = begin_measurement(repository_id)
    if job is None:
        return
    try:
        classification = measure(job)  # outside any transaction: a server may take its time
        signer: Callable[[], Signer] = import_string(settings.RECORD_SIGNER)
        with tenant_scope(ALL):
            finish_measurement(job, classification, signer())
    except DomainError as error:
        _fail(job, error.message)
    except Exception as error:
        _fail(job, f"Something went wrong here ({type(error).__name__}); it was noted.")
        raise


def measure(job: Job) -> Classification:
    """Returns what the repository of a job is fit for. It is fetched into a directory that is gone afterwards."""
    sources: Callable[[], Sources] = import_string(settings.REPOSITORY_SOURCES)
    with fetched(job.url, sources=sources(), branch=job.branch, sealed=job.sealed) as clone:
        top = clone.check_out()
        _note(job, Repository.Stage.READING)
        now = clock.now()
        with _report_of(job.executed, clone.commit) as report:
            return classify(top, now=now, executed=report, harness=job.harness)


@contextmanager
def _report_of(executed: Mapping[str, Any] | None, commit: str) -> Iterator[Path | None]:
    """Yields the file of the last report when it speaks of this very commit and is not too old."""
    text = json.dumps(executed).encode()
    try:
        parse_report(text, commit=commit, now=clock.now())
    except Invalid:
        yield None
        return
    with tempfile.NamedTemporaryFile(prefix="hanse-report-", suffix=".json") as file:
        file.write(text)
        file.flush()
        yield Path(file.name)


def _note(job: Job, stage: str) -> None:
    with tenant_scope(ALL):
        note_stage(job, stage)


def _fail(job: Job, sentence: str) -> None:
    with tenant_scope(ALL):
        fail_measurement(job, sentence)


@shared_task(name="blueprints.expire_patterns")
def expire_patterns() -> None:
    """Ends every dark factory whose record or approval has ended, each in a transaction of its own."""
    with tenant_scope(ALL):
        ended = list(ended_patterns(clock.now()).values_list("pk", flat=True))
    for repository_id in ended:
        with tenant_scope(ALL):
            settle_pattern(repository_id)


@shared_task(name="blueprints.resume_measurements")
def resume_measurements() -> None:
    """Wakes measurements that were asked for and not made, and asks for those whose record has ended."""
    with tenant_scope(ALL):
        now = clock.now()
        for repository in stale_measurements(now):
            ask_measurement(actor=SYSTEM, repository=repository)
            wake(repository)
        lost = list(lost_measurements(now).values_list("pk", flat=True))
    for repository_id in lost:
        measure_repository.delay(repository_id)
