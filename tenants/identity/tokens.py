"""Agent tokens: short-lived, for one audience, with the person as subject and the agent as actor.

A signed JWT (RFC 7519) in the shape of RFC 9068 with the `act` claim of RFC 8693: `sub` is who delegated, `act.sub`
is who acts, `aud` is the one resource it works at (RFC 8707), `dlg` the delegation that is checked live at each call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from joserfc import jwt
from joserfc.jwk import OKPKey

from audit.services import record
from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid
from kernel.ids import new_uid
from tenants import verbs
from tenants.models import Delegation
from tenants.principals import Principal

MAX_MINUTES: Final = 60
DEFAULT_MINUTES: Final = 15


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs: the public base URL, which is `iss`, and the private key (Ed25519). The gateway may be elsewhere."""

    base_url: str
    key: OKPKey = field(repr=False)
    gateway_url: str = ""

    def resource_of(self, team_slug: str) -> str:
        """Returns the canonical URI of a team's MCP resource, the only audience its tokens have."""
        return f"{self.gateway_url or self.base_url}/mcp/{team_slug}"


def require_own(actor: Principal, delegation: Delegation) -> None:
    """Raises unless it was the actor who delegated."""
    if actor.person is None or actor.person.pk != delegation.person_id:
        raise Forbidden(
            "Only the person who delegated has tokens minted for it.",
            missing=f"to be {delegation.person.handle}",
            given_by=delegation.person.name,
        )


def mint_token(
    *,
    actor: Principal,
    delegation: Delegation,
    issuer: Issuer,
    minutes: int = DEFAULT_MINUTES,
    tools: Sequence[str] = (),
) -> str:
    """Returns a bearer token for a live delegation. Only the person who delegated may have one minted.

    `tools` narrows it to these exposed tool names. The delegation is checked again at each call, so a token never
    outlives a revocation; minting is an event in the team's log, the token itself is written nowhere.
    """
    require_own(actor, delegation)
    if not 1 <= minutes <= MAX_MINUTES:
        raise Invalid("A token is short-lived.", errors={"minutes": [f"1 to {MAX_MINUTES}."]})
    present = clock.now()
    if (state := delegation.state_at(present)) != "live":
        raise Conflict(f"The delegation is {state}.", state=state)
    expires = min(present + timedelta(minutes=minutes), delegation.not_after)
    jti = str(new_uid())
    claims: dict[str, object] = {
        "iss": issuer.base_url,
        "sub": str(delegation.person.uid),
        "act": {"sub": str(delegation.agent.uid)},
        "aud": issuer.resource_of(delegation.team.slug),
        "dlg": str(delegation.uid),
        "jti": jti,
        "iat": int(present.timestamp()),
        "nbf": int(present.timestamp()),
        "exp": int(expires.timestamp()),
    }
    if tools:
        claims["tools"] = sorted(set(tools))
    record(
        scope=delegation.team_id,
        verb=verbs.TOKEN_MINTED,
        person=actor.uid,
        agent=delegation.agent.uid,
        object=f"delegation:{delegation.uid}",
        facts={"jti": jti, "exp": claims["exp"], "tools": list(tools)},
    )
    header = {"alg": "Ed25519", "typ": "at+jwt", "kid": issuer.key.kid}
    return jwt.encode(header, claims, issuer.key, algorithms=["Ed25519"])
