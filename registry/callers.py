"""Who can call a server's tools, answered with the very rules that decide each call."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kernel import clock
from registry import queries
from registry.models import Server, Tool
from tenants.decisions import AgentFacts, Context, DelegationFacts, PersonFacts, ToolFacts, decide
from tenants.models import Agent, Delegation
from tenants.principals import Principal
from tenants.queries import roles_and_reaches
from tenants.together import together

MAX_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """One delegation: the tools it opens, and for the others every reason that stands against them."""

    delegation: Delegation
    allowed: list[Tool]
    refused: list[tuple[Tool, tuple[str, ...]]]


def callers_of(principal: Principal, server: Server) -> list[Caller]:
    """Returns who can call what, as far as the principal sees it; the widest first. Two queries, whatever the size."""
    read = together(
        tools=queries.with_group_names(queries.tools(principal).filter(server=server, state="approved")),
        delegations=queries.delegations_reaching(principal, server)[:MAX_SHOWN],
    )
    teams = {row.team_id for row in read["delegations"]}
    roles, reaches = roles_and_reaches(principal, teams)
    facts = [(tool, _facts(tool, tool.group_names)) for tool in read["tools"]]
    callers = [_caller(row, facts, roles, reaches[row.team_id]) for row in read["delegations"]]
    return sorted(callers, key=lambda caller: -len(caller.allowed))


def _caller(
    row: Delegation,
    tools: Iterable[tuple[Tool, ToolFacts]],
    roles: Mapping[tuple[int, int], frozenset[str]],
    reach: frozenset[int],
) -> Caller:
    held = {row.team_id: roles.get((row.person_id, row.team_id), frozenset())}
    person = PersonFacts(row.person_id, str(row.person.uid), row.person.is_active, row.person.clearance, held)
    agent, context = agent_facts(row.agent), Context(row.team_id, reach, clock.now().timestamp())
    delegation = delegation_facts(row)
    answers: dict[bool, list[tuple[Tool, tuple[str, ...]]]] = defaultdict(list)
    for tool, facts in tools:
        decision = decide(person, agent, delegation, facts, context)
        answers[decision.allow].append((tool, decision.reasons))
    return Caller(row, [tool for tool, _ in answers[True]], answers[False])


def agent_facts(agent: Agent) -> AgentFacts:
    """Returns an agent as the decision wants it."""
    return AgentFacts(
        id=agent.pk,
        uid=str(agent.uid),
        active=agent.status == "active",
        sponsor_active=agent.sponsor.is_active,
        home=agent.home_id,
        profile=agent.profile,
        risk=agent.risk,
    )


def delegation_facts(row: Delegation) -> DelegationFacts:
    """Returns a delegation with all that it was cut from, as the decision wants it."""
    return DelegationFacts(
        id=row.pk,
        uid=str(row.uid),
        person=row.person_id,
        agent=row.agent_id,
        team=row.team_id,
        groups=frozenset(row.tool_groups),
        effect=row.effect_ceiling,
        sensitivity=row.sensitivity_ceiling,
        not_before=row.not_before.timestamp(),
        not_after=row.not_after.timestamp(),
        revoked=row.revoked_at is not None,
        depth=row.depth,
        parent=delegation_facts(row.parent) if row.parent else None,
    )


def tool_facts(tool: Tool) -> ToolFacts:
    """Returns a tool with its groups, as the decision wants it."""
    return _facts(tool, [group.slug for group in tool.groups.all()])


def _facts(tool: Tool, groups: Iterable[str]) -> ToolFacts:
    return ToolFacts(str(tool.uid), tool.owner_id, tool.effect, tool.sensitivity, frozenset(groups))
