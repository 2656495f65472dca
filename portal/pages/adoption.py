"""What a team takes of the standards and what it gave other teams, in figures. Nothing is forced and nobody is ranked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count
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
from tenants.together import together, totals

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
    found = _found(principal, node)
    taken, calls = adoption.taken_from(found), dict(found["calls"])
    callable_ = registry.servers(principal).exclude(owner=node).filter(slug__in=list(calls))
    context = {
        "section": "teams",
        "node": node,
        "taken": taken,
        "ways": {way: sum(one.way == way for one in taken) for way in ("as is", "configured", "forked")},
        "layers": adoption.checks_of(found["layers"]),
        "used": _ranked(callable_, calls),
        "served": _ranked(found["servers"], dict(found["answered"]), idle=True),
        "given": found["given"],
        "asked": found["asked"][0]["n"],
        "days": DAYS,
        "trail": trails.under(node, *trails.plain(("Adoption", ""))),
    }
    return render(request, "pages/teams/adoption.html", context)


def _found(principal: Principal, node: Tenant) -> dict[str, list[Any]]:
    """Returns what the page counts, by one query.

    Of the team's own servers those calls are `answered` that other teams made, as far as the reader sees those.
    """
    since = clock.now() - timedelta(days=DAYS)
    return together(
        **adoption.taken_reads(principal, node),
        layers=adoption.layers_in_reach(principal, node),
        calls=audit.server_calls({node.pk}, since),
        servers=registry.servers(principal).filter(owner=node),
        answered=audit.server_calls(principal.access.visible, since, but=node.pk),
        given=adoption.given_by(principal, node)[:50],
        asked=totals(forks.requests(principal).filter(team_slug=node.slug), n=Count("pk")),
    )


def _ranked(servers: Iterable[Server], counts: dict[str, int], *, idle: bool = False) -> list[Used]:
    found = [Used(server, counts.get(server.slug, 0)) for server in servers]
    return sorted((one for one in found if one.calls or idle), key=lambda one: -one.calls)
