"""Context: what is written down, searched over everything one sees, and the page of one tenant's part of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from kernel import clock
from portal.pages import lists, trails
from portal.pages.lists import ANYTHING, Facet
from portal.pages.screens import principal_of, screen
from portal.parts.navigation import Crumb
from portal.parts.passages import ShownHit, address_of
from registry.context import inbox, precedence, queries
from registry.context.excerpts import Part, excerpts
from registry.context.models import Source
from registry.context.services import gaps as services
from tenants import authority
from tenants import queries as tenants
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.rules import Sensitivity, Tier
from tenants.together import together

HITS: Final = 20
SHOWN: Final = 8
MOST_GAPS: Final = 50
MOST_SOURCES: Final = 200
TIERS: Final = (("platform", "Platform"), ("domain", "Domain"), ("team", "Team"))
SINCE: Final = (
    ("7", "The last week"),
    ("30", "The last month"),
    ("180", "The last half year"),
    ("365", "The last year"),
)
COLUMNS: Final = (
    ("tier", lambda row: row.hit.tier),
    ("owner", lambda row: row.hit.owner),
    ("source", lambda row: row.hit.source),
    ("path", lambda row: row.hit.path),
    ("title", lambda row: row.hit.title),
    ("heading", lambda row: " > ".join(row.hit.heading)),
    ("line", lambda row: row.hit.line),
    ("page", lambda row: row.hit.page),
    ("commit", lambda row: row.hit.commit),
    ("changed_at", lambda row: row.hit.changed_at.isoformat()),
    ("sensitivity", lambda row: Sensitivity(row.hit.sensitivity).name.lower()),
    ("marks", lambda row: " ".join(row.hit.marks)),
    ("text", lambda row: row.hit.text),
)


@screen("GET")
def context(request: HttpRequest) -> HttpResponse:
    """Searches everything one sees; without a question, shows how much of it each tenant has written down."""
    principal = principal_of(request)
    if request.GET.get("q", "").strip():
        return _found(request, principal)
    nodes = list(tenants.tenants(principal))
    figures = inbox.coverage(principal, nodes)
    known = figures.values()
    shown = {
        "section": "context",
        "page": lists.Page(rows=nodes, facets=[], sorts={}),
        "figures": figures,
        "totals": {
            name: sum(getattr(one, name) for one in known)
            for name in ("sources", "documents", "stale_documents", "withheld", "waiting", "gaps")
        },
        "is_empty": not any(one.sources for one in known),
        "own": next((node for node in nodes if authority.contributes(principal, node)), None),
    }
    return render(request, "pages/context/search.html", shown)


def _found(request: HttpRequest, principal: Principal) -> HttpResponse:
    asked = request.GET
    read = together(
        nodes=tenants.tenants(principal),
        domains=tenants.domains_of_slug(principal, asked.get("team", "")),
        sources=queries.sources(principal)[:MOST_SOURCES],
    )
    nodes, sources = read["nodes"], read["sources"]
    facets = _facets(nodes, sources)
    team, owners = _among(principal, asked, nodes, read["domains"])
    answer = queries.search(
        principal,
        queries.Question(
            text=asked["q"].strip(),
            owners=owners,
            sources=_chosen(asked, sources),
            since=_since(asked),
            ceiling=principal.clearance,
            limit=HITS,
        ),
    )
    rows = _shown(asked["q"], answer.hits, has_order=team is not None)
    if asked.get("format") in {"csv", "json"}:
        return lists.exported(rows, COLUMNS, name="passages", wanted=asked["format"])
    page = lists.Page(rows=rows, facets=lists.shown_facets(asked, facets), sorts={}, q=asked["q"].strip())
    page.is_filtered, page.keep = True, lists.kept(asked)
    page.csv_url, page.json_url = lists.address(asked, {"format": "csv"}), lists.address(asked, {"format": "json"})
    shown = {"section": "context", "page": page, "answer": answer, "team": team, "is_asked": True}
    return render(request, "pages/context/search.html", shown)


def _facets(nodes: Sequence[Tenant], sources: Sequence[Source]) -> tuple[Facet, ...]:
    teams = [(node.slug, node.name) for node in nodes if node.tier == Tier.TEAM]
    named = [(f"{row.owner.slug}/{row.slug}", f"{row.name}, {row.owner.name}") for row in sources]
    return tuple(
        Facet(name, label, options, lambda _value: ANYTHING)
        for name, label, options in (
            ("team", "As agents of", teams),
            ("tier", "Tier", TIERS),
            ("source", "Source", named),
            ("since", "Changed in", SINCE),
        )
    )


def _among(
    principal: Principal, asked: QueryDict, nodes: Sequence[Tenant], domains: Sequence[Tenant]
) -> tuple[Tenant | None, frozenset[int]]:
    """Returns the team whose reach is searched, if it is one team's, and the owners that are searched."""
    teams = {node.slug: node for node in nodes if node.tier == Tier.TEAM}
    chosen = teams.get(asked.get("team", ""))
    tier = asked.get("tier", "")
    kept = frozenset(node.pk for node in nodes if tier not in dict(TIERS) or node.tier == tier)
    if chosen is None:
        return _only(principal, list(teams.values())), kept
    platform = {node.pk for node in nodes if node.tier == Tier.PLATFORM}
    return chosen, kept & {chosen.pk, *platform, *(node.pk for node in domains)}


def _only(principal: Principal, teams: Sequence[Tenant]) -> Tenant | None:
    """Returns the one team whose reach is all that somebody sees: theirs, when they have roles nowhere else."""
    return teams[0] if len(teams) == 1 and set(principal.access.roles) == {teams[0].pk} else None


def _chosen(asked: QueryDict, sources: Sequence[Source]) -> frozenset[int] | None:
    wanted = asked.get("source", "")
    found = frozenset(row.pk for row in sources if f"{row.owner.slug}/{row.slug}" == wanted)
    return found or None


def _since(asked: QueryDict) -> datetime | None:
    days = asked.get("since", "")
    return clock.now() - timedelta(days=int(days)) if days in dict(SINCE) else None


def _shown(question: str, hits: Sequence[queries.Hit], *, has_order: bool) -> list[ShownHit]:
    """Returns the hits as they are drawn. Where one team asks, what its word overrules stands behind it and says so."""
    found = precedence.conflicts(hits) if has_order else []
    parts = {hit.chunk: tuple(map(_joined, text)) for hit, text in zip(hits, excerpts(question, hits), strict=True)}
    losing = {hits[row.loser].chunk: (hits[row.winner], row.subject) for row in reversed(found)}
    rows = []
    for hit in precedence.ordered(hits, found):
        winner, subject = losing.get(hit.chunk, (None, ""))
        rows.append(
            ShownHit(hit=hit, parts=parts[hit.chunk], url=address_of(hit), overruled_by=winner, subject=subject)
        )
    return rows


def _joined(part: Part) -> Part:
    return replace(part, text=part.text.replace("\n\n", " · "))


@screen("GET")
def tenant(request: HttpRequest, slug: str) -> HttpResponse:
    """Shows what one tenant has written down: how much, from where, what waits, and what was asked in vain."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    reviews = authority.reviews(principal, node)
    waiting = inbox.memories_to_review(principal).filter(owner=node)[:SHOWN]
    found = together(
        sources=queries.with_counts(queries.sources(principal).filter(owner=node))[:MOST_SOURCES],
        waiting=waiting if reviews else waiting.none(),
        gaps=inbox.gaps(principal, node)[:MOST_GAPS],
    )
    shown = {
        **found,
        "section": "context",
        "node": node,
        "figures": inbox.coverage(principal, [node])[node.pk],
        "works": authority.contributes(principal, node),
        "keeps": authority.keeps(principal, node),
        "reviews": reviews,
        "trail": trail_of(node),
    }
    return render(request, "pages/context/tenant.html", shown)


@screen("POST")
def forget(request: HttpRequest, slug: str) -> HttpResponse:
    """Erases one question that was asked in vain, or all of a tenant's."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    uid = request.POST.get("gap", "")
    if uid == "all":
        count = services.forget_gaps(actor=principal, owner=node)
        messages.success(request, f"{count} questions are erased." if count != 1 else "One question is erased.")
    else:
        gap = tenants.one_of(inbox.gaps(principal, node), "question", uid=uid)
        services.forget_gap(actor=principal, gap=gap)
        messages.success(request, "The question is erased.")
    return redirect("context_of", slug)


def trail_of(owner: Tenant, *crumbs: tuple[str, str]) -> list[Crumb]:
    """Returns the breadcrumb from context through the tenant to something of it."""
    here = reverse("context_of", args=[owner.slug]) if crumbs else ""
    top = Crumb("Context", reverse("context"))
    return [top, Crumb(owner.name, here, owner.tier), *trails.plain(*crumbs)]
