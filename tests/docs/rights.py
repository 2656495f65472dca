"""What each role may do, asked of the code: every act that a service checks, answered by the very check."""

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from kernel.errors import Forbidden
from tenants import authority
from tenants.models import Tenant
from tenants.principals import Access, Principal
from tenants.rules import ROLES_OF_TIER, Role, Tier

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES: Final = (
    "tenants/services.py",
    "tenants/onboarding.py",
    "tenants/identity",
    "registry/services.py",
    "registry/surfaces.py",
    "registry/context/services",
    "registry/wrapping.py",
    "blueprints/services",
)
COLUMNS: Final = (Role.REVIEWER, Role.MEMBER, Role.TEAM_LEAD, Role.DOMAIN_STEWARD, Role.PLATFORM_ADMIN)
TEAM_ONLY: Final = {"home", "agent.home", "agent", "team", "delegation", "fork.owner", "repository.owner", "onboarding"}
TIERS: Final = {"domain": (Tier.DOMAIN,), **dict.fromkeys(TEAM_ONLY, (Tier.TEAM,))}
EVERY_TIER: Final = tuple(Tier)

Act = tuple[str, str, str]
"""The words of the act, the check, and what the check looks at."""


def acts() -> list[Act]:
    """Returns every act that a service checks, in the order of the code."""
    paths = [ROOT / place for place in SERVICES]
    files = [file for path in paths for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
    return [act for file in files for act in _acts_of(file)]


def _acts_of(path: Path) -> Iterator[Act]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        check = ast.unparse(node.func).removeprefix("authority.")
        words = node.args[-1] if node.args else None
        if not (check.startswith("require_") or check == "_require_owner") or not isinstance(words, ast.Constant):
            continue
        looked_at = ast.unparse(node.args[1]) if len(node.args) > 2 else ""
        if check == "_require_owner":  # the transport decides: see `registry.services`
            yield f"{words.value} over HTTP", "require_contributor", looked_at
            yield f"{words.value} that run on this host", "require_platform_admin", ""
        elif (isinstance(words.value, str) and " " in words.value) or check in {"require_worker", "require_ender"}:
            yield str(words.value), check, looked_at


def may(act: Act, role: Role) -> bool:
    """Tells whether who holds just this role, in the very tenant, passes the check of an act."""
    return any(_passes(act, role, tier) for tier in TIERS.get(act[2], EVERY_TIER) if _fits(role, tier))


def _fits(role: Role, tier: Tier) -> bool:
    return role in ROLES_OF_TIER[tier] or role == Role.PLATFORM_ADMIN


def _passes(act: Act, role: Role, tier: Tier) -> bool:
    words, check, looked_at = act
    tenant = Tenant(pk=1, tier=tier, slug="here", name="Here")
    admin = role == Role.PLATFORM_ADMIN
    roles = {} if admin else {1: frozenset({role})}
    actor = Principal(SimpleNamespace(pk=7), Access(roles, None if admin else frozenset({1})))  # type: ignore[arg-type]
    agent = SimpleNamespace(sponsor_id=8, home=tenant)
    begun = SimpleNamespace(owner=tenant, begun_by_id=9, begun_by=None, lead_id=None)
    subjects: dict[str, object] = {
        "agent": agent,
        "onboarding": begun,
        "delegation": SimpleNamespace(person_id=9, agent=agent, team=tenant),
    }
    given = [subjects.get(looked_at, tenant)] if looked_at else []
    try:
        getattr(authority, check)(actor, *given, words)
    except Forbidden:
        return False
    return True


def table() -> str:
    """Returns the table of `docs/reference/roles.md`."""
    heads = ["act", *(role.value.replace("_", " ") for role in COLUMNS)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for act in dict.fromkeys(acts()):
        marks = ["yes" if may(act, role) else "" for role in COLUMNS]
        lines.append("| " + " | ".join([act[0], *marks]) + " |")
    return "\n".join(lines)
