"""The inbox of what agents learned: an agent proposes, a reviewer of its team accepts, edits or rejects."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F

from audit.services import record
from kernel import clock
from kernel.errors import Conflict, Invalid, RateLimited
from registry import verbs
from registry.asking import Asking
from registry.context import keeping
from registry.context.memories import MAX_EVIDENCE, MAX_STATEMENT, MAX_TAG, MAX_TAGS, Memory
from registry.context.models import Document, Source
from registry.context.reading.formats import format_of
from registry.context.reading.sections import Block, Reading, Section
from registry.context.screening import is_secret, screen
from tenants import authority
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.rules import Sensitivity
from tenants.services import require_reason
from tenants.versions import check_version, lock

PER_HOUR: Final = 30
"""How many statements one agent may propose in an hour."""
MOST_WAITING: Final = 500
"""How many statements may wait in the inbox of one team."""
REMEMBERED: Final = "remembered"
"""The source of what was accepted; what is more sensitive than internal has one of its own, `remembered-<level>`."""
_TITLE: Final = 80


@transaction.atomic
def propose_memory(
    *, asking: Asking, statement: str, evidence: str = "", tags: Sequence[str] = ()
) -> tuple[Memory, bool]:
    """Returns what waits in the inbox of the call's team, and whether it is new there.

    The same statement again, whatever became of it, is counted and not kept a second time.
    """
    marks = _checked(statement, evidence, tags)
    digest = _digest_of(statement)
    known = Memory.objects.filter(owner=asking.team, digest=digest).order_by("-id").first()
    if known is not None:
        return _again(known), False
    _check_room(asking)
    memory = Memory(
        owner=asking.team,
        text=statement.strip(),
        evidence=evidence.strip(),
        tags=list(tags),
        marks=marks,
        digest=digest,
        person=asking.person,
        agent=asking.agent,
        delegation=asking.delegation,
        call=asking.call,
        sensitivity=asking.ceiling,
    )
    try:
        with transaction.atomic():
            memory.save()
    except IntegrityError:  # two calls at once
        return _again(Memory.objects.get(owner=asking.team, digest=digest, state=Memory.State.WAITING)), False
    return memory, True


@transaction.atomic
def accept_memory(
    *,
    actor: Principal,
    memory: Memory,
    text: str | None = None,
    sensitivity: int = Sensitivity.INTERNAL,
    expected_version: int | None = None,
) -> Memory:
    """Returns the memory accepted, with its words or with edited ones: a document that the team's agents find."""
    memory = _opened(actor, memory, expected_version)
    if sensitivity not in list(Sensitivity):
        raise Invalid("It cannot be kept so.", errors={"sensitivity": ["One of the four."]})
    is_edited = text is not None and text.strip() != memory.text
    if text is not None:
        memory.text = text.strip()
    memory.marks = _checked(memory.text, memory.evidence, memory.tags)
    memory.document = _document_of(memory, sensitivity)
    memory = _decide(actor, memory, Memory.State.ACCEPTED, "")
    _record(actor, memory, verbs.MEMORY_ACCEPTED, edited=is_edited, sensitivity=int(sensitivity))
    return memory


@transaction.atomic
def reject_memory(*, actor: Principal, memory: Memory, reason: str, expected_version: int | None = None) -> Memory:
    """Returns the memory rejected. Its agent is told so when it proposes the same again."""
    require_reason(reason)
    memory = _decide(actor, _opened(actor, memory, expected_version), Memory.State.REJECTED, reason)
    _record(actor, memory, verbs.MEMORY_REJECTED, reason=reason)
    return memory


@transaction.atomic
def erase_memory(*, actor: Principal, memory: Memory, reason: str, expected_version: int | None = None) -> None:
    """Removes the memory with its document, wherever it stands. The log keeps that it was there, not what it said."""
    authority.require_keeper(actor, memory.owner, "erase what agents learned")
    require_reason(reason)
    memory = lock(memory)
    check_version(memory, expected_version)
    if memory.document is not None:
        keeping.forget([memory.document])
        keeping.count_words(memory.owner_id)
    uid, owner_id = str(memory.uid), memory.owner_id
    memory.delete()
    record(
        scope=owner_id, verb=verbs.MEMORY_ERASED, person=actor.uid, object=f"memory:{uid}", facts={}, reasons=[reason]
    )


def _checked(statement: str, evidence: str, tags: Sequence[str]) -> list[str]:
    """Returns the marks of what is proposed. Raises for what cannot be kept; a secret is never written down here."""
    errors: dict[str, list[str]] = {}
    if not 0 < len(statement.strip()) <= MAX_STATEMENT or "\0" in statement:
        errors["statement"] = [f"1 to {MAX_STATEMENT} characters of text."]
    if len(evidence) > MAX_EVIDENCE or "\0" in evidence:
        errors["evidence"] = [f"At most {MAX_EVIDENCE} characters of text."]
    if len(tags) > MAX_TAGS or not all(0 < len(tag) <= MAX_TAG and tag.isprintable() for tag in tags):
        errors["tags"] = [f"At most {MAX_TAGS}, each of 1 to {MAX_TAG} characters."]
    marks = screen("\n".join([statement, evidence, *tags]))
    if is_secret(marks):
        errors["statement"] = ["Something like a secret is in it. Say it without."]
    if errors:
        raise Invalid("It cannot be remembered so.", errors=errors)
    return marks


def _digest_of(statement: str) -> str:
    return hashlib.sha256(" ".join(statement.casefold().split()).encode("utf-8", "surrogatepass")).hexdigest()


def _again(known: Memory) -> Memory:
    Memory.objects.filter(pk=known.pk).update(times=F("times") + 1)
    return known


def _check_room(asking: Asking) -> None:
    since = clock.now() - timedelta(hours=1)
    if Memory.objects.filter(agent=asking.agent, created_at__gt=since).count() >= PER_HOUR:
        raise RateLimited(f"An agent may propose {PER_HOUR} statements in an hour.", retry_after=600)
    if Memory.objects.filter(owner=asking.team, state=Memory.State.WAITING).count() >= MOST_WAITING:
        raise RateLimited("The team's inbox is full: its reviewers have to decide first.", retry_after=3600)


def _opened(actor: Principal, memory: Memory, expected_version: int | None) -> Memory:
    authority.require_reviewer(actor, memory.owner, "decide on what agents learned")
    memory = lock(memory)
    check_version(memory, expected_version)
    if memory.state != Memory.State.WAITING:
        raise Conflict(f"It was {memory.state} already.", state=memory.state)
    return memory


def _decide(actor: Principal, memory: Memory, state: str, reason: str) -> Memory:
    memory.state, memory.reason = state, reason
    memory.decided_by, memory.decided_at = actor.person, clock.now()
    memory.version += 1
    memory.save()
    return memory


def _document_of(memory: Memory, sensitivity: int) -> Document:
    """Returns the memory as a document of its owner, found by its words at once and by its meaning soon after."""
    source = _source(memory.owner, sensitivity)
    blocks = [Block(memory.text)] + ([Block(f"Evidence: {memory.evidence}")] if memory.evidence else [])
    title = memory.text.splitlines()[0][:_TITLE]
    heading = (", ".join(memory.tags),) if memory.tags else ()
    path = f"{memory.uid}.md"
    prepared = keeping.prepare(path, Reading(title, (Section(heading, tuple(blocks)),)))
    brought = keeping.Brought(
        path=path,
        format=format_of(path),
        digest=keeping.digest_of("\n\n".join([str(memory.uid), *(block.text for block in blocks)]).encode()),
        commit="",
        changed_at=clock.now(),
    )
    document = keeping.keep(source, brought, prepared)
    keeping.count_words(memory.owner_id)
    return document


def _source(owner: Tenant, sensitivity: int) -> Source:
    level = Sensitivity(sensitivity)
    slug = REMEMBERED if level == Sensitivity.INTERNAL else f"{REMEMBERED}-{level.name.lower()}"
    facts = {"name": "Remembered by agents", "sensitivity": level}
    source, _made = Source.objects.get_or_create(owner=owner, slug=slug, defaults=facts)
    if source.sensitivity < level:
        raise Conflict(f"The source “{slug}” was made less sensitive than this; change it first.", slug=slug)
    Source.objects.filter(pk=source.pk).update(read_at=clock.now())
    return source


def _record(actor: Principal, memory: Memory, verb: str, **facts: object) -> None:
    facts = {"agent": str(memory.agent.uid), "call": str(memory.call), **facts}
    record(scope=memory.owner_id, verb=verb, person=actor.uid, object=f"memory:{memory.uid}", facts=facts)
