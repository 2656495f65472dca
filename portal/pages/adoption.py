"""What a team takes of the standards and what it gave other teams, in figures. Nothing is forced and nobody is ranked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit import queries as audit
from blueprints.queries import adoption, forks
from kernel import clock
from kernel.errors import NotFound
from portal.pages import trails
from portal.pages.screens import principal_of, screen
from registry import queries as registry
from registry.models import Server
from tenants import queries as tenants
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.rules import Tier

DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Used:
    """A server, and how many calls it got."""

    server: Server
    calls: int


@screen("GET")
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """Shows what one team takes and gives."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    if node.tier != Tier.TEAM:
        raise NotFound("Only a team takes what others publish.")
    taken, given = adoption.taken_by(principal, node), adoption.given_by(principal, node)
    used, served = _used(principal, node), _served(principal, node)
    context = {
        "section": "teams",
        "node": node,
        "taken": taken,
        "ways": {way: sum(one.way == way for one in taken) for way in ("as is", "configured", "forked")},
        "layers": adoption.checks_in_force(principal, node),
        "used": used,
        "served": served,
        "given": list(given[:50]),
        "asked": forks.requests(principal).filter(team_slug=node.slug).count(),
        "days": DAYS,
        "trail": trails.under(node, *trails.plain(("Adoption", ""))),
    }
    return render(request, "pages/teams/adoption.html", context)


def _used(principal: Principal, node: Tenant) -> list[Used]:
    """Servers of others that the team's agents called, the most called first."""
    counts = audit.calls_by_server({node.pk}, _since())
    return _ranked(registry.servers(principal).exclude(owner=node).filter(slug__in=list(counts)), counts)


def _served(principal: Principal, node: Tenant) -> list[Used]:
    """The team's own servers with the calls of other teams, as far as the reader sees those."""
    visible = {row.pk for row in tenants.tenants(principal)} - {node.pk}
    return _ranked(registry.servers(principal).filter(owner=node), audit.calls_by_server(visible, _since()), idle=True)


def _ranked(servers: Iterable[Server], counts: dict[str, int], *, idle: bool = False) -> list[Used]:
    found = [Used(server, counts.get(server.slug, 0)) for server in servers]
    return sorted((one for one in found if one.calls or idle), key=lambda one: -one.calls)


def _since() -> datetime:
    return clock.now() - timedelta(days=DAYS)
