"""Home: my teams, the health of what I see, and what waits for me."""

from datetime import timedelta
from itertools import groupby

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
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.rules import Tier

SHOWN = 8
DAY = timedelta(days=1)


@screen("GET")
def home(request: HttpRequest) -> HttpResponse:
    """Shows what a person looks at first."""
    principal = principal_of(request)
    scopes = principal.access.visible
    lately = audit.calls_visible(scopes, limit=SHOWN)
    waiting = list(registry.tools_waiting(principal).order_by("server__slug", "name")[:200])
    mine = list(tenants.teams_of(principal))
    overview = [] if mine or not principal.access.is_platform_admin else _domains(principal)
    context = {
        "section": "home",
        "teams": mine,
        "domains": overview[:SHOWN],
        "domain_total": len(overview),
        "roles": len(principal.access.roles),
        "servers": registry.server_counts(principal),
        "agents": tenants.agents(principal).filter(status="active").count(),
        "calls": audit.call_totals(scopes, clock.now() - DAY),
        "lately": lately,
        "labels": verbs.LABELS,
        "people": tenants.names_of_people({str(row.person) for row in lately if row.person}),
        "names": tenants.names_of_agents({str(row.agent) for row in lately if row.agent}),
        "waiting": _by_server(waiting)[:SHOWN],
        "failing": list(registry.failing_servers(principal)[:SHOWN]),
        "versions": list(library.versions_waiting(principal)[:SHOWN]),
        "requests": list(fork_queries.requests_waiting(principal)[:SHOWN]),
        "raises": list(pattern_requests_waiting(principal)[:SHOWN]),
        "facts": list(memories_to_review(principal)[:SHOWN]),
        "behind": list(fork_queries.forks_behind(principal)[:SHOWN]),
        "expiring": list(tenants.expiring_delegations(principal)[:SHOWN]),
    }
    return render(request, "pages/home/page.html", context)


def _domains(principal: Principal) -> list[Tenant]:
    """Returns the domains with their teams, for who looks after all of them and is in none."""
    nodes = sorted(tenants.tenant_tree(principal), key=lambda node: node.slug)
    return [node for node in nodes if node.tier == Tier.DOMAIN]


def _by_server(tools: list[Tool]) -> list[dict[str, object]]:
    """One line per server: how many of its tools are new and how many changed."""
    lines = []
    for server, found in groupby(tools, key=lambda tool: tool.server):
        states = [tool.state for tool in found]
        lines.append({"server": server, "new": states.count("new"), "changed": states.count("changed")})
    return lines
