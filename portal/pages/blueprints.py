"""The library: every blueprint one sees, and the page of one with its flow, versions, forks and requests."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from blueprints.models import PATTERNS, VARIANTS, Blueprint
from blueprints.queries import forks as fork_queries
from blueprints.queries import library
from blueprints.services import forking, publishing
from kernel.errors import Invalid, NotFound
from portal.pages import asking, lists, trails
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import principal_of, screen, show, submit
from portal.parts.graph import draw_graph, rows_of_graph
from tenants import authority
from tenants import queries as tenants
from tenants.principals import Principal

TIERS: Final = (("platform", "Platform"), ("domain", "Domain"), ("team", "Team"))
COLUMNS: Final = (
    ("ref", lambda row: row.ref),
    ("title", lambda row: row.title),
    ("owner", lambda row: row.owner.slug),
    ("tier", lambda row: row.owner.tier),
    ("version", lambda row: row.head.semver if row.head else ""),
    ("pattern", lambda row: row.pattern),
    ("variant", lambda row: row.variant),
    ("status", lambda row: row.status),
    ("changed_at", lambda row: row.changed_at),
)
TABS: Final = {
    "flow": "Flow",
    "yaml": "YAML",
    "versions": "Versions",
    "forks": "Forks",
    "requests": "Requests",
    "history": "History",
}
BY_DRIFT: Final = Sort("drift", "Drift", F("drift"), newest_first=True)
BY_DATE: Final = Sort("at", "When", F("history_date"), newest_first=True)
FAMILIES: Final = 20


class ForkForm(forms.Form):
    """A fork of one version for a team in which one works and which is in reach of the blueprint."""

    team = forms.ChoiceField(help_text="Whose fork it is: a team in which you work and which is in reach.")
    name = forms.CharField(label="Short name", max_length=48, help_text="In addresses: a-z, 0-9 and hyphens.")
    title = forms.CharField(max_length=200, required=False, help_text="Empty: that of the blueprint.")

    def __init__(self, principal: Principal, blueprint: Blueprint, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.teams = {
            team.slug: team
            for team in library.teams_in_reach(principal, blueprint)
            if authority.contributes(principal, team)
        }
        self.fields["team"].choices = [(slug, team.name) for slug, team in self.teams.items()]  # type: ignore[attr-defined]
        self.fields["name"].initial = blueprint.name


class DeprecationForm(forms.Form):
    """Why a blueprint takes no new forks, and what follows it."""

    reason = forms.CharField(max_length=200)
    successor = forms.CharField(
        max_length=120, required=False, help_text="Reference of what to use instead, such as platform/implement-ticket."
    )


def listing_of(principal: Principal) -> Listing:
    """Returns what the list of blueprints can do."""
    owners = [("mine", "My teams"), *((node.slug, node.name) for node in tenants.tenants(principal))]
    mine = Q(owner__in=list(principal.access.roles))
    facets = (
        Facet("tier", "Tier", TIERS, lambda value: Q(owner__tier=value)),
        Facet("owner", "Owner", owners, lambda value: mine if value == "mine" else Q(owner__slug=value)),
        Facet("pattern", "Pattern", PATTERNS, lambda value: Q(pattern=value)),
        Facet("variant", "Variant", VARIANTS, lambda value: Q(variant=value)),
        Facet("status", "Status", Blueprint.Status.choices, lambda value: Q(status=value)),
    )
    sorts = (
        Sort("name", "Blueprint", F("name")),
        Sort("owner", "Owner", F("owner__slug")),
        Sort("changed", "Changed", F("changed_at"), newest_first=True),
    )
    return Listing(facets=facets, sorts=sorts, search=_search, columns=COLUMNS, name="blueprints")


def _search(words: str) -> Q:
    return Q(name__icontains=words) | Q(title__icontains=words) | Q(summary__icontains=words)


@screen("GET")
def blueprints(request: HttpRequest) -> HttpResponse:
    """Lists blueprints, or exports them."""
    principal = principal_of(request)
    rows, listing = library.blueprints(principal), listing_of(principal)
    if (file := lists.export(request, rows, listing)) is not None:
        return file
    page = lists.list_page(request, library.with_fork_counts(principal, rows), listing)
    context = {"section": "blueprints", "page": page, "tabs": section_tabs("library")}
    return show(request, "pages/blueprints/list.html", context, part="results")


def section_tabs(here: str) -> list[dict[str, object]]:
    """Returns the tabs of everything about blueprints."""
    places = (("library", "Library", "blueprints"), ("forks", "Forks", "forks"), ("requests", "Review", "reviews"))
    return [{"name": name, "url": reverse(route), "here": key == here} for key, name, route in places]


@screen("GET")
def blueprint(request: HttpRequest, namespace: str, name: str, tab: str = "flow") -> HttpResponse:
    """Shows one tab of a blueprint."""
    if tab not in TABS:
        raise NotFound("There is no such tab.")
    principal = principal_of(request)
    found = library.blueprint_by_ref(principal, namespace, name)
    return _render(request, principal, found, tab)


@screen("GET", "POST")
def fork(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Forks the head for a team."""
    principal = principal_of(request)
    found = library.blueprint_by_ref(principal, namespace, name)
    if found.head is None:
        raise NotFound("It has no published version yet.")
    form = ForkForm(principal, found, request.POST or None)

    def act(data: dict[str, str]) -> Any:
        version = library.version_of(principal, found, found.head.semver if found.head else "")
        team = form.teams[data["team"]]
        return forking.fork_blueprint(
            actor=principal, version=version, team=team, name=data["name"], title=data["title"]
        )

    if request.method == "POST" and (made := submit(form, act)) is not None:
        messages.success(request, f"{made.owner.name} has a fork of {found.title} now. Change what is yours.")
        return redirect("fork", made.owner.slug, made.name)
    crumbs = trails.plain((found.title, url_of(found)), ("Fork", ""))
    context = {"section": "blueprints", "blueprint": found, "trail": trails.under(found.owner, *crumbs)}
    return show(request, "pages/blueprints/fork.html", context, form=form)


@screen("GET", "POST")
def deprecate(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Asks why and what follows, and deprecates a blueprint."""
    principal = principal_of(request)
    found = library.blueprint_by_ref(principal, namespace, name)
    authority.require_keeper(principal, found.owner, "deprecate blueprints")
    form = DeprecationForm(asking.sent(request))

    def act(data: dict[str, str]) -> Blueprint:
        successor = _successor(principal, data["successor"].strip())
        return publishing.deprecate_blueprint(
            actor=principal, blueprint=found, reason=data["reason"], successor=successor
        )

    if asking.answered(form, act):
        messages.success(request, f"{found.title} takes no new forks.")
        return redirect(url_of(found))
    question = asking.Question(
        title=f"Deprecate {found.title}",
        text="It takes no new forks. Forks that it has stay, and are told where to go.",
        button="Deprecate",
        back=url_of(found),
        section="blueprints",
        trail=trails.under(found.owner, *trails.plain((found.title, url_of(found)), ("Deprecate", ""))),
    )
    return asking.ask(request, question, form)


def _successor(principal: Principal, ref: str) -> Blueprint | None:
    try:
        return library.blueprint_named(principal, ref) if ref else None
    except NotFound as error:
        raise Invalid("That cannot follow.", errors={"successor": [error.message]}) from None


@screen("POST")
def restore(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Takes a deprecation back."""
    principal = principal_of(request)
    found = library.blueprint_by_ref(principal, namespace, name)
    publishing.restore_blueprint(actor=principal, blueprint=found)
    messages.success(request, f"{found.title} is active again.")
    return redirect(url_of(found))


def url_of(found: Blueprint) -> str:
    """Returns the address of a blueprint's page."""
    return reverse("blueprint", args=[found.namespace, found.name])


def _render(request: HttpRequest, principal: Principal, found: Blueprint, tab: str) -> HttpResponse:
    tabs = [
        {
            "name": label,
            "url": url_of(found)
            if key == "flow"
            else reverse("blueprint_tab", args=[found.namespace, found.name, key]),
            "here": key == tab,
        }
        for key, label in TABS.items()
    ]
    context = {
        "section": "blueprints",
        "blueprint": found,
        "head": found.head,
        "successor": library.successor_of(principal, found),
        "tab": tab,
        "tabs": tabs,
        "keeps": authority.keeps(principal, found.owner),
        "works": authority.contributes(principal, found.owner),
        "trail": trails.under(found.owner, *trails.plain((found.title, ""))),
        **_CONTENTS[tab](request, principal, found),
    }
    return show(request, "pages/blueprints/page.html", context)


def _flow(request: HttpRequest, principal: Principal, found: Blueprint) -> dict[str, object]:
    if found.head is None:
        waiting = library.versions(principal).filter(blueprint=found, status="proposed")
        return {"page": lists.whole_page(request, waiting)}
    document = found.head.document
    return {"document": document, "picture": draw_graph(document), "nodes": rows_of_graph(document)}


def _yaml(request: HttpRequest, principal: Principal, found: Blueprint) -> dict[str, object]:
    return {}


def _versions(request: HttpRequest, principal: Principal, found: Blueprint) -> dict[str, object]:
    return {"page": lists.whole_page(request, library.versions(principal).filter(blueprint=found))}


def _forks(request: HttpRequest, principal: Principal, found: Blueprint) -> dict[str, object]:
    rows = fork_queries.forks_of(principal, found)
    page = lists.list_page(request, rows, Listing(sorts=(BY_DRIFT,)))
    page.total, families = fork_queries.total_and_families(principal, found)
    return {"page": page, "families": families[:FAMILIES], "compared": fork_queries.COMPARED}


def _requests(request: HttpRequest, principal: Principal, found: Blueprint) -> dict[str, object]:
    return {"page": lists.whole_page(request, fork_queries.requests(principal).filter(blueprint=found))}


def _history(request: HttpRequest, principal: Principal, found: Blueprint) -> dict[str, object]:
    return {"page": lists.whole_page(request, library.blueprint_history(found), BY_DATE)}


_CONTENTS: Final = {
    "flow": _flow,
    "yaml": _yaml,
    "versions": _versions,
    "forks": _forks,
    "requests": _requests,
    "history": _history,
}
