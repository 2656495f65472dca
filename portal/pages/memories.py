"""The inbox: what agents learned and propose to their teams, and what people of the team decide."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from portal.pages import lists, trails
from portal.pages.context import trail_of
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import principal_of, screen, show, submit
from portal.pages.sources import LEVELS
from registry.context import inbox as queries
from registry.context.memories import MAX_STATEMENT, Memory
from registry.context.services import memories as services
from tenants import authority
from tenants import queries as tenants
from tenants.principals import Principal
from tenants.rules import Sensitivity

COLUMNS: Final = (
    ("uid", lambda row: row.uid),
    ("team", lambda row: row.owner.slug),
    ("statement", lambda row: row.text),
    ("evidence", lambda row: row.evidence),
    ("tags", lambda row: " ".join(row.tags)),
    ("state", lambda row: row.state),
    ("times", lambda row: row.times),
    ("person", lambda row: row.person.handle),
    ("agent", lambda row: row.agent.slug),
    ("call", lambda row: row.call),
    ("created_at", lambda row: row.created_at),
    ("decided_by", lambda row: row.decided_by.handle if row.decided_by else ""),
    ("decided_at", lambda row: row.decided_at),
    ("reason", lambda row: row.reason),
)


class AcceptForm(forms.Form):
    """A statement as it will be found."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    text = forms.CharField(
        label="Statement",
        max_length=MAX_STATEMENT,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="As your team's agents will find it. Say it so that it is true without the call it came from.",
    )
    sensitivity = forms.TypedChoiceField(
        choices=LEVELS,
        coerce=int,
        initial=int(Sensitivity.INTERNAL),
        help_text="Who has less clearance does not find it.",
    )


class RejectForm(forms.Form):
    """Why a statement is not taken, or goes away."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    reason = forms.CharField(max_length=200)


def _listing(principal: Principal) -> Listing:
    nodes = [(node.slug, node.name) for node in tenants.tenants(principal).filter(tier="team")]
    mine = Q(owner__in=list(principal.access.roles))
    facets = (
        Facet("state", "State", Memory.State.choices, lambda value: Q(state=value)),
        Facet(
            "team",
            "Team",
            [("mine", "My teams"), *nodes],
            lambda value: mine if value == "mine" else Q(owner__slug=value),
        ),
        Facet("marked", "Marks", (("yes", "Talks to an agent"),), lambda _value: ~Q(marks=[])),
    )
    sorts = (
        Sort("proposed", "Proposed", F("created_at"), newest_first=True),
        Sort("times", "Times", F("times"), newest_first=True),
        Sort("team", "Team", F("owner__slug")),
    )
    return Listing(facets=facets, sorts=sorts, search=_search, columns=COLUMNS, name="remembered")


def _search(words: str) -> Q:
    return Q(text__icontains=words) | Q(evidence__icontains=words) | Q(agent__slug__icontains=words)


@screen("GET")
def inbox(request: HttpRequest) -> HttpResponse:
    """Lists what agents learned, or exports it. What was learned above one's clearance is not among it."""
    principal = principal_of(request)
    rows = queries.readable_memories(principal, queries.memories(principal))
    listing = _listing(principal)
    if (file := lists.export(request, rows, listing)) is not None:
        return file
    context = {
        "section": "context",
        "page": lists.list_page(request, rows, listing),
        "mine": queries.memories_to_review(principal).count(),
        "trail": trails.plain(("Context", reverse("context")), ("Inbox", "")),
    }
    return show(request, "pages/context/inbox.html", context, part="results")


@screen("GET")
def memory(request: HttpRequest, uid: str) -> HttpResponse:
    """Shows one statement: who learned it, in which call, and what became of it."""
    principal = principal_of(request)
    return _render(request, principal, queries.readable_memory(principal, uid))


@screen("POST")
def accept(request: HttpRequest, uid: str) -> HttpResponse:
    """Accepts a statement, as it is or edited: a document that the team's agents find."""
    principal = principal_of(request)
    found = queries.readable_memory(principal, uid)
    authority.require_reviewer(principal, found.owner, "decide on what agents learned")
    form = AcceptForm(request.POST, auto_id="accept_%s")

    def act(data: dict[str, Any]) -> Memory:
        version = data.pop("version")
        return services.accept_memory(actor=principal, memory=found, expected_version=version, **data)

    if submit(form, act) is None:
        return _render(request, principal, found, accept_form=form)
    messages.success(request, "Accepted. The team's agents find it from now on.")
    return redirect("memory", uid)


@screen("POST")
def reject(request: HttpRequest, uid: str) -> HttpResponse:
    """Rejects a statement with a reason, which the agent reads when it proposes the same again."""
    principal = principal_of(request)
    found = queries.readable_memory(principal, uid)
    authority.require_reviewer(principal, found.owner, "decide on what agents learned")
    form = RejectForm(request.POST, auto_id="reject_%s")

    def act(data: dict[str, Any]) -> Memory:
        return services.reject_memory(
            actor=principal, memory=found, reason=data["reason"], expected_version=data["version"]
        )

    if submit(form, act) is None:
        return _render(request, principal, found, reject_form=form)
    messages.success(request, "Rejected. Whoever proposes it again is told why.")
    return redirect("memory", uid)


@screen("POST")
def erase(request: HttpRequest, uid: str) -> HttpResponse:
    """Erases a statement with the document that it became; for who keeps the team."""
    principal = principal_of(request)
    found = queries.readable_memory(principal, uid)
    authority.require_keeper(principal, found.owner, "erase what agents learned")
    form = RejectForm(request.POST, auto_id="erase_%s")

    def act(data: dict[str, Any]) -> bool:
        services.erase_memory(actor=principal, memory=found, reason=data["reason"])
        return True

    if submit(form, act) is None:
        return _render(request, principal, found, erase_form=form)
    messages.success(request, "Erased. The log keeps that it was there, not what it said.")
    return redirect("inbox")


def _render(request: HttpRequest, principal: Principal, found: Memory, **more: forms.Form) -> HttpResponse:
    is_waiting = found.state == Memory.State.WAITING
    reviews = authority.reviews(principal, found.owner)
    initial = {"text": found.text, "version": found.version, "sensitivity": int(Sensitivity.INTERNAL)}
    context = {
        "section": "context",
        "memory": found,
        "is_waiting": is_waiting,
        "may_decide": is_waiting and reviews,
        "keeps": authority.keeps(principal, found.owner),
        "accept_form": AcceptForm(initial=initial, auto_id="accept_%s"),
        "reject_form": RejectForm(initial={"version": found.version}, auto_id="reject_%s"),
        "erase_form": RejectForm(auto_id="erase_%s"),
        "trail": trail_of(found.owner, ("Inbox", f"{reverse('inbox')}?team={found.owner.slug}"), ("Statement", "")),
        **more,
    }
    response = show(request, "pages/context/memory.html", context)
    response.status_code = 422 if more else response.status_code
    return response
