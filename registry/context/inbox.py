"""Reads of what agents learned, of what they asked and did not find, and of how much is covered; limited to the principal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Aggregate, Count, DateTimeField, Max, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast

from kernel import clock
from registry.context.memories import Gap, Memory
from registry.context.models import Chunk, Document, Source
from tenants.access import Viewer
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.queries import one_of
from tenants.rules import Role

STALE_AFTER: Final = timedelta(days=180)
_REVIEWING: Final = frozenset({Role.REVIEWER, Role.TEAM_LEAD, Role.DOMAIN_STEWARD, Role.PLATFORM_ADMIN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a tenant has written down that can be found: for the page that shows what is missing."""

    sources: int = 0
    documents: int = 0
    stale_documents: int = 0
    chunks: int = 0
    withheld: int = 0
    unembedded: int = 0
    changed_at: datetime | None = None
    read_at: datetime | None = None
    waiting: int = 0
    remembered: int = 0
    gaps: int = 0
    asked_in_vain: int = 0


def memories(principal: Viewer, owner: Tenant | None = None, state: str | None = None) -> QuerySet[Memory]:
    """Returns visible memories (of one team, in one state), newest first, with who proposed and who decided."""
    rows = Memory.objects.visible_to(principal).select_related(
        "owner", "person", "agent", "delegation", "decided_by", "document__source"
    )
    rows = rows if owner is None else rows.filter(owner=owner)
    return (rows if state is None else rows.filter(state=state)).order_by("-id")


def readable_memories(principal: Principal, rows: QuerySet[Memory]) -> QuerySet[Memory]:
    """Returns of these memories those up to the principal's clearance.

    One is as sensitive as the document that it became. Without such, what its call could see at most says it.
    """
    known = Q(document__sensitivity__lte=principal.clearance)
    return rows.filter(known | Q(document=None, sensitivity__lte=principal.clearance))


def readable_memory(principal: Principal, uid: str) -> Memory:
    """Returns one memory that the principal may read."""
    return one_of(readable_memories(principal, memories(principal)), "memory", uid=uid)


def memories_to_review(principal: Principal) -> QuerySet[Memory]:
    """Returns what waits in the inboxes of the tenants that the principal reviews for, what waits longest first.

    What was learned above the principal's clearance waits for somebody else.
    """
    rows = readable_memories(principal, memories(principal, state=Memory.State.WAITING)).order_by("id")
    if principal.access.is_platform_admin:
        return rows
    return rows.filter(owner__in=[tenant for tenant, roles in principal.access.roles.items() if roles & _REVIEWING])


def remembered_in(principal: Viewer, documents: Iterable[UUID]) -> dict[UUID, Memory]:
    """Returns the accepted memories behind some documents: one query."""
    rows = memories(principal, state=Memory.State.ACCEPTED).filter(document__uid__in=list(documents))
    return {row.document.uid: row for row in rows if row.document is not None}


def gaps(principal: Viewer, owner: Tenant | None = None) -> QuerySet[Gap]:
    """Returns what agents of visible teams asked in vain, the most asked first."""
    rows = Gap.objects.visible_to(principal).select_related("owner")
    return (rows if owner is None else rows.filter(owner=owner)).order_by("-asked", "-last_at", "pk")


def gap_by_uid(principal: Viewer, uid: str) -> Gap:
    """Returns one visible question."""
    return one_of(gaps(principal), "question", uid=uid)


def coverage(principal: Viewer, owners: Sequence[Tenant]) -> dict[int, Coverage]:
    """Returns the figures of some visible tenants by id: one query for any number of them."""
    seen = [owner.pk for owner in owners if principal.access.sees(owner.pk)]
    found: dict[int, dict[str, Any]] = {pk: {} for pk in seen}
    kinds = _counted()
    counted = [
        _of_kind(place, kind.rows.visible_to(principal).filter(owner__in=seen), kind)
        for place, kind in enumerate(kinds)
    ]
    for owner, place, at, *numbers in counted[0].union(*counted[1:], all=True):
        kind = kinds[place]
        found[owner] |= dict(zip(kind.counts, numbers, strict=False)) | ({kind.moment: at} if kind.moment else {})
    return {pk: Coverage(**facts) for pk, facts in found.items()}


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is counted of one table, and the moment that is looked up in it."""

    rows: Any
    counts: Mapping[str, Aggregate]
    moment: str = ""


def _counted() -> list[_Kind]:
    old, shown = Q(changed_at__lt=clock.now() - STALE_AFTER), Q(withheld=False)
    return [
        _Kind(Source.objects, {"sources": Count("pk")}, "read_at"),
        _Kind(Document.objects, {"documents": Count("pk"), "stale_documents": Count("pk", filter=old)}, "changed_at"),
        _Kind(
            Chunk.objects,
            {
                "chunks": Count("pk", filter=shown),
                "withheld": Count("pk", filter=~shown),
                "unembedded": Count("pk", filter=shown & Q(embedded_with="")),
            },
        ),
        _Kind(
            Memory.objects,
            {
                "waiting": Count("pk", filter=Q(state=Memory.State.WAITING)),
                "remembered": Count("pk", filter=Q(state=Memory.State.ACCEPTED)),
            },
        ),
        _Kind(Gap.objects, {"gaps": Count("pk"), "asked_in_vain": Sum("asked")}),
    ]


def _of_kind(place: int, rows: QuerySet[Any], kind: _Kind) -> Any:
    """Returns owner, kind, moment and three figures of each owner, so that all kinds fit into one statement."""
    figures: list[Any] = [*kind.counts.values(), Value(0), Value(0)][:3]
    moment = Max(kind.moment) if kind.moment else Cast(Value(None), DateTimeField())
    named = {f"n{number}": figure for number, figure in enumerate(figures)}
    grouped = rows.order_by().values("owner").annotate(place=Value(place), at=moment, **named)
    return grouped.values_list("owner", "place", "at", *named)
