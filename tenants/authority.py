"""Who may do what to tenants, people and agents. Each check raises `Forbidden` naming the grant and its giver."""

from kernel.errors import Forbidden
from tenants.models import Agent, Delegation, Onboarding, Tenant
from tenants.principals import Principal
from tenants.rules import Role, Tier

GIVER_OF_TIER = {
    Tier.PLATFORM: "a platform admin",
    Tier.DOMAIN: "a steward of the domain or a platform admin",
    Tier.TEAM: "a lead of the team or a platform admin",
}

REVIEWER_OF_TIER = {
    Tier.PLATFORM: "another platform admin or a reviewer of the platform",
    Tier.DOMAIN: "another steward or a reviewer of the domain",
    Tier.TEAM: "another lead or a reviewer of the team",
}

KEEPER_OF_TIER = {
    Tier.PLATFORM: Role.PLATFORM_ADMIN,
    Tier.DOMAIN: Role.DOMAIN_STEWARD,
    Tier.TEAM: Role.TEAM_LEAD,
}


def keeps(actor: Principal, tenant: Tenant) -> bool:
    """Tells whether the actor looks after this tenant: its lead or steward, or a platform admin."""
    keeper = KEEPER_OF_TIER[Tier(tenant.tier)]
    return actor.access.is_platform_admin or actor.access.has_role(tenant.pk, keeper)


def require_platform_admin(actor: Principal, act: str) -> None:
    """Raises unless the actor administers the platform."""
    if not actor.access.is_platform_admin:
        raise Forbidden(f"Only a platform admin may {act}.", missing="platform_admin", given_by="a platform admin")


def require_keeper(actor: Principal, tenant: Tenant, act: str) -> None:
    """Raises unless the actor looks after this tenant."""
    if not keeps(actor, tenant):
        tier = Tier(tenant.tier)
        raise Forbidden(
            f"You may not {act} in {tenant.name}.",
            missing=f"{KEEPER_OF_TIER[tier]} in {tenant.slug}",
            given_by=GIVER_OF_TIER[tier],
        )


def require_worker(actor: Principal, team: Tenant, act: str) -> None:
    """Raises unless the actor works in this team (member or lead; a reviewer only looks)."""
    if not actor.access.has_role(team.pk, Role.MEMBER, Role.TEAM_LEAD):
        raise Forbidden(
            f"Only members of {team.name} may {act}.",
            missing=f"member in {team.slug}",
            given_by=GIVER_OF_TIER[Tier.TEAM],
        )


def require_agent_keeper(actor: Principal, agent: Agent, act: str) -> None:
    """Raises unless the actor sponsors the agent or looks after its home."""
    if actor.person is not None and actor.person.pk == agent.sponsor_id:
        return
    require_keeper(actor, agent.home, act)


def may_end(actor: Principal, delegation: Delegation) -> bool:
    """Tells whether the actor may narrow or revoke: the person, the agent's sponsor, or who keeps the team."""
    person = actor.person.pk if actor.person else None
    return person in (delegation.person_id, delegation.agent.sponsor_id) or keeps(actor, delegation.team)


def require_ender(actor: Principal, delegation: Delegation, act: str) -> None:
    """Raises unless the actor may narrow or revoke this delegation."""
    if not may_end(actor, delegation):
        raise Forbidden(
            f"You may not {act} this delegation.",
            missing=f"team_lead in {delegation.team.slug}",
            given_by=GIVER_OF_TIER[Tier.TEAM],
        )


def contributes(actor: Principal, tenant: Tenant) -> bool:
    """Tells whether the actor works in the team, or keeps the team, domain or platform."""
    works = tenant.tier == Tier.TEAM and actor.access.has_role(tenant.pk, Role.MEMBER, Role.TEAM_LEAD)
    return works or keeps(actor, tenant)


def require_contributor(actor: Principal, tenant: Tenant, act: str) -> None:
    """Raises unless the actor contributes to this tenant: works in the team, or keeps the domain or platform."""
    if not contributes(actor, tenant):
        require_keeper(actor, tenant, act)


def reviews(actor: Principal, tenant: Tenant) -> bool:
    """Tells whether the actor decides on what others propose to this tenant: its reviewer, or who keeps it."""
    return keeps(actor, tenant) or actor.access.has_role(tenant.pk, Role.REVIEWER)


def require_reviewer(actor: Principal, tenant: Tenant, act: str) -> None:
    """Raises unless the actor reviews for this tenant or keeps it."""
    if not reviews(actor, tenant):
        raise Forbidden(
            f"You may not {act} of {tenant.name}.",
            missing=f"reviewer in {tenant.slug}",
            given_by=GIVER_OF_TIER[Tier(tenant.tier)],
        )


def opens(actor: Principal) -> bool:
    """Tells whether the actor may begin an onboarding: a platform admin, or the steward of any domain."""
    stewards = any(Role.DOMAIN_STEWARD in roles for roles in actor.access.roles.values())
    return actor.access.is_platform_admin or stewards


def require_opener(actor: Principal, act: str) -> None:
    """Raises unless the actor may begin an onboarding."""
    if not opens(actor):
        raise Forbidden(
            f"Only a steward of a domain or a platform admin may {act}.",
            missing="domain_steward in a domain",
            given_by=GIVER_OF_TIER[Tier.DOMAIN],
        )


def carries(actor: Principal, onboarding: Onboarding) -> bool:
    """Tells whether the actor may go on with an onboarding: before the team stands who began it or is named to lead
    it, afterwards who works in the team; a platform admin always. That somebody knows its address gives nothing.
    """
    if onboarding.owner is not None:
        return contributes(actor, onboarding.owner)
    named = actor.person_id is not None and actor.person_id in (onboarding.begun_by_id, onboarding.lead_id)
    return actor.access.is_platform_admin or named


def require_carrier(actor: Principal, onboarding: Onboarding, act: str) -> None:
    """Raises unless the actor may go on with this onboarding."""
    if carries(actor, onboarding):
        return
    if onboarding.owner is not None:
        require_keeper(actor, onboarding.owner, act)
    raise Forbidden(
        f"Only who began it, who is named to lead the team, or a platform admin may {act}.",
        missing="to be named to lead the team",
        given_by=f"{onboarding.begun_by.name} or a platform admin",
    )
