"""Who asks an internal server, as the rows know them at this moment, and what they may be shown.

The gateway has decided already; it is decided here again, with the same rules on the rows themselves, because this is
where data is shown: what was revoked since then, or what a broken gateway would let through, finds nothing.
"""

from dataclasses import dataclass

from kernel import clock
from kernel.errors import Forbidden
from registry.assertions import Assertion, Caller
from registry.callers import agent_facts, delegation_facts, tool_facts
from registry.models import Server, Tool
from tenants.access import Access
from tenants.decisions import Context, PersonFacts, decide, sensitivity_ceiling
from tenants.models import Agent, Delegation, Person, Tenant
from tenants.principals import SYSTEM, Principal, principal_of
from tenants.queries import delegations, reach_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A call that is allowed now. `viewer` sees the owners that this call may be shown, and nothing beside them."""

    call: str
    person: Person
    agent: Agent
    delegation: Delegation
    team: Tenant
    owners: frozenset[int]
    ceiling: int
    viewer: Principal


def find_asking(said: Assertion) -> Asking:
    """Returns who asks. Raises `Forbidden` when the call is not allowed (any more); the caller is told nothing else."""
    if said.caller is None:
        raise Forbidden("A look calls nothing.", code="call_refused")
    row = _delegation(said.caller)
    tool = _tool(said.server, said.caller.tool)
    if row is None or tool is None:
        raise _refused()
    principal, reach = principal_of(row.person), reach_of(row.team)
    person, agent = _person(row.person, principal), agent_facts(row.agent)
    delegation = delegation_facts(row)
    context = Context(row.team_id, reach, clock.now().timestamp())
    if not decide(person, agent, delegation, tool_facts(tool), context).allow:
        raise _refused()
    owners = _owners(principal, reach, tool.server)
    return Asking(
        call=said.call,
        person=row.person,
        agent=row.agent,
        delegation=row,
        team=row.team,
        owners=owners,
        ceiling=min(said.caller.cap, sensitivity_ceiling(person, agent, delegation)),
        viewer=Principal(person=row.person, access=Access(roles=principal.access.roles, visible=owners)),
    )


def _refused() -> Forbidden:
    return Forbidden("This call is not allowed any more.", code="call_refused")


def _delegation(caller: Caller) -> Delegation | None:
    """Returns the delegation, when it is the one between this person and this agent in this team."""
    row = delegations(SYSTEM).filter(uid=caller.dlg, team__slug=caller.team).first()
    if row is None or (str(row.person.uid), str(row.agent.uid)) != (caller.sub, caller.act):
        return None
    return row


def _tool(server: str, name: str) -> Tool | None:
    rows = Tool.objects.filter(state=Tool.State.APPROVED, server__status=Server.Status.ACTIVE)
    rows = rows.filter(server__uid=server, server__transport=Server.Transport.INTERNAL, name=name)
    return rows.select_related("server").prefetch_related("groups").first()


def _person(person: Person, principal: Principal) -> PersonFacts:
    return PersonFacts(person.pk, str(person.uid), person.is_active, person.clearance, principal.access.roles)


def _owners(principal: Principal, reach: frozenset[int], server: Server) -> frozenset[int]:
    """Returns whose documents are shown: of the team's reach what the person sees, of one server its owner's only."""
    visible = principal.access.visible
    owners = reach if visible is None else reach & visible
    return owners if server.is_merged else owners & {server.owner_id}
