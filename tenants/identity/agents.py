"""Writes to agents: register, change, suspend, resume."""

from django.db import IntegrityError, transaction

from audit.services import record
from kernel.errors import Conflict, Invalid
from tenants import authority, verbs
from tenants.models import Agent, Membership, Person, Tenant
from tenants.principals import Principal
from tenants.rules import MAX_RISK, Profile, Tier
from tenants.services import require_reason, require_slug
from tenants.versions import check_version, lock


@transaction.atomic
def register_agent(
    *,
    actor: Principal,
    slug: str,
    name: str,
    home: Tenant,
    sponsor: Person,
    profile: Profile = Profile.READER,
    risk: int = 1,
    purpose: str = "",
) -> Agent:
    """Returns a new agent. It can do nothing until somebody delegates to it."""
    authority.require_keeper(actor, home, "register agents")
    require_slug(slug)
    _check(home, sponsor, profile, risk)
    try:
        with transaction.atomic():
            agent = Agent.objects.create(
                slug=slug, name=name, home=home, sponsor=sponsor, profile=profile, risk=risk, purpose=purpose
            )
    except IntegrityError as error:
        raise Conflict(f"There is an agent “{slug}” already.", slug=slug) from error
    _record(actor, agent, verbs.AGENT_REGISTERED, profile=profile, risk=risk)
    return agent


@transaction.atomic
def change_agent(
    *,
    actor: Principal,
    agent: Agent,
    name: str,
    purpose: str,
    profile: Profile,
    risk: int,
    expected_version: int | None = None,
) -> Agent:
    """Returns the agent changed. A wider profile needs who keeps the team; the sponsor may only describe."""
    authority.require_keeper(actor, agent.home, "change agents")
    agent = lock(agent)
    check_version(agent, expected_version)
    _check(agent.home, agent.sponsor, profile, risk)
    agent.name, agent.purpose, agent.profile, agent.risk = name, purpose, profile, risk
    agent.version += 1
    agent.save()
    _record(actor, agent, verbs.AGENT_CHANGED, profile=profile, risk=risk)
    return agent


@transaction.atomic
def suspend_agent(*, actor: Principal, agent: Agent, reason: str, expected_version: int | None = None) -> Agent:
    """Returns the agent suspended: every call of it is refused from now on."""
    authority.require_agent_keeper(actor, agent, "suspend this agent")
    require_reason(reason)
    return _set_status(actor, agent, "suspended", reason, expected_version)


@transaction.atomic
def resume_agent(*, actor: Principal, agent: Agent, expected_version: int | None = None) -> Agent:
    """Returns the agent active again, by who keeps its home."""
    authority.require_keeper(actor, agent.home, "resume agents")
    return _set_status(actor, agent, "active", "", expected_version)


def _set_status(actor: Principal, agent: Agent, status: str, reason: str, expected_version: int | None) -> Agent:
    agent = lock(agent)
    check_version(agent, expected_version)
    if agent.status != status:
        agent.status, agent.status_reason = status, reason
        agent.version += 1
        agent.save(update_fields=["status", "status_reason", "version"])
        verb = verbs.AGENT_SUSPENDED if status == "suspended" else verbs.AGENT_RESUMED
        _record(actor, agent, verb, reason=reason)
    return agent


def _check(home: Tenant, sponsor: Person, profile: str, risk: int) -> None:
    errors: dict[str, list[str]] = {}
    if home.tier != Tier.TEAM:
        errors["home"] = ["An agent lives in a team."]
    if not Membership.objects.filter(tenant=home, person=sponsor).exists() or not sponsor.is_active:
        errors["sponsor"] = ["The sponsor is an active member of the home team."]
    if profile not in list(Profile):
        errors["profile"] = [f"One of {', '.join(Profile)}."]
    if not 0 <= risk <= MAX_RISK:
        errors["risk"] = [f"A class from 0 to {MAX_RISK}."]
    if errors:
        raise Invalid("The agent cannot be registered like this.", errors=errors)


def _record(actor: Principal, agent: Agent, verb: str, **facts: object) -> None:
    record(scope=agent.home_id, verb=verb, person=actor.uid, agent=agent.uid, object=f"agent:{agent.slug}", facts=facts)
