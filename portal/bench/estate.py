"""Who calls what in a bench: one team, person and agent, made through the same services that people use."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from django.conf import settings

from kernel import clock
from kernel.secrets import Secret
from portal.keyring import sealing_key, token_issuer
from registry.addresses import AddressPolicy
from registry.queries import tools
from registry.rules import claimed_effect
from registry.services import activate_server, register_server, set_credential
from registry.surfaces import Shown, approve_tool, take_in_probe
from tenants.identity.agents import register_agent
from tenants.identity.delegation import delegate
from tenants.identity.tokens import mint_token
from tenants.models import Agent, Tenant
from tenants.principals import SYSTEM, Principal, principal_of
from tenants.rules import Effect, Profile, Role, Sensitivity, Tier
from tenants.scope import ALL, tenant_scope
from tenants.services import add_person, create_tenant, give_role

TEAM: Final = "bench"
HEADER: Final = "X-Bench-Key"
READ, WRITE, CLEAR = "look", "change", "destroy"
_SCHEMA: Final = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


@dataclass(slots=True)
class Estate:
    """The team and its people. `credential` is what the upstream must see and nobody else may."""

    upstream_port: int
    credential: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    team: Tenant = field(init=False)
    lead: Principal = field(init=False)
    agent: Agent = field(init=False)


def make_estate(upstream_port: int) -> Estate:
    """Returns the team with its lead and agent; nothing is registered or delegated yet."""
    estate = Estate(upstream_port)
    with tenant_scope(ALL):
        create_tenant(actor=SYSTEM, tier=Tier.PLATFORM, slug="platform", name="Platform")
        estate.team = create_tenant(actor=SYSTEM, tier=Tier.TEAM, slug=TEAM, name="Bench")
        person = add_person(
            actor=SYSTEM,
            email="lead@bench.test",
            name="Lead",
            handle="lead",
            clearance=Sensitivity.CONFIDENTIAL,
            password=secrets.token_urlsafe(16),
        )
        give_role(actor=SYSTEM, person=person, tenant=estate.team, role=Role.TEAM_LEAD)
        estate.lead = principal_of(person)
        estate.agent = register_agent(
            actor=estate.lead, slug="bot", name="Bot", home=estate.team, sponsor=person, profile=Profile.OPERATOR
        )
    return estate


def add_server(estate: Estate, slug: str, definitions: Sequence[Mapping[str, object]]) -> None:
    """Registers a server at the upstream's address with a sealed credential, and approves all of its tools."""
    sealing = sealing_key()
    with tenant_scope(ALL):
        server = register_server(
            actor=estate.lead,
            owner=estate.team,
            slug=slug,
            name=slug,
            url=f"http://127.0.0.1:{estate.upstream_port}/{slug}",
            addresses=AddressPolicy([f"127.0.0.1:{estate.upstream_port}"]),
        )
        set_credential(
            actor=estate.lead,
            server=server,
            kind="header",
            header=HEADER,
            value=Secret(estate.credential.encode()),
            public_key=sealing.public,
            key_id=sealing.key_id,
        )
        take_in_probe(server=server, shown=Shown(ok=True, protocol="2026-07-28", tools=list(definitions)))
        for tool in tools(SYSTEM).filter(server=server):
            effect = claimed_effect((tool.seen or {}).get("annotations"))
            approve_tool(
                actor=estate.lead,
                tool=tool,
                seen_pin=tool.seen_pin,
                effect=effect,
                sensitivity=Sensitivity.INTERNAL,
            )
        activate_server(actor=estate.lead, server=server)


def three_tools() -> list[dict[str, object]]:
    """Returns one tool of each effect."""
    return [
        definition(READ, readOnlyHint=True),
        definition(WRITE, readOnlyHint=False, destructiveHint=False),
        definition(CLEAR, readOnlyHint=False, destructiveHint=True),
    ]


def definition(name: str, **annotations: bool) -> dict[str, object]:
    """Returns a tool as a server shows it."""
    return {
        "name": name,
        "title": name.title(),
        "description": f"Does {name} with the text that it is given and returns the text, as small tools do.",
        "inputSchema": _SCHEMA,
        "annotations": annotations,
    }


def token(estate: Estate, groups: Sequence[str], *, effect: Effect = Effect.WRITE) -> str:
    """Returns a bearer token of a new delegation to these tool groups, signed with Ed25519."""
    with tenant_scope(ALL):
        delegation = delegate(
            actor=estate.lead,
            agent=estate.agent,
            team=estate.team,
            tool_groups=groups,
            effect_ceiling=effect,
            sensitivity_ceiling=Sensitivity.CONFIDENTIAL,
            not_after=clock.now() + timedelta(hours=2),
        )
        issuer = replace(token_issuer(), gateway_url=settings.HANSE.gateway_url)
        return mint_token(actor=estate.lead, delegation=delegation, issuer=issuer, minutes=60)
