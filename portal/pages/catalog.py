"""The catalog: every MCP server one sees, with facets in the address."""

from datetime import UTC, datetime, timedelta

from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse

from audit import queries as audit
from kernel import clock
from portal.pages import lists
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import principal_of, screen, show
from registry import queries as registry
from registry.models import Server
from tenants import queries as tenants
from tenants.principals import Principal

DAY = timedelta(days=1)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
TIERS = (("platform", "Platform"), ("domain", "Domain"), ("team", "Team"))
HEALTH = (("failing", "Failing its probe"), ("waiting", "Tools wait"), ("unprobed", "Never probed"))
COLUMNS = (
    ("slug", lambda row: row.slug),
    ("name", lambda row: row.name),
    ("owner", lambda row: row.owner.slug),
    ("tier", lambda row: row.owner.tier),
    ("transport", lambda row: row.transport),
    ("status", lambda row: row.status),
    ("probe_ok", lambda row: row.probe_ok),
    ("probed_at", lambda row: row.probed_at),
    ("tools_changed_at", lambda row: row.tools_changed_at),
)


def _health(value: str) -> Q:
    if value == "failing":
        return Q(status=Server.Status.ACTIVE, probe_ok=False)
    return Q(probed_at=None) if value == "unprobed" else Q(pk__in=registry.ids_of_waiting_servers())


def _listing(principal: Principal) -> Listing:
    owners = [("mine", "My teams"), *((node.slug, node.name) for node in tenants.tenants(principal))]
    mine = Q(owner__in=list(principal.access.roles))
    facets = (
        Facet("tier", "Tier", TIERS, lambda value: Q(owner__tier=value)),
        Facet("owner", "Owner", owners, lambda value: mine if value == "mine" else Q(owner__slug=value)),
        Facet("status", "Status", Server.Status.choices, lambda value: Q(status=value)),
        Facet("transport", "Transport", Server.Transport.choices, lambda value: Q(transport=value)),
        Facet("health", "Health", HEALTH, _health),
    )
    sorts = (
        Sort("name", "Server", F("slug")),
        Sort("owner", "Owner", F("owner__slug")),
        Sort("status", "Status", F("status")),
        Sort("changed", "Surface changed", Coalesce(F("tools_changed_at"), Value(LONG_AGO)), newest_first=True),
    )
    return Listing(facets=facets, sorts=sorts, search=_search, columns=COLUMNS, name="servers")


def _search(words: str) -> Q:
    return Q(slug__icontains=words) | Q(name__icontains=words) | Q(summary__icontains=words)


@screen("GET")
def catalog(request: HttpRequest) -> HttpResponse:
    """Lists servers, or exports them."""
    principal = principal_of(request)
    rows, listing = registry.servers(principal), _listing(principal)
    if (file := lists.export(request, rows, listing)) is not None:
        return file
    context = {
        "section": "catalog",
        "page": lists.list_page(request, registry.with_tool_counts(rows), listing),
        "calls": audit.calls_by_server(principal.access.visible, clock.now() - DAY),
    }
    return show(request, "pages/catalog/page.html", context, part="results")
