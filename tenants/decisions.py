"""The decision point: may this agent, for this person, under this delegation, use this tool now?

`allow = person AND agent AND delegation AND each parent of it`. The conjunction is code, not policy, so that no
policy can widen it. A policy engine joins below as one more leg of each principal, never beside the conjunction.
Facts are plain values: the gateway builds them from its snapshot, the portal from rows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tenants.rules import MAX_DEPTH, MAX_RISK, profile_effect, profile_sensitivity, role_effect


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """A person as of now. `roles` maps a team's id to the roles held there."""

    id: int
    uid: str
    active: bool
    clearance: int
    roles: Mapping[int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """An agent as of now."""

    id: int
    uid: str
    active: bool
    sponsor_active: bool
    home: int
    profile: str
    risk: int


@dataclass(frozen=True, slots=True)
class DelegationFacts:
    """One delegation and, through `parent`, all that it was cut from. Times are Unix seconds."""

    id: int
    uid: str
    person: int
    agent: int
    team: int
    groups: frozenset[str]
    effect: int
    sensitivity: int
    not_before: float
    not_after: float
    revoked: bool
    depth: int
    parent: "DelegationFacts | None" = None


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """An approved tool: who owns its server, what it does, which groups hold it."""

    uid: str
    owner: int
    effect: int
    sensitivity: int
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Context:
    """Where and when. `reach` holds the tenants whose assets the team uses: itself, its domains, the platform."""

    team: int
    reach: frozenset[int]
    now: float


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer and why: every reason that stood against it, or the legs that carried it."""

    allow: bool
    reasons: tuple[str, ...]


def decide(
    person: PersonFacts | None,
    agent: AgentFacts | None,
    delegation: DelegationFacts | None,
    tool: ToolFacts,
    context: Context,
) -> Decision:
    """Returns whether the call may be made. A missing principal is a denial; adding a constraint never widens."""
    if person is None or agent is None or delegation is None:
        return Decision(allow=False, reasons=("identity.incomplete",))
    against = (
        *_against_person(person, tool, context),
        *_against_agent(agent, tool, context),
        *_against_delegation(person, agent, delegation, tool, context),
    )
    if against:
        return Decision(allow=False, reasons=against)
    return Decision(allow=True, reasons=("person", "agent", "delegation"))


def sensitivity_ceiling(person: PersonFacts, agent: AgentFacts, delegation: DelegationFacts) -> int:
    """Returns how sensitive what a call shows may be: the lowest that person, agent and each delegation admit."""
    ceiling, link, steps = min(person.clearance, profile_sensitivity(agent.profile)), delegation, 0
    while link.parent is not None and steps <= MAX_DEPTH:
        ceiling, link, steps = min(ceiling, link.sensitivity), link.parent, steps + 1
    return min(ceiling, link.sensitivity)


def _against_person(person: PersonFacts, tool: ToolFacts, context: Context) -> Iterator[str]:
    roles = person.roles.get(context.team, frozenset())
    if not person.active:
        yield "person.inactive"
    if not roles:
        yield "person.not_a_member"
    elif role_effect(roles) < tool.effect:
        yield "person.role_too_low"
    if person.clearance < tool.sensitivity:
        yield "person.clearance_too_low"
    if tool.owner not in context.reach:
        yield "tool.out_of_reach"


def _against_agent(agent: AgentFacts, tool: ToolFacts, context: Context) -> Iterator[str]:
    if not agent.active:
        yield "agent.suspended"
    if not agent.sponsor_active:
        yield "agent.without_sponsor"
    if agent.home != context.team:
        yield "agent.not_at_home"
    if agent.risk >= MAX_RISK:
        yield "agent.risk_too_high"
    if profile_effect(agent.profile) < tool.effect:
        yield "agent.profile_effect"
    if profile_sensitivity(agent.profile) < tool.sensitivity:
        yield "agent.profile_sensitivity"


def _against_delegation(
    person: PersonFacts, agent: AgentFacts, delegation: DelegationFacts, tool: ToolFacts, context: Context
) -> Iterator[str]:
    if delegation.person != person.id or delegation.agent != agent.id:
        yield "delegation.of_others"
    if delegation.depth > MAX_DEPTH:
        yield "delegation.too_deep"
    link: DelegationFacts | None = delegation
    steps = 0
    while link is not None:
        yield from _against_link(link, tool, context, "delegation" if steps == 0 else "parent")
        if link.person != person.id and steps:
            yield "parent.of_others"
        link, steps = link.parent, steps + 1
        if steps > MAX_DEPTH + 1:
            yield "delegation.too_deep"
            return


def _against_link(link: DelegationFacts, tool: ToolFacts, context: Context, leg: str) -> Iterator[str]:
    if link.revoked:
        yield f"{leg}.revoked"
    if not link.not_before <= context.now < link.not_after:
        yield f"{leg}.expired"
    if link.team != context.team:
        yield f"{leg}.other_team"
    if not link.groups & tool.groups:
        yield f"{leg}.tool_not_granted"
    if link.effect < tool.effect:
        yield f"{leg}.effect_ceiling"
    if link.sensitivity < tool.sensitivity:
        yield f"{leg}.sensitivity_ceiling"
