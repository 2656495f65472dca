"""Reads of tenants, people, agents and delegations, each already limited to the principal."""

from datetime import datetime, timedelta
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Count, Model, Prefetch, Q, QuerySet

from kernel import clock
from kernel.errors import NotFound
from tenants.models import Agent, Delegation, DomainMembership, Membership, Person, Tenant
from tenants.principals import Principal
from tenants.rules import Role, Tier

M = TypeVar("M", bound=Model)

EXPIRING_WITHIN = timedelta(days=7)


def tenants(principal: Principal) -> QuerySet[Tenant]:
    """Returns the tenants the principal sees, the platform first, then domains, then teams."""
    return Tenant.objects.visible_to(principal).order_by("tier", "slug")


def tenant_tree(principal: Principal) -> QuerySet[Tenant]:
    """Returns visible tenants with their links loaded and people counted: three queries for the whole tree."""
    visible = Tenant.objects.visible_to(principal)
    return visible.annotate(people=Count("memberships__person", distinct=True)).prefetch_related(
        Prefetch("domains", queryset=visible.order_by("slug"), to_attr="seen_domains"),
        Prefetch("teams", queryset=visible.order_by("slug"), to_attr="seen_teams"),
    )


def tenant_by_slug(principal: Principal, slug: str) -> Tenant:
    """Returns one visible tenant; one that is not visible does not exist."""
    return _one(Tenant.objects.visible_to(principal), "tenant", slug=slug)


def teams_of(principal: Principal) -> QuerySet[Tenant]:
    """Returns the teams in which the principal holds a role: "my teams"."""
    mine = list(principal.access.roles)
    return Tenant.objects.visible_to(principal).filter(tier=Tier.TEAM, pk__in=mine).order_by("slug")


def reach_of(team: Tenant) -> frozenset[int]:
    """Returns the ids of the tenants whose assets a team uses: itself, its domains, the platform."""
    domains = DomainMembership.objects.filter(team=team).values_list("domain_id", flat=True)
    platform = Tenant.objects.filter(tier=Tier.PLATFORM).values_list("pk", flat=True)
    return frozenset({team.pk, *domains, *platform})


def memberships(principal: Principal, tenant: Tenant | None = None) -> QuerySet[Membership]:
    """Returns roles held in visible tenants (or in one of them), with person and tenant."""
    rows = Membership.objects.visible_to(principal).select_related("person", "tenant")
    if tenant is not None:
        rows = rows.filter(tenant=tenant)
    return rows.order_by("tenant__slug", "role", "person__handle")


def people(principal: Principal) -> QuerySet[Person]:
    """Returns the people the principal sees."""
    return Person.objects.visible_to(principal).order_by("handle")


def person_by_handle(principal: Principal, handle: str) -> Person:
    """Returns a visible person by handle or address."""
    return _one(people(principal), "person", Q(handle=handle) | Q(email__iexact=handle))


def agents(principal: Principal) -> QuerySet[Agent]:
    """Returns visible agents with home and sponsor."""
    return Agent.objects.visible_to(principal).select_related("home", "sponsor").order_by("slug")


def agent_by_slug(principal: Principal, slug: str) -> Agent:
    """Returns one visible agent."""
    return _one(agents(principal), "agent", slug=slug)


def delegations(principal: Principal) -> QuerySet[Delegation]:
    """Returns visible delegations, newest first, with person, agent and team."""
    return (
        Delegation.objects.visible_to(principal)
        .select_related("person", "agent", "agent__home", "agent__sponsor", "team", "parent", "revoked_by")
        .order_by("-id")
    )


def delegation_by_uid(principal: Principal, uid: str) -> Delegation:
    """Returns one visible delegation."""
    return _one(delegations(principal), "delegation", uid=uid)


def live_delegation(
    principal: Principal, *, team: str, person: str, agent: str, at: datetime | None = None
) -> Delegation:
    """Returns the widest live delegation of a person to an agent in a team, the newest of equals."""
    rows = Delegation.objects.visible_to(principal).live(at or clock.now())
    rows = rows.filter(team__slug=team, agent__slug=agent, parent=None)
    rows = rows.filter(Q(person__handle=person) | Q(person__email__iexact=person))
    found = rows.select_related("person", "agent", "team").order_by("-effect_ceiling", "-id").first()
    if found is None:
        raise NotFound(
            f"No live delegation from {person} to {agent} in {team}.",
            missing="a delegation",
            given_by=f"{person}, on the page of the agent",
        )
    return found


def expiring_delegations(principal: Principal) -> QuerySet[Delegation]:
    """Returns the principal's own live delegations that end within a week."""
    present = clock.now()
    rows = delegations(principal).filter(person=principal.person, revoked_at=None)
    return rows.filter(not_after__gt=present, not_after__lte=present + EXPIRING_WITHIN).order_by("not_after")


def keepers_of(tenant: Tenant) -> QuerySet[Person]:
    """Returns who can give roles in this tenant: its leads or stewards, else the platform admins."""
    roles = [Role.TEAM_LEAD, Role.DOMAIN_STEWARD, Role.PLATFORM_ADMIN]
    return Person.objects.filter(memberships__tenant=tenant, memberships__role__in=roles).distinct()


def names_of_people(uids: set[str]) -> dict[str, Person]:
    """Returns the people behind opaque ids of the audit log; who was erased is absent."""
    return {str(row.uid): row for row in Person.objects.filter(uid__in=uids)}


def names_of_agents(uids: set[str]) -> dict[str, Agent]:
    """Returns the agents behind opaque ids of the audit log, as far as the scope of the request shows them."""
    return {str(row.uid): row for row in Agent.objects.filter(uid__in=uids)}


def person_count(tenant: Tenant) -> int:
    """Returns how many people hold a role in a tenant."""
    return Membership.objects.filter(tenant=tenant).values("person").distinct().count()


def _one(rows: QuerySet[M], kind: str, *args: Q, **where: object) -> M:
    try:
        found = rows.filter(*args, **where).first()
    except (ValidationError, ValueError):  # an id that is not one names nothing
        found = None
    if found is None:
        raise NotFound(f"There is no such {kind}, or you may not see it.")
    return found
