"""The three names of every governed call on the command line: team, person, agent."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandParser

from portal.keyring import token_issuer
from tenants.identity.tokens import mint_token
from tenants.principals import SYSTEM, principal_of
from tenants.queries import live_delegation
from tenants.scope import ALL, tenant_scope


def add_identity_arguments(parser: CommandParser) -> None:
    """Adds --team, --person and --agent, all required: a call without both identities is not made."""
    parser.add_argument("--team", required=True, help="slug of the team")
    parser.add_argument("--person", required=True, help="handle or address of who delegated")
    parser.add_argument("--agent", required=True, help="slug of the agent")
    parser.add_argument("--delegation", default="", help="uid of one of several between them (default: the widest)")


def mint_for(options: Mapping[str, Any], *, minutes: int = 15, tools: Sequence[str] = ()) -> str:
    """Returns a token for the live delegation between the three. Raises `NotFound` naming what is missing."""
    with tenant_scope(ALL):
        names = {name: options[name] for name in ("team", "person", "agent")}
        delegation = live_delegation(SYSTEM, **names, uid=options["delegation"])
        person = principal_of(delegation.person)
        return mint_token(actor=person, delegation=delegation, issuer=token_issuer(), minutes=minutes, tools=tools)
