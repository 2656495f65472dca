"""Loads the demo estate through the same services that people use, so that loading it tries them all."""

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from mcp import StdioServerParameters

from kernel import clock
from kernel.secrets import Secret
from portal.config import Config
from portal.demo import estate
from portal.demo.context import load_context
from portal.demo.ledger import ledger_server
from portal.demo.library import load_library, load_repositories
from portal.demo.pipeline import pipeline_server
from portal.demo.serving import HEADER
from portal.keyring import sealing_key
from portal.keys import write_atomically
from portal.ports import free_ports
from registry.addresses import AddressPolicy
from registry.looking import look
from registry.models import Server
from registry.queries import tools
from registry.rules import claimed_effect
from registry.services import activate_server, register_server, set_credential
from registry.surfaces import Shown, approve_tool, take_in_probe
from tenants.identity.agents import register_agent
from tenants.identity.delegation import delegate
from tenants.models import Agent, Person, Tenant
from tenants.principals import SYSTEM, Principal, principal_of
from tenants.rules import Role, Tier
from tenants.services import add_person, create_tenant, give_role, join_domain

PASSWORDS: Final = "demo-passwords.txt"


@dataclass
class Loaded:
    """What has been made so far, by slug."""

    config: Config
    password: str
    tenants: dict[str, Tenant] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)


def load_estate(config: Config) -> str:
    """Makes the whole estate and returns how to sign in. The caller gives the transaction and its scope."""
    loaded = Loaded(config, secrets.token_urlsafe(9))
    directory = prepare_applications(config)
    _make_tenants(loaded)
    _make_people(loaded)
    _make_servers(loaded, directory)
    _make_agents(loaded)
    load_context(loaded.tenants, loaded.people)
    load_library(loaded.tenants, loaded.people)
    load_repositories(directory / "repositories", loaded.tenants, loaded.people)
    _write_passwords(loaded)
    return _greeting(loaded)


def prepare_applications(config: Config) -> Path:
    """Returns the directory of the demo applications, with their keys, port and handbook made once."""
    directory = config.data / "demo"
    directory.mkdir(mode=0o700, exist_ok=True)
    if not (directory / "keys.json").exists():
        keys = {name: secrets.token_urlsafe(24) for name in ("pipeline", "ledger")}
        write_atomically(directory / "keys.json", json.dumps(keys).encode(), mode=0o600)
        write_atomically(directory / "port", str(free_ports()).encode(), mode=0o600)
    if shutil.which("git") and not (directory / "handbook").exists():
        _make_handbook(directory / "handbook")
    return directory


def _make_tenants(loaded: Loaded) -> None:
    made = loaded.tenants
    made["platform"] = create_tenant(
        actor=SYSTEM,
        tier=Tier.PLATFORM,
        slug="platform",
        name="Nordhafen Group",
        summary="An invented group of companies, to try Hanse on.",
        invented=True,
    )
    for domain in estate.DOMAINS:
        made[domain.slug] = create_tenant(
            actor=SYSTEM,
            tier=Tier.DOMAIN,
            slug=domain.slug,
            name=domain.name,
            concern=domain.concern,
            summary=domain.summary,
            invented=True,
        )
    for team in estate.TEAMS:
        made[team.slug] = create_tenant(
            actor=SYSTEM,
            tier=Tier.TEAM,
            slug=team.slug,
            name=team.name,
            origin=team.origin,
            region=team.region,
            summary=team.summary,
            invented=True,
        )
        for domain_slug in team.domains:
            join_domain(actor=SYSTEM, team=made[team.slug], domain=made[domain_slug])


def _make_people(loaded: Loaded) -> None:
    for plan in estate.PEOPLE:
        person = add_person(
            actor=SYSTEM,
            email=f"{plan.handle}@{estate.MAIL_DOMAIN}",
            name=plan.name,
            handle=plan.handle,
            clearance=plan.clearance,
            password=loaded.password,
        )
        loaded.people[plan.handle] = person
        for slug, role in plan.roles:
            give_role(actor=SYSTEM, person=person, tenant=loaded.tenants[slug], role=Role(role))


def _make_servers(loaded: Loaded, directory: Path) -> None:
    port = int((directory / "port").read_text(encoding="ascii"))
    keys: dict[str, str] = json.loads((directory / "keys.json").read_text(encoding="utf-8"))
    sealing = sealing_key()
    for plan in estate.SERVERS:
        if plan.slug == "handbook" and not (directory / "handbook").exists():
            continue  # no git on this machine, so nothing to serve; the greeting says so
        owner, keeper = loaded.tenants[plan.owner], principal_of(loaded.people[plan.keeper])
        command = [word.format(handbook=directory / "handbook") for word in plan.command]
        server = register_server(
            actor=keeper,
            owner=owner,
            slug=plan.slug,
            name=plan.name,
            summary=plan.summary,
            url="" if command else f"http://127.0.0.1:{port}/{plan.slug}/mcp",
            command=command,
            addresses=AddressPolicy([f"127.0.0.1:{port}"]),
        )
        if plan.slug in keys:
            set_credential(
                actor=keeper,
                server=server,
                kind="header",
                header=HEADER,
                value=Secret(keys[plan.slug].encode()),
                public_key=sealing.public,
                key_id=sealing.key_id,
            )
        shown = asyncio.run(_look_at(server, directory))
        take_in_probe(server=server, shown=shown)
        _approve(server, plan, keeper)
        activate_server(actor=keeper, server=server)


async def _look_at(server: Server, directory: Path) -> Shown:
    """Looks at the server before anything runs: ours in this process, the public ones as a child of it."""
    target: Any
    if server.slug == "pipeline":
        target = pipeline_server(directory / "pipeline.sqlite")
    elif server.slug == "ledger":
        target = ledger_server(directory / "ledger.sqlite")
    else:
        place = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        target = StdioServerParameters(command=server.command[0], args=server.command[1:], env={"PATH": place})
    return await look(target)


def _approve(server: Server, plan: estate.ServerPlan, keeper: Principal) -> None:
    for tool in tools(SYSTEM).filter(server=server):
        if tool.seen is not None and not tool.faults and tool.name not in plan.left_open:
            effect = claimed_effect(tool.seen.get("annotations"))
            approve_tool(actor=keeper, tool=tool, seen_pin=tool.seen_pin, effect=effect, sensitivity=plan.sensitivity)


def _make_agents(loaded: Loaded) -> None:
    for plan in estate.AGENTS:
        home = loaded.tenants[plan.home]
        keeper = next(person for person, role in _keepers(plan.home) if role == Role.TEAM_LEAD)
        loaded.agents[plan.slug] = register_agent(
            actor=principal_of(loaded.people[keeper]),
            slug=plan.slug,
            name=plan.name,
            home=home,
            sponsor=loaded.people[plan.sponsor],
            profile=plan.profile,
            risk=plan.risk,
            purpose=plan.purpose,
        )
    for grant in estate.DELEGATIONS:
        agent = loaded.agents[grant.agent]
        delegate(
            actor=principal_of(loaded.people[grant.person]),
            agent=agent,
            team=agent.home,
            tool_groups=(*grant.groups, "context"),
            effect_ceiling=grant.effect,
            sensitivity_ceiling=grant.sensitivity,
            not_after=clock.now() + timedelta(days=grant.days),
            purpose=grant.purpose,
        )


def _keepers(team: str) -> Iterator[tuple[str, Role]]:
    for plan in estate.PEOPLE:
        yield from ((plan.handle, role) for slug, role in plan.roles if slug == team)


def _write_passwords(loaded: Loaded) -> None:
    lines = [f"All accounts of the demo estate have the password {loaded.password}", ""]
    for plan in estate.PEOPLE:
        roles = ", ".join(f"{role.replace('_', ' ')} of {slug}" for slug, role in plan.roles)
        lines.append(f"{plan.handle}@{estate.MAIL_DOMAIN:<20} {plan.name}: {roles}")
    write_atomically(loaded.config.data / PASSWORDS, ("\n".join(lines) + "\n").encode(), mode=0o600)


def _greeting(loaded: Loaded) -> str:
    lines = [
        f"demo estate loaded (Nordhafen, invented). Sign in with the password {loaded.password} as",
        f"  mara@{estate.MAIL_DOMAIN}   platform admin",
        f"  jonas@{estate.MAIL_DOMAIN}  lead of the team checkout",
        f"everybody else: {loaded.config.data / PASSWORDS}",
    ]
    if not shutil.which("git"):
        lines.append("no git on this machine: the handbook server was left out")
    return "\n".join(lines)


def _make_handbook(directory: Path) -> None:
    directory.mkdir(mode=0o755)
    for name, text in estate.HANDBOOK.items():
        (directory / name).write_text(text, encoding="utf-8")
    author = ["-c", "user.name=Nordhafen", "-c", f"user.email=handbook@{estate.MAIL_DOMAIN}"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*author, "commit", "-q", "-m", "Write the handbook"]):
        subprocess.run(["git", "-C", str(directory), *words], check=True, capture_output=True)
