"""What others propose: versions and change requests that wait for a decision, and the page of one request."""

from typing import Final

from django.contrib import messages
from django.db.models import Count, F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from blueprints.forks.diff import compare_two
from blueprints.models import ChangeRequest
from blueprints.queries import forks as queries
from blueprints.queries import library
from blueprints.services import requests as services
from kernel.errors import Conflict, Invalid
from portal.pages import asking, lists, trails
from portal.pages.blueprints import section_tabs, url_of
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import principal_of, screen, show
from portal.parts.changes import reasons_of, units_of
from tenants import authority
from tenants import queries as tenants
from tenants.principals import Principal
from tenants.together import together, totals

COLUMNS: Final = (
    ("uid", lambda row: row.uid),
    ("title", lambda row: row.title),
    ("blueprint", lambda row: row.blueprint.ref),
    ("team", lambda row: row.team_slug),
    ("status", lambda row: row.status),
    ("opened_at", lambda row: row.opened_at),
    ("decided_at", lambda row: row.decided_at),
)
PARTS: Final = (
    ("minor", "Minor: runs as before, and more"),
    ("patch", "Patch: a correction"),
    ("major", "Major: other inputs, outputs or needs"),
)
SHOWN: Final = 20


def _listing(principal: Principal) -> Listing:
    owners = [(node.slug, node.name) for node in tenants.tenants(principal)]
    facets = (
        Facet("owner", "Owner", owners, lambda value: Q(owner__slug=value)),
        Facet("status", "Status", ChangeRequest.Status.choices, lambda value: Q(status=value)),
    )
    sorts = (
        Sort("opened", "Opened", F("opened_at"), newest_first=True),
        Sort("title", "Request", F("title")),
        Sort("blueprint", "Blueprint", F("blueprint__name")),
    )
    return Listing(facets=facets, sorts=sorts, search=_search, columns=COLUMNS, name="change-requests")


def _search(words: str) -> Q:
    return Q(title__icontains=words) | Q(blueprint__name__icontains=words) | Q(team_name__icontains=words)


@screen("GET")
def reviews(request: HttpRequest) -> HttpResponse:
    """Lists change requests, or exports them; above them the versions that wait for this person."""
    principal = principal_of(request)
    rows, listing = queries.requests(principal), _listing(principal)
    if (file := lists.export(request, rows, listing)) is not None:
        return file
    waiting = library.versions_waiting(principal)
    found = together(versions=waiting[:SHOWN], total=totals(waiting, n=Count("pk")))
    context = {
        "section": "blueprints",
        "page": lists.list_page(request, rows, listing),
        "versions": found["versions"],
        "waiting": found["total"][0]["n"],
        "tabs": section_tabs("requests"),
    }
    return show(request, "pages/reviews/list.html", context, part="results")


@screen("GET")
def versions(request: HttpRequest) -> HttpResponse:
    """Lists every version that waits for this person."""
    page = lists.whole_page(request, library.versions_waiting(principal_of(request)))
    trail = trails.plain(("Blueprints", reverse("blueprints")), ("Review", reverse("reviews")), ("Versions", ""))
    return show(request, "pages/reviews/versions.html", {"section": "blueprints", "page": page, "trail": trail})


@screen("GET")
def change_request(request: HttpRequest, uid: str) -> HttpResponse:
    """Shows one request: what it changes in the head as it is now, and why."""
    principal = principal_of(request)
    return _render(request, principal, queries.request_by_uid(principal, uid))


@screen("POST")
def decide(request: HttpRequest, uid: str, act: str) -> HttpResponse:
    """Accepts or withdraws a request."""
    principal = principal_of(request)
    found = queries.request_by_uid(principal, uid)
    reason = request.POST.get("reason", "")
    if act == "accept":
        part = request.POST.get("part", "minor")
        if part not in dict(PARTS):
            raise Invalid("There is no such part of a version.", errors={"part": ["major, minor or patch."]})
        found = services.accept_request(actor=principal, request=found, part=part, reason=reason[:200])  # type: ignore[arg-type]
        messages.success(request, f"Published as {found.result.semver if found.result else ''}.")
    else:
        services.withdraw_request(actor=principal, request=found)
        messages.success(request, "Withdrawn.")
    return redirect("change_request", uid)


@screen("GET", "POST")
def decline(request: HttpRequest, uid: str) -> HttpResponse:
    """Asks for the reason, and declines a request."""
    principal = principal_of(request)
    found = queries.request_by_uid(principal, uid)
    authority.require_reviewer(principal, found.owner, "decline change requests")
    form = asking.ReasonForm(asking.sent(request), read_by="The team reads it.")
    if asking.answered(
        form, lambda data: services.decline_request(actor=principal, request=found, reason=data["reason"])
    ):
        messages.success(request, "Declined. The team reads why.")
        return redirect("change_request", uid)
    here = reverse("change_request", args=[uid])
    question = asking.Question(
        title=f"Decline “{found.title}”",
        button="Decline",
        back=here,
        section="blueprints",
        trail=trails.under(found.owner, *trails.plain(("Change request", here), ("Decline", ""))),
    )
    return asking.ask(request, question, form)


def _render(request: HttpRequest, principal: Principal, found: ChangeRequest) -> HttpResponse:
    blueprint = library.blueprint_by_ref(principal, found.blueprint.namespace, found.blueprint.name)
    is_open = found.status == ChangeRequest.Status.OPEN
    mine = principal.person is not None and principal.person.pk == found.opened_by_id
    units, misfit = [], ""
    if is_open and blueprint.head is not None:
        found.blueprint = blueprint
        try:
            difference = compare_two(blueprint.head.document, services.preview(found))
            units = units_of(difference, reasons_of(found.operations))
        except (Invalid, Conflict) as error:
            misfit = error.message
    context = {
        "section": "blueprints",
        "request_row": found,
        "blueprint": blueprint,
        "fork": queries.fork_by_uid(principal, str(found.fork_uid)),
        "units": units,
        "misfit": misfit,
        "is_open": is_open,
        "parts": PARTS,
        "may_decide": is_open and not mine and authority.reviews(principal, found.owner),
        "may_withdraw": is_open and mine,
        "is_mine": mine,
        "trail": trails.under(found.owner, *trails.plain((blueprint.title, url_of(blueprint)), ("Change request", ""))),
    }
    return render(request, "pages/reviews/page.html", context)
