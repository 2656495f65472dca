"""Reads of what agents learned, of what they asked and did not find, and of how much is covered; limited to the principal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, DateTimeField, Max, Q, QuerySet, Sum, Value

from kernel import clock
from registry.context.memories import Gap, Memory
from registry.context.models import Chunk, Document, Source
from registry.context.queries import clearance_of
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


def memory_by_uid(principal: Viewer, uid: str) -> Memory:
    """Returns one visible memory."""
    return one_of(memories(principal), "memory", uid=uid)


def memories_to_review(principal: Principal) -> QuerySet[Memory]:
    """Returns what waits in the inboxes of the tenants that the principal reviews for, what waits longest first.

    What was learned above the principal's clearance waits for somebody else.
    """
    rows = memories(principal, state=Memory.State.WAITING).order_by("id")
    rows = rows.filter(sensitivity__lte=clearance_of(principal))
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
    """Returns the figures of some visible tenants by id: one statement for any number of them."""
    found: dict[int, dict[str, Any]] = {owner.pk: {} for owner in owners if principal.access.sees(owner.pk)}
    first, *others = (_counted(principal, found, index) for index in range(len(_FIGURES)))
    for owner, index, *figures in first.union(*others, all=True):
        named = zip(_FIGURES[index][1], figures, strict=False)
        found[owner] |= {name: figure for name, figure in named if name and figure is not None}
    return {pk: Coverage(**facts) for pk, facts in found.items()}


def _counted(principal: Viewer, owners: Iterable[int], index: int) -> QuerySet[Any, tuple[Any, ...]]:
    """Returns owner, index, three numbers and a moment for each owner that has any of these rows."""
    manager, names, counts, moment = _FIGURES[index]
    old = clock.now() - STALE_AFTER
    rows: QuerySet[Any] = manager.visible_to(principal).filter(owner__in=list(owners)).order_by()
    figures = {f"n{place}": counts[place](old) if names[place] else Value(0) for place in range(3)}
    latest = Max(moment) if moment else Value(None, output_field=DateTimeField())
    rows = rows.values("owner").annotate(at_index=Value(index), **figures, latest=latest)
    return rows.values_list("owner", "at_index", "n0", "n1", "n2", "latest")


def _all(_old: datetime) -> Count:
    return Count("pk")


def _that(**condition: object) -> Callable[[datetime], Count]:
    return lambda _old: Count("pk", filter=Q(**condition))


_FIGURES: Final[tuple[tuple[Any, tuple[str, str, str, str], tuple[Callable[[datetime], Any], ...], str], ...]] = (
    (Source.objects, ("sources", "", "", "read_at"), (_all,), "read_at"),
    (
        Document.objects,
        ("documents", "stale_documents", "", "changed_at"),
        (_all, lambda old: Count("pk", filter=Q(changed_at__lt=old))),
        "changed_at",
    ),
    (
        Chunk.objects,
        ("chunks", "withheld", "unembedded", ""),
        (_that(withheld=False), _that(withheld=True), _that(withheld=False, embedded_with="")),
        "",
    ),
    (
        Memory.objects,
        ("waiting", "remembered", "", ""),
        (_that(state=Memory.State.WAITING), _that(state=Memory.State.ACCEPTED)),
        "",
    ),
    (Gap.objects, ("gaps", "asked_in_vain", "", ""), (_all, lambda _old: Sum("asked")), ""),
)
"""Of each table: the names of three numbers and a moment, how the numbers are counted, and of which column the moment is."""
