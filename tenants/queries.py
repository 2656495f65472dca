"""Reads of tenants, people, agents and delegations, each already limited to the principal."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.core.exceptions import ValidationError
from django.db.models import Case, Count, Model, Prefetch, Q, QuerySet, Value, When

from kernel import clock
from kernel.errors import Invalid, NotFound
from tenants.authority import require_keeper, require_opener
from tenants.models import Agent, Delegation, DomainMembership, Membership, Onboarding, Person, SignInGroup, Tenant
from tenants.principals import Principal
from tenants.rules import Role, Tier
from tenants.together import together

M = TypeVar("M", bound=Model)

EXPIRING_WITHIN = timedelta(days=7)
_TIER_RANK = Case(*(When(tier=tier, then=Value(rank)) for rank, tier in enumerate(Tier)))


def tenants(principal: Principal) -> QuerySet[Tenant]:
    """Returns the tenants the principal sees, the platform first, then domains, then teams."""
    return Tenant.objects.visible_to(principal).order_by(_TIER_RANK, "slug")


def tenant_tree(principal: Principal) -> QuerySet[Tenant]:
    """Returns visible tenants with their links loaded and people counted: three queries for the whole tree."""
    visible = Tenant.objects.visible_to(principal)
    return visible.annotate(people=Count("memberships__person", distinct=True)).prefetch_related(
        Prefetch("domains", queryset=visible.order_by("slug"), to_attr="seen_domains"),
        Prefetch("teams", queryset=visible.order_by("slug"), to_attr="seen_teams"),
    )


def domains_with_teams(principal: Principal) -> QuerySet[Tenant]:
    """Returns visible domains, each with the names of its visible teams as `team_names`."""
    visible = Tenant.objects.visible_to(principal)
    seen = Q(team_links__team__in=visible.order_by().values("pk"))
    names = ArrayAgg("team_links__team__name", filter=seen, order_by="team_links__team__slug", default=[])
    return visible.filter(tier=Tier.DOMAIN).annotate(team_names=names).order_by("slug")


def tenant_by_slug(principal: Principal, slug: str) -> Tenant:
    """Returns one visible tenant; one that is not visible does not exist."""
    return one_of(Tenant.objects.visible_to(principal), "tenant", slug=slug)


def teams_of(principal: Principal) -> QuerySet[Tenant]:
    """Returns the teams in which the principal holds a role: "my teams"."""
    mine = list(principal.access.roles)
    return Tenant.objects.visible_to(principal).filter(tier=Tier.TEAM, pk__in=mine).order_by("slug")


def reach_of(team: Tenant) -> frozenset[int]:
    """Returns the ids of the tenants whose assets a team uses: itself, its domains, the platform."""
    return frozenset({team.pk, *ids_in_reach(team)})


def ids_in_reach(team: Tenant) -> QuerySet[Any, int]:
    """Returns `reach_of` as a subquery: it shows nothing by itself."""
    domains = DomainMembership.objects.filter(team=team).order_by().values_list("domain_id", flat=True)
    others = Tenant.objects.filter(Q(tier=Tier.PLATFORM) | Q(pk=team.pk)).order_by()
    return others.values_list("pk", flat=True).union(domains)


def roles_and_reaches(
    principal: Principal, team_ids: set[int]
) -> tuple[dict[tuple[int, int], frozenset[str]], dict[int, frozenset[int]]]:
    """Returns the roles held in visible teams by (person, team), and `reach_of` by team: one query."""
    members = Membership.objects.visible_to(principal).filter(tenant__in=team_ids)
    found = together(
        roles=members.values_list("person_id", "tenant_id", "role"),
        platform=Tenant.objects.filter(tier=Tier.PLATFORM).values_list("pk", flat=True),
        domains=DomainMembership.objects.filter(team__in=team_ids).values_list("team_id", "domain_id"),
    )
    held: dict[tuple[int, int], set[str]] = {}
    for person, team, role in found["roles"]:
        held.setdefault((person, team), set()).add(role)
    reaches = {team: {team, *found["platform"]} for team in team_ids}
    for team, domain in found["domains"]:
        reaches[team].add(domain)
    roles = {key: frozenset(names) for key, names in held.items()}
    return roles, {team: frozenset(reach) for team, reach in reaches.items()}


def memberships(principal: Principal, tenant: Tenant | None = None) -> QuerySet[Membership]:
    """Returns roles held in visible tenants (or in one of them), with person and tenant."""
    rows = Membership.objects.visible_to(principal).select_related("person", "tenant")
    if tenant is not None:
        rows = rows.filter(tenant=tenant)
    return rows.order_by("tenant__slug", "role", "person__handle")


def sign_in_groups(principal: Principal, tenant: Tenant) -> QuerySet[SignInGroup]:
    """Returns the visible rules of one tenant: which groups of the identity provider have which role in it."""
    return SignInGroup.objects.visible_to(principal).filter(tenant=tenant).select_related("tenant", "made_by")


def sign_in_group_by_uid(principal: Principal, tenant: Tenant, uid: str) -> SignInGroup:
    """Returns one visible rule of this tenant."""
    return one_of(sign_in_groups(principal, tenant), "rule", uid=uid)


def people(principal: Principal) -> QuerySet[Person]:
    """Returns the people the principal sees."""
    return Person.objects.visible_to(principal).order_by("handle")


def person_by_handle(principal: Principal, handle: str) -> Person:
    """Returns a visible person by handle or address."""
    return one_of(people(principal), "person", Q(handle=handle) | Q(email__iexact=handle))


def agents(principal: Principal) -> QuerySet[Agent]:
    """Returns visible agents with home and sponsor."""
    return Agent.objects.visible_to(principal).select_related("home", "sponsor").order_by("slug")


def agent_by_slug(principal: Principal, slug: str) -> Agent:
    """Returns one visible agent."""
    return one_of(agents(principal), "agent", slug=slug)


def delegations(principal: Principal) -> QuerySet[Delegation]:
    """Returns visible delegations, newest first, with person, agent and team."""
    return (
        Delegation.objects.visible_to(principal)
        .select_related("person", "agent", "agent__home", "agent__sponsor", "team", "parent", "revoked_by")
        .order_by("-id")
    )


def delegation_by_uid(principal: Principal, uid: str) -> Delegation:
    """Returns one visible delegation."""
    return one_of(delegations(principal), "delegation", uid=uid)


def live_delegation(
    principal: Principal, *, team: str, person: str, agent: str, uid: str = "", at: datetime | None = None
) -> Delegation:
    """Returns the live delegation of a person to an agent in a team: the one named, else the widest, newest of equals."""
    rows = Delegation.objects.visible_to(principal).live(at or clock.now())
    rows = rows.filter(team__slug=team, agent__slug=agent, parent=None)
    rows = rows.filter(Q(person__handle=person) | Q(person__email__iexact=person))
    if uid:
        rows = rows.filter(uid=_as_uid(uid))
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


def domains_of(principal: Principal, team: Tenant) -> QuerySet[Tenant]:
    """Returns the visible domains that a team is in."""
    return Tenant.objects.visible_to(principal).filter(team_links__team=team).order_by("slug")


def domains_of_slug(principal: Principal, slug: str) -> QuerySet[Tenant]:
    """Returns the visible domains of the team with this short name, when the principal sees it, else none."""
    team = Tenant.objects.visible_to(principal).filter(tier=Tier.TEAM, slug=slug).order_by()
    return Tenant.objects.visible_to(principal).filter(team_links__team__in=team.values("pk")).order_by("slug")


def teams_in(principal: Principal, node: Tenant) -> QuerySet[Tenant]:
    """Returns the visible teams below a domain, or all that are visible below the platform."""
    rows = Tenant.objects.visible_to(principal).filter(tier=Tier.TEAM)
    return (rows if node.tier == Tier.PLATFORM else rows.filter(domain_links__domain=node)).order_by("slug")


def person_to_admit(principal: Principal, tenant: Tenant, who: str) -> Person:
    """Returns anybody by exact handle or address, for who may give them a role here; nobody else can ask."""
    require_keeper(principal, tenant, "give roles")
    found = Person.objects.filter(Q(handle=who.strip()) | Q(email__iexact=who.strip())).first()
    if found is None:
        raise Invalid("There is nobody of that name.", errors={"person": ["Nobody has this handle or address."]})
    return found


def person_to_name(principal: Principal, who: str) -> Person:
    """Returns anybody by exact handle or address, for who may begin an onboarding; nobody else can ask."""
    require_opener(principal, "name who goes on")
    found = Person.objects.filter(Q(handle=who.strip()) | Q(email__iexact=who.strip())).first()
    if found is None:
        raise Invalid("There is nobody of that name.", errors={"person": ["Nobody has this handle or address."]})
    return found


def ids_of_role(role: str) -> QuerySet[Membership, int]:
    """Returns who holds a role anywhere, as a subquery: it shows nothing by itself."""
    return Membership.objects.filter(role=role).order_by().values_list("person", flat=True)


def ids_of_members(principal: Principal, slug: str) -> QuerySet[Membership, int]:
    """Returns who holds a role in one visible tenant, as a subquery."""
    rows = Membership.objects.visible_to(principal).filter(tenant__slug=slug)
    return rows.order_by().values_list("person", flat=True)


def roles_of(principal: Principal, people: Iterable[Person]) -> dict[int, list[Membership]]:
    """Returns the visible roles of some people by person: one query for a page of them."""
    held: dict[int, list[Membership]] = {}
    for row in memberships(principal).filter(person__in=[person.pk for person in people]):
        held.setdefault(row.person_id, []).append(row)
    return held


def names_behind(people: Iterable[object], agents: Iterable[object]) -> tuple[dict[str, Person], dict[str, Agent]]:
    """Returns `names_of_people` and `names_of_agents` by one query; what is empty names nobody."""
    found = together(
        people=Person.objects.filter(uid__in={uid for uid in people if uid}),
        agents=Agent.objects.filter(uid__in={uid for uid in agents if uid}),
    )
    return {str(row.uid): row for row in found["people"]}, {str(row.uid): row for row in found["agents"]}


def names_of_people(uids: set[str]) -> dict[str, Person]:
    """Returns the people behind opaque ids of the audit log; who was erased is absent."""
    return {str(row.uid): row for row in Person.objects.filter(uid__in=uids)}


def names_of_agents(uids: set[str]) -> dict[str, Agent]:
    """Returns the agents behind opaque ids of the audit log, as far as the scope of the request shows them."""
    return {str(row.uid): row for row in Agent.objects.filter(uid__in=uids)}


def person_count(tenant: Tenant) -> int:
    """Returns how many people hold a role in a tenant."""
    return Membership.objects.filter(tenant=tenant).values("person").distinct().count()


def platform_tenant() -> Tenant:
    """Returns the one platform, which everybody sees."""
    return Tenant.objects.get(tier=Tier.PLATFORM)


def onboardings(principal: Principal) -> QuerySet[Onboarding]:
    """Returns visible onboardings with their people and team, the newest first."""
    return Onboarding.objects.visible_to(principal).select_related("owner", "begun_by", "lead").order_by("-id")


def onboarding_by_uid(principal: Principal, uid: str) -> Onboarding:
    """Returns one visible onboarding."""
    return one_of(onboardings(principal), "onboarding", uid=uid)


def _as_uid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such delegation, or you may not see it.") from None


def one_of(rows: QuerySet[M], kind: str, *args: Q, **where: object) -> M:
    """Returns the one row that fits. Raises `NotFound` alike for what is not there and what is not among these rows."""
    try:
        found = rows.filter(*args, **where).first()
    except (ValidationError, ValueError):  # an id that is not one names nothing
        found = None
    if found is None:
        raise NotFound(f"There is no such {kind}, or you may not see it.")
    return found
