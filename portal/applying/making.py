"""Makes what entries say, through the services, and tells what it changed. Doing it twice changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from kernel.errors import DomainError, Invalid, NotFound
from portal.applying.comparing import Changes, differing, named
from portal.applying.files import Entry, Fault
from portal.applying.sources import make_source
from registry import queries as registry
from registry import services as servers
from registry import surfaces
from registry.addresses import AddressPolicy
from registry.models import Server, Tool
from tenants import queries as tenants
from tenants import services
from tenants.identity import agents, sign_in_groups
from tenants.models import Agent, Tenant
from tenants.principals import SYSTEM
from tenants.rules import Effect, Origin, Profile, Role, Sensitivity, Tier
from tenants.scope import ALL, tenant_scope

REASON: Final = "Said so by a file."


@dataclass(slots=True)
class Report:
    """What was changed, in order, and what could not be."""

    changes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def apply_entries(entries: Sequence[Entry], *, keep: bool) -> Report:
    """Returns what was changed. All of it or, with any fault, nothing; without `keep` it is made and taken back.

    So a plan says just what applying would do, because it is the same act.
    """
    report = Report()
    with transaction.atomic(), tenant_scope(ALL):
        for entry in entries:
            _try(entry, report)
        if report.faults or not keep:
            transaction.set_rollback(True)
    return report


def _try(entry: Entry, report: Report) -> None:
    try:
        with transaction.atomic():
            report.changes += list(_MAKERS[entry.kind](entry))
    except Invalid as error:
        sentences = [(name, text) for name, texts in error.errors.items() for text in texts]
        report.faults += [entry.fault(text, name) for name, text in sentences] or [entry.fault(error.message)]
    except DomainError as error:
        report.faults.append(entry.fault(error.message))


def _tenant(entry: Entry) -> Changes:
    said = entry.values
    try:
        node = tenants.tenant_by_slug(SYSTEM, said["slug"])
    except NotFound:
        node = _new_tenant(said)
        yield f"+ {node.tier} {node.slug}"
    if node.tier != said["tier"]:
        raise Invalid("The tier never changes.", errors={"tier": [f"It is a {node.tier}."]})
    wanted = {name: said.get(name, getattr(node, name)) for name in ("name", "summary", "region")}
    if differences := list(differing(node, wanted)):
        services.change_tenant(actor=SYSTEM, tenant=node, **wanted)
        yield from (f"~ {node.tier} {node.slug}: {one}" for one in differences)
    yield from _domains(node, said)
    yield from _sign_in_groups(node, said)


def _new_tenant(said: Mapping[str, Any]) -> Tenant:
    texts = {name: said.get(name, "") for name in ("region", "summary", "concern")}
    origin = said.get("origin", Origin.INTERNAL)
    return services.create_tenant(
        actor=SYSTEM, tier=Tier(said["tier"]), slug=said["slug"], name=said["name"], origin=origin, **texts
    )


def _domains(node: Tenant, said: Mapping[str, Any]) -> Changes:
    """Only a file that names the domains says which they are."""
    if "domains" not in said:
        return
    present = {domain.slug: domain for domain in tenants.domains_of(SYSTEM, node)}
    for slug in said["domains"]:
        if slug not in present:
            services.join_domain(actor=SYSTEM, team=node, domain=named("domains", tenants.tenant_by_slug, slug))
            yield f"+ {node.slug} in {slug}"
    for slug in sorted(present.keys() - set(said["domains"])):
        services.leave_domain(actor=SYSTEM, team=node, domain=present[slug])
        yield f"- {node.slug} in {slug}"


def _sign_in_groups(node: Tenant, said: Mapping[str, Any]) -> Changes:
    """Only a file that names groups from sign-in says which they are."""
    if "sign_in_groups" not in said:
        return
    present = {(rule.name, rule.role): rule for rule in tenants.sign_in_groups(SYSTEM, node)}
    wanted = {(str(name).strip(), role) for name, roles in said["sign_in_groups"].items() for role in roles}
    for name, role in sorted(wanted - present.keys()):
        sign_in_groups.add_sign_in_group(actor=SYSTEM, tenant=node, name=name, role=Role(role))
        yield f"+ {role} in {node.slug} for group {name}"
    for name, role in sorted(present.keys() - wanted):
        sign_in_groups.remove_sign_in_group(actor=SYSTEM, rule=present[name, role])
        yield f"- {role} in {node.slug} for group {name}"


def _person(entry: Entry) -> Changes:
    said = entry.values
    try:
        person = tenants.person_by_handle(SYSTEM, said["handle"])
    except NotFound:
        clearance = Sensitivity[said.get("clearance", "internal").upper()]
        person = services.add_person(
            actor=SYSTEM, email=said["email"], name=said["name"], handle=said["handle"], clearance=clearance
        )
        yield f"+ person {person.handle}"
    if person.email != said["email"].lower():
        raise Invalid("Somebody else has it.", errors={"handle": [f"It is {person.email}'s handle."]})
    for slug, roles in said.get("roles", {}).items():
        node = named("roles", tenants.tenant_by_slug, slug)
        held = {row.role for row in tenants.memberships(SYSTEM, node).filter(person=person, by_hand=True)}
        for role in roles:
            if role not in held:
                services.give_role(actor=SYSTEM, person=person, tenant=node, role=Role(role))
                yield f"+ {role} in {slug} for {person.handle}"
        for role in sorted(held - set(roles)):
            services.take_role(actor=SYSTEM, person=person, tenant=node, role=Role(role))
            yield f"- {role} in {slug} for {person.handle}"


def _agent(entry: Entry) -> Changes:
    said = entry.values
    home = named("home", tenants.tenant_by_slug, said["home"])
    sponsor = named("sponsor", tenants.person_by_handle, said["sponsor"])
    try:
        agent = tenants.agent_by_slug(SYSTEM, said["slug"])
    except NotFound:
        agent = agents.register_agent(
            actor=SYSTEM, slug=said["slug"], name=said["name"], home=home, sponsor=sponsor, **_kind_of_agent(said)
        )
        yield f"+ agent {agent.slug}"
    if agent.home_id != home.pk or agent.sponsor_id != sponsor.pk:
        raise Invalid("Home and sponsor stay.", errors={"home": [f"{agent.slug} lives in {agent.home.slug}."]})
    wanted = {"name": said["name"], **{key: said[key] for key in ("profile", "risk", "purpose") if key in said}}
    if differences := list(differing(agent, wanted)):
        merged = {key: wanted.get(key, getattr(agent, key)) for key in ("name", "profile", "risk", "purpose")}
        agents.change_agent(actor=SYSTEM, agent=agent, **merged)
        yield from (f"~ agent {agent.slug}: {one}" for one in differences)
    if said.get("status", agent.status) != agent.status:
        _set_status(agent, said["status"])
        yield f"~ agent {agent.slug}: {said['status']}"


def _set_status(agent: Agent, status: str) -> None:
    if status == "suspended":
        agents.suspend_agent(actor=SYSTEM, agent=agent, reason=REASON)
    else:
        agents.resume_agent(actor=SYSTEM, agent=agent)


def _kind_of_agent(said: Mapping[str, Any]) -> dict[str, Any]:
    profile = Profile(said.get("profile", Profile.READER))
    return {"profile": profile, "risk": said.get("risk", 1), "purpose": said.get("purpose", "")}


def _server(entry: Entry) -> Changes:
    said = entry.values
    addresses = AddressPolicy(settings.HANSE.upstream_allow)
    owner = named("owner", tenants.tenant_by_slug, said["owner"])
    target = {"url": said.get("url", ""), "command": said.get("command", [])}
    told = {"name": said["name"], **({"summary": said["summary"]} if "summary" in said else {})}
    try:
        server = registry.server_by_slug(SYSTEM, said["slug"])
    except NotFound:
        server = servers.register_server(
            actor=SYSTEM, owner=owner, slug=said["slug"], addresses=addresses, **told, **target
        )
        yield f"+ server {server.slug}"
    if server.owner_id != owner.pk:
        raise Invalid("The owner stays.", errors={"owner": [f"{server.slug} is of {server.owner.slug}."]})
    if differences := list(differing(server, {**told, **target})):
        server = servers.change_server(actor=SYSTEM, server=server, addresses=addresses, **told, **target)
        yield from (f"~ server {server.slug}: {one}" for one in differences)
    yield from _approvals(server, said.get("tools", {}))
    yield from _status(server, said)


def _approvals(server: Server, wanted: Mapping[str, Mapping[str, str]]) -> Changes:
    shown = {tool.name: tool for tool in registry.tools(SYSTEM).filter(server=server)}
    for name, row in wanted.items():
        tool = shown.get(name)
        effect, sensitivity = Effect[row["effect"].upper()], Sensitivity[row["sensitivity"].upper()]
        if tool is None:
            raise Invalid("It shows no such tool.", errors={"tools": [f"“{name}” was not seen by a probe."]})
        if tool.state == "approved" and tool.pin == row["pin"]:
            if (tool.effect, tool.sensitivity) != (effect, sensitivity):
                surfaces.classify_tool(actor=SYSTEM, tool=tool, effect=effect, sensitivity=sensitivity)
                yield f"~ tool {tool.exposed_name}: {row['effect']}, {row['sensitivity']}"
        else:
            _approve(tool, row["pin"], effect, sensitivity)
            yield f"+ approval of {tool.exposed_name}"


def _approve(tool: Tool, pin: str, effect: Effect, sensitivity: Sensitivity) -> None:
    try:
        surfaces.approve_tool(actor=SYSTEM, tool=tool, seen_pin=pin, effect=effect, sensitivity=sensitivity)
    except DomainError as error:
        raise Invalid("It cannot be approved.", errors={"tools": [f"{tool.name}: {error.message}"]}) from error


def _status(server: Server, said: Mapping[str, Any]) -> Changes:
    wanted, reason = said.get("status", server.status), said.get("reason", REASON)
    if wanted == server.status:
        return
    acts: dict[str, Callable[[], Server]] = {
        "active": lambda: servers.activate_server(actor=SYSTEM, server=server),
        "quarantined": lambda: servers.quarantine_server(actor=SYSTEM, server=server, reason=reason),
        "retired": lambda: servers.retire_server(actor=SYSTEM, server=server, reason=reason),
    }
    if wanted not in acts:
        raise Invalid(
            "No way back.", errors={"status": [f"It is {server.status}; a draft is what a server begins as."]}
        )
    acts[wanted]()
    yield f"~ server {server.slug}: {wanted}"


def _group(entry: Entry) -> Changes:
    said = entry.values
    owner = named("owner", tenants.tenant_by_slug, said["owner"])
    rows = list(registry.tools(SYSTEM).filter(exposed_name__in=said["tools"]))
    if missing := sorted(set(said["tools"]) - {tool.exposed_name for tool in rows}):
        raise Invalid("Some tools are not there.", errors={"tools": [f"There is no tool {', '.join(missing)}."]})
    try:
        group = registry.group_by_slug(SYSTEM, said["slug"])
    except NotFound:
        servers.create_group(actor=SYSTEM, owner=owner, slug=said["slug"], name=said["name"], tools=rows)
        yield f"+ group {said['slug']}"
        return
    if group.owner_id != owner.pk:
        raise Invalid("The owner stays.", errors={"owner": [f"{group.slug} is of {group.owner.slug}."]})
    if {tool.pk for tool in group.tools.all()} != {tool.pk for tool in rows}:
        servers.change_group(actor=SYSTEM, group=group, tools=rows)
        yield f"~ group {group.slug}: {len(rows)} tools"


_MAKERS: Final[Mapping[str, Callable[[Entry], Changes]]] = {
    "tenants": _tenant,
    "people": _person,
    "agents": _agent,
    "servers": _server,
    "groups": _group,
    "sources": make_source,
}
