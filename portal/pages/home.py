"""Home: my teams, the health of what I see, and what waits for me."""

from datetime import timedelta
from itertools import groupby
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit import queries as audit
from audit import verbs
from blueprints.queries import forks as fork_queries
from blueprints.queries import library
from blueprints.queries.repositories import pattern_requests_waiting
from kernel import clock
from portal.pages.screens import principal_of, screen
from registry import queries as registry
from registry.context.inbox import memories_to_review
from registry.models import Tool
from tenants import queries as tenants
from tenants.principals import Principal
from tenants.together import together, totals

SHOWN = 8
DAY = timedelta(days=1)


@screen("GET")
def home(request: HttpRequest) -> HttpResponse:
    """Shows what a person looks at first."""
    principal = principal_of(request)
    found = _found(principal)
    lately = audit.rows_of(found["lately"])
    people, names = tenants.names_behind({row.person for row in lately}, {row.agent for row in lately})
    overview = [] if found["teams"] else found["domains"]
    context = {
        **found,
        "section": "home",
        "domains": overview[:SHOWN],
        "domain_total": len(overview),
        "roles": len(principal.access.roles),
        "servers": registry.server_counts_of(found["servers"]),
        "agents": found["agents"][0]["n"],
        "calls": found["calls"][0],
        "lately": lately,
        "labels": verbs.LABELS,
        "people": people,
        "names": names,
        "waiting": _by_server(found["waiting"])[:SHOWN],
    }
    return render(request, "pages/home/page.html", context)


def _found(principal: Principal) -> dict[str, list[Any]]:
    """Returns all that the page shows, but for names in the log, by one query.

    The domains are for who looks after all of them and is in no team.
    """
    scopes, domains = principal.access.visible, tenants.domains_with_teams(principal)
    return together(
        teams=tenants.teams_of(principal),
        domains=domains if principal.access.is_platform_admin else domains.none(),
        servers=registry.servers_by_status(principal),
        agents=totals(tenants.agents(principal).filter(status="active"), n=Count("pk")),
        calls=totals(audit.calls_since(scopes, clock.now() - DAY), **audit.CALL_FIGURES),
        lately=audit.events_visible(scopes, limit=SHOWN),
        waiting=registry.tools_waiting(principal).order_by("server__slug", "name")[:200],
        failing=registry.failing_servers(principal)[:SHOWN],
        versions=library.versions_waiting(principal)[:SHOWN],
        requests=fork_queries.requests_waiting(principal)[:SHOWN],
        raises=pattern_requests_waiting(principal)[:SHOWN],
        facts=memories_to_review(principal)[:SHOWN],
        behind=fork_queries.forks_behind(principal)[:SHOWN],
        expiring=tenants.expiring_delegations(principal)[:SHOWN],
    )


def _by_server(tools: list[Tool]) -> list[dict[str, object]]:
    """One line per server: how many of its tools are new and how many changed."""
    lines = []
    for server, found in groupby(tools, key=lambda tool: tool.server):
        states = [tool.state for tool in found]
        lines.append({"server": server, "new": states.count("new"), "changed": states.count("changed")})
    return lines
