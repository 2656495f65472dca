"""Home: my teams, the health of what I see, and what waits for me."""

from datetime import timedelta
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit import queries as audit
from audit import verbs
from kernel import clock
from portal.pages.screens import principal_of, screen
from registry import queries as registry
from registry.models import Tool
from tenants import queries as tenants

SHOWN = 8
DAY = timedelta(days=1)


@screen("GET")
def home(request: HttpRequest) -> HttpResponse:
    """Shows what a person looks at first."""
    principal = principal_of(request)
    scopes = principal.access.visible
    lately = audit.calls_visible(scopes, limit=SHOWN)
    waiting = list(registry.tools_waiting(principal).order_by("server__slug", "name")[:200])
    context = {
        "section": "home",
        "teams": tenants.teams_of(principal),
        "servers": registry.server_counts(principal),
        "agents": tenants.agents(principal).filter(status="active").count(),
        "calls": audit.call_totals(scopes, clock.now() - DAY),
        "lately": lately,
        "labels": verbs.LABELS,
        "people": tenants.names_of_people({str(row.person) for row in lately if row.person}),
        "names": tenants.names_of_agents({str(row.agent) for row in lately if row.agent}),
        "waiting": _by_server(waiting)[:SHOWN],
        "failing": list(registry.failing_servers(principal)[:SHOWN]),
        "expiring": list(tenants.expiring_delegations(principal)[:SHOWN]),
    }
    return render(request, "pages/home/page.html", context)


def _by_server(tools: list[Tool]) -> list[dict[str, object]]:
    """One line per server: how many of its tools are new and how many changed."""
    lines = []
    for server, found in groupby(tools, key=lambda tool: tool.server):
        states = [tool.state for tool in found]
        lines.append({"server": server, "new": states.count("new"), "changed": states.count("changed")})
    return lines
