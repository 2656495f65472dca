"""The last step of an onboarding: a delegation, and with it one governed call, made live through the gateway."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from audit import queries as audit
from kernel import clock
from kernel.errors import Conflict
from kernel.secrets import Secret
from portal import keyring
from portal.calling import Called, call_tool
from portal.parts.marks import EFFECTS, SENSITIVITIES
from portal.sources import repository_sources
from registry import queries as registry
from registry.addresses import AddressPolicy
from registry.context.entries import Entry
from registry.context.models import Import
from registry.context.services.imports import begin_import
from registry.context.steps import RepositoryMeans, pages_of
from registry.context.tasks import wake
from registry.models import Server, Tool
from registry.steps import ServerMeans
from registry.tasks import probe_server
from registry.wrapping import wrap_api
from tenants import authority, onboarding
from tenants import queries as tenants
from tenants.identity.delegation import delegate
from tenants.identity.tokens import mint_token
from tenants.models import Agent, Delegation, Onboarding, Tenant
from tenants.onboarding import Field, Found, Line, Means, Outcome, Reads, State, Step, Values
from tenants.principals import Principal
from tenants.rosters import slug_from
from tenants.rules import Effect, Role, Sensitivity
from tenants.steps import NewPasswords

HOLDS: Final = timedelta(days=1)
OFFERED: Final = 200
ATTEMPTS: Final = 4
PAUSE: Final = 0.3
CONTEXT: Final = "context"
"""The tools with which an agent finds what its team, domains and platform have written down."""


def tools_offered(actor: Principal, row: Onboarding) -> list[Tool]:
    """Returns approved tools that the team reaches on active servers, its own first, those that only read before others.

    What comes with every team is left out: the first call shows that something of one's own works.
    """
    assert row.owner is not None  # noqa: S101 - the frame asks for the first step before any other
    reached = registry.servers_in_reach(actor, row.owner).filter(status=Server.Status.ACTIVE)
    reached = reached.exclude(transport=Server.Transport.INTERNAL)
    rows = registry.tools(actor).filter(server__in=reached, state=Tool.State.APPROVED)
    team = row.owner.pk
    return sorted(rows[:OFFERED], key=lambda tool: (tool.owner_id != team, tool.effect, tool.exposed_name))


def chosen(actor: Principal, row: Onboarding, values: Values) -> tuple[Agent | None, Tool | None]:
    """Returns agent and tool as answered; what was not answered is the first that is offered."""
    agents = {one.slug: one for one in tenants.agents(actor).filter(home=row.owner, status="active")}
    tools = {one.exposed_name: one for one in tools_offered(actor, row)}
    agent, tool = values.get("agent") or next(iter(agents), ""), values.get("tool") or next(iter(tools), "")
    return agents.get(str(agent)), tools.get(str(tool))


def arguments_of(values: Values) -> dict[str, Any] | None:
    """Returns the arguments; None when the text is no JSON object."""
    try:
        found = json.loads(str(values.get("arguments") or "{}"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def delegation_for(actor: Principal, agent: Agent, tool: Tool) -> Delegation | None:
    """Returns the actor's own live delegation to this agent that opens this tool, the newest of them."""
    groups = {group.slug for group in tool.groups.all()}
    rows = tenants.delegations(actor).filter(person=actor.person, agent=agent, team=agent.home, revoked_at=None)
    live = (row for row in rows if row.state_at(clock.now()) == "live")
    return next((row for row in live if groups & set(row.tool_groups) and _admits(row, tool)), None)


def make_call(actor: Principal, row: Onboarding) -> Called:
    """Returns what came of the call that was answered for, made through the gateway under its delegation.

    The gateway learns of a new delegation a moment after it was made, so a 401 is asked again a few times.
    """
    authority.require_carrier(actor, row, "make the first call")
    _team_of(row)
    values = onboarding.held(row, "call").values
    agent, tool = chosen(actor, row, values)
    delegation = delegation_for(actor, agent, tool) if agent and tool else None
    if tool is None or delegation is None:
        raise Conflict("There is no delegation for this call yet. Go on with the step above.")
    called = _call_patiently(actor, delegation, tool, arguments_of(values) or {})
    if called.ok and called.call is not None:
        onboarding.note_first_call(actor=actor, onboarding=row, call=called.call)
    return called


def _call_patiently(actor: Principal, delegation: Delegation, tool: Tool, arguments: dict[str, Any]) -> Called:
    token = mint_token(
        actor=actor, delegation=delegation, issuer=keyring.token_issuer(), minutes=2, tools=[tool.exposed_name]
    )
    for _attempt in range(ATTEMPTS):
        called = call_tool(team=delegation.team.slug, token=token, tool=tool.exposed_name, arguments=arguments)
        if called.status != HTTPStatus.UNAUTHORIZED:
            break
        time.sleep(PAUSE)
    return called


def means(secrets: Mapping[str, Secret], *, passwords: bool) -> Means:
    """Returns what the steps need from up here: allowed addresses, the sealing key, who makes first passwords, and repositories."""
    addresses = AddressPolicy(settings.HANSE.upstream_allow)
    servers = ServerMeans(addresses, keyring.sealing_key)
    repositories = RepositoryMeans(keyring.repository_key)
    return Means(secrets, (servers, NewPasswords(wanted=passwords), repository_sources(), repositories))


def wrap_first_api(actor: Principal, row: Onboarding, said: Mapping[str, Any]) -> Server:
    """Returns the team's first server as a draft, made of the document of an HTTP API, with a look at it on its way."""
    authority.require_carrier(actor, row, "bring the first server")
    team, name = _team_of(row), str(said["name"]).strip()
    with transaction.atomic():
        server = wrap_api(
            actor=actor,
            owner=team,
            slug=slug_from(name),
            name=name,
            url=str(said.get("url") or "").strip(),
            document=said["document"],
            addresses=AddressPolicy(settings.HANSE.upstream_allow),
            later=True,
        )
        onboarding.save_answers(
            actor=actor, onboarding=row, key="server", values={"name": name, "slug": server.slug, "url": server.url}
        )
        transaction.on_commit(lambda: probe_server.delay(server.pk))
    return server


def bring_files(actor: Principal, row: Onboarding, entries: Iterable[Entry]) -> Import:
    """Returns the reading of files that were brought while a team comes on board."""
    authority.require_carrier(actor, row, "bring documents")
    level = str(onboarding.held(row, "documents").values.get("sensitivity") or "internal")
    with transaction.atomic():
        source = pages_of(actor, _team_of(row), level)
        reading = begin_import(actor=actor, source=source, entries=entries)
        wake(reading)
    return reading


def _team_of(row: Onboarding) -> Tenant:
    if row.owner is None:
        raise Conflict("The team does not stand yet.")
    return row.owner


def _admits(row: Delegation, tool: Tool) -> bool:
    return row.effect_ceiling >= tool.effect and row.sensitivity_ceiling >= tool.sensitivity


def _fields(actor: Principal, row: Onboarding) -> list[Field]:
    agents = [(agent.slug, agent.name) for agent in tenants.agents(actor).filter(home=row.owner, status="active")]
    tools = [(tool.exposed_name, f"{tool.name} ({tool.server.name})") for tool in tools_offered(actor, row)]
    first = tools[0][0] if tools else ""
    return [
        Field(
            name="agent",
            label="Agent",
            kind="choice",
            required=True,
            choices=agents,
            initial=agents[0][0] if agents else "",
        ),
        Field(name="tool", label="Tool", kind="choice", required=True, choices=tools, initial=first),
        Field(
            name="arguments",
            label="Arguments",
            kind="long",
            required=True,
            initial="{}",
            help="A JSON object, as the tool asks.",
        ),
    ]


def _reads(actor: Principal, row: Onboarding) -> Reads:
    assert row.owner is not None  # noqa: S101 - the frame asks for the first step before any other
    return {} if row.first_call_at is not None else {"calls": audit.first_calls(row.owner.pk)}


def _state(actor: Principal, row: Onboarding, found: Found) -> State:
    if row.first_call_at is not None:
        return State("done", "It was made and stands in the log.")
    calls = audit.rows_of(found["calls"])
    return State("done", f"{calls[0].object}, in the log.") if calls else State("open")


def _plan(actor: Principal, row: Onboarding, values: Values) -> Iterator[Line]:
    assert row.owner is not None  # noqa: S101 - the frame asks for the first step before any other
    agent, tool = chosen(actor, row, values)
    if not actor.access.has_role(row.owner.pk, Role.MEMBER, Role.TEAM_LEAD):
        said = f"Only a member or lead of {row.owner.name} delegates, and so makes the call."
        yield Line(mark="fault", kind="delegation", text=said)
    if agent is None:
        yield Line(mark="fault", kind="agent", field="agent", text="The team has no active agent yet.")
    if tool is None:
        yield Line(mark="fault", kind="tool", field="tool", text="No active server in reach has an approved tool yet.")
    if arguments_of(values) is None:
        yield Line(mark="fault", kind="call", field="arguments", text="The arguments are a JSON object.")
    if agent is not None and tool is not None:
        yield from _plan_call(actor, agent, tool)


def _plan_call(actor: Principal, agent: Agent, tool: Tool) -> Iterator[Line]:
    known = delegation_for(actor, agent, tool)
    ceilings = f"up to {EFFECTS[tool.effect]}, {SENSITIVITIES[tool.sensitivity]}"
    if known:
        yield Line(mark="there", kind="delegation", text=f"to {agent.name}: {', '.join(known.tool_groups)}")
    else:
        yield Line(
            mark="make",
            kind="delegation",
            text=f"to {agent.name}, for a day: {tool.server.slug} and {CONTEXT}, {ceilings}",
        )
    yield Line(mark="make", kind="call", text=f"{tool.exposed_name}, as {agent.name} acting for you, on the record")


def _act(actor: Principal, row: Onboarding, values: Values, means: Means) -> Outcome:
    agent, tool = chosen(actor, row, values)
    if agent is None or tool is None:
        raise Conflict("Agent and tool are there no longer. Look again.")
    if delegation_for(actor, agent, tool) is None:
        delegate(
            actor=actor,
            agent=agent,
            team=agent.home,
            tool_groups=[tool.server.slug, CONTEXT],
            not_after=clock.now() + HOLDS,
            effect_ceiling=Effect(tool.effect),
            sensitivity_ceiling=Sensitivity(tool.sensitivity),
            purpose="First governed call",
        )
    return Outcome(f"{agent.name} may call {tool.name} for you.")


onboarding.register(
    Step(
        key="call",
        needs="An agent of the team, an approved tool, and you as a member of the team.",
        fields=_fields,
        reads=_reads,
        state=_state,
        plan=_plan,
        act=_act,
        button="Make the call",
    )
)
