"""A measurement: claimed by one run of a worker, taken in with a signed record, or given up with the reason.

The row is the only truth; a task is a wake-up. Two runs never write the same measurement: who lost the claim meanwhile
writes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from blueprints import verbs
from blueprints.classification.record import make_record
from blueprints.classification.sealing import Signer
from blueprints.classification.standing import hindrance_of
from blueprints.classification.survey import Classification
from blueprints.models import Repository
from blueprints.queries.repositories import harness_of
from blueprints.services.credentials import sealed_of
from blueprints.services.keeping import keep, log_act, note_progress
from kernel import clock, ids
from kernel.canonical import digest
from registry.git.access import Sealed
from tenants.principals import SYSTEM, Principal
from tenants.versions import lock

LEASE: Final = timedelta(minutes=10)
"""How long a run may take before another one takes its place. It is longer than all bounds of a fetch together."""
MAX_ATTEMPTS: Final = 3
MAX_FAULT: Final = 300


@dataclass(frozen=True, slots=True)
class Job:
    """What a run of a worker needs to measure a repository, and the claim under which it may say what it found."""

    repository: int
    claim: UUID
    url: str
    branch: str
    executed: Mapping[str, Any] | None
    harness: frozenset[str]
    sealed: Sealed | None = None


@transaction.atomic
def begin_measurement(repository_id: int) -> Job | None:
    """Returns the job of this run, or None when nobody asked, when another run has it, or when it is given up."""
    repository = Repository.objects.select_for_update(of=("self",)).filter(pk=repository_id).first()
    now = clock.now()
    if repository is None or not repository.stage or is_claimed(repository, now):
        return None
    if repository.attempts >= MAX_ATTEMPTS:
        _give_up(repository, f"The measurement was begun {MAX_ATTEMPTS} times and did not come to an end.")
        return None
    repository.stage = Repository.Stage.FETCHING
    repository.claim, repository.claimed_at = ids.new_uid(), now
    repository.attempts += 1
    note_progress(repository)
    place = (repository.url, repository.branch)
    harness, sealed = harness_of(repository.owner), sealed_of(repository)
    return Job(repository.pk, repository.claim, *place, repository.executed, harness, sealed)


def is_claimed(repository: Repository, at: datetime) -> bool:
    """Tells whether a run has the measurement and its time is not up."""
    return repository.claimed_at is not None and repository.claim is not None and at < repository.claimed_at + LEASE


def note_stage(job: Job, stage: str) -> None:
    """Says where a run has come to; only while it has the claim."""
    Repository.objects.filter(pk=job.repository, claim=job.claim).update(stage=stage)


@transaction.atomic
def finish_measurement(job: Job, classification: Classification, signer: Signer) -> Repository | None:
    """Returns the repository with a new signed record, or None when the claim was lost meanwhile."""
    repository = _claimed_row(job)
    return None if repository is None else record_measurement(repository, classification, signer)


@transaction.atomic
def fail_measurement(job: Job, sentence: str) -> None:
    """Says why a measurement could not be made. The record that is there stays as long as it holds."""
    repository = _claimed_row(job)
    if repository is not None:
        _give_up(repository, sentence)


@transaction.atomic
def record_measurement(
    repository: Repository, classification: Classification, signer: Signer, actor: Principal = SYSTEM
) -> Repository:
    """Returns the repository with what was measured, signed. A lowering stays; an approval falls with what it needs."""
    repository = lock(repository)
    record = make_record(classification, repository=repository.ref)
    repository.record, repository.signature, repository.key_id = record, signer.sign(record), signer.key_id
    repository.findings = classification.as_json()
    repository.executed = dict(classification.report.document) if classification.report else None
    repository.measured, repository.level = str(record["pattern"]), classification.judgement.level
    repository.commit = str(record["commit"])
    repository.measured_at = classification.at
    repository.expires_at = datetime.fromisoformat(str(record["expires"]))
    if repository.approved_until is not None and hindrance_of(record):
        repository.approved_until = None
    repository.pattern = repository.standing_at(clock.now()).pattern
    _rest(repository, fault="")
    keep(repository, actor, "measured")
    log_act(
        repository.owner_id,
        actor,
        verbs.REPOSITORY_MEASURED,
        f"repository:{repository.ref}",
        commit=repository.commit,
        level=repository.level,
        pattern=repository.measured,
        record_sha256=digest(record),
        key_id=repository.key_id,
    )
    return repository


def _claimed_row(job: Job) -> Repository | None:
    rows = Repository.objects.select_for_update(of=("self",)).select_related("owner")
    return rows.filter(pk=job.repository, claim=job.claim).first()


def _give_up(repository: Repository, sentence: str) -> None:
    _rest(repository, fault=sentence[:MAX_FAULT])
    keep(repository, SYSTEM, "could not be measured")


def _rest(repository: Repository, *, fault: str) -> None:
    repository.fault, repository.stage = fault, ""
    repository.claim, repository.claimed_at, repository.attempts = None, None, 0
