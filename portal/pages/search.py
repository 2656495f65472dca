"""The palette's search: everything one sees by name, and where one can go. A fragment of options."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from blueprints.queries import forks as fork_queries
from blueprints.queries import library, repositories
from portal.pages.blueprints import url_of
from portal.pages.screens import principal_of, screen
from portal.parts.navigation import PLACES
from registry import queries as registry
from registry.context import clearance
from tenants import queries as tenants
from tenants.together import together

EACH = 5


@dataclass(frozen=True, slots=True)
class Hit:
    """One option of the palette."""

    name: str
    hint: str
    symbol: str
    url: str


@dataclass(frozen=True, slots=True)
class Group:
    """Options of one kind."""

    title: str
    hits: list[Hit]


ACTIONS = (
    ("Register a server", "catalog", "server_new"),
    ("Propose a blueprint", "blueprint", "blueprint_new"),
    ("Forks", "fork", "forks"),
    ("Review", "blueprint", "reviews"),
    ("Delegate to an agent", "delegation", "delegation_new"),
    ("Register an agent", "agent", "agent_new"),
    ("What agents learned", "context", "inbox"),
    ("Register a repository", "repository", "repository_new"),
    ("Delegations", "delegation", "delegations"),
    ("People", "person", "people"),
    ("API keys", "key", "keys"),
    ("Style guide", "info", "styleguide"),
)


@screen("GET")
def search(request: HttpRequest) -> HttpResponse:
    """Returns what fits the words, by kind; without words, the places and actions."""
    words = request.GET.get("q", "").strip()[:100]
    groups = [Group("Go to", _places(words))]
    if words:
        groups = [*_found(request, words), *groups]
    context = {"groups": [group for group in groups if group.hits], "words": words}
    return render(request, "pages/search/options.html", context)


def _places(words: str) -> list[Hit]:
    hits = [Hit(place.name, f"g {place.key}", place.symbol, place.url) for place in PLACES]
    hits += [Hit(name, "", symbol, reverse(route)) for name, symbol, route in ACTIONS]
    return [hit for hit in hits if words.lower() in hit.name.lower()]


def _found(request: HttpRequest, words: str) -> list[Group]:
    """Returns what fits of every kind, all of it by one query."""
    principal = principal_of(request)
    found = together(
        servers=_named(registry.servers(principal), words, "slug", "name"),
        tools=_named(registry.tools(principal), words, "name", "title"),
        blueprints=_named(library.blueprints(principal), words, "name", "title"),
        forks=_named(fork_queries.forks(principal), words, "name", "title"),
        nodes=_named(tenants.tenants(principal), words, "slug", "name"),
        documents=_named(clearance.readable_documents(principal), words, "title", "path"),
        repositories=_named(repositories.repositories(principal), words, "slug", "name"),
        agents=_named(tenants.agents(principal), words, "slug", "name"),
        people=_named(tenants.people(principal), words, "handle", "name", "email"),
    )
    return [Group(title, [make(row) for row in found[kind]]) for kind, title, make in KINDS]


KINDS: Final[tuple[tuple[str, str, Callable[[Any], Hit]], ...]] = (
    ("servers", "Servers", lambda row: Hit(row.name, row.owner.name, "catalog", _url("server", row.slug))),
    ("tools", "Tools", lambda row: Hit(row.name, row.server.name, "tool", _tool_url(row))),
    ("blueprints", "Blueprints", lambda row: Hit(row.title, row.owner.name, "blueprint", url_of(row))),
    ("forks", "Forks", lambda row: Hit(row.title, row.owner.name, "fork", _url("fork", row.owner.slug, row.name))),
    ("nodes", "Teams and domains", lambda row: Hit(row.name, row.tier, row.tier, _url("tenant", row.slug))),
    ("documents", "Documents", lambda row: Hit(str(row), row.owner.name, "document", _url("document", row.uid))),
    (
        "repositories",
        "Repositories",
        lambda row: Hit(row.name, row.owner.name, "repository", _url("repository", row.owner.slug, row.slug)),
    ),
    ("agents", "Agents", lambda row: Hit(row.name, row.home.name, "agent", _url("agent", row.slug))),
    ("people", "People", lambda row: Hit(row.name, row.email, "person", f"{_url('people')}?q={row.handle}")),
)


def _named(rows: QuerySet[Any], words: str, *fields: str) -> QuerySet[Any]:
    """Every word must begin or stand inside one of the names."""
    for word in words.split()[:4]:
        condition = Q()
        for name in fields:
            condition |= Q(**{f"{name}__icontains": word})
        rows = rows.filter(condition)
    return rows[:EACH]


def _url(route: str, *names: object) -> str:
    return reverse(route, args=names)


def _tool_url(row: Any) -> str:
    return f"{_url('server', row.server.slug)}?q={row.name}"
