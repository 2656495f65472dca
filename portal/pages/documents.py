"""One document: whose it is, where it comes from, what was read of it, and what was withheld."""

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from portal.pages.screens import principal_of, screen, show, submit
from portal.pages.sources import ReasonForm, trail_of_source
from portal.parts.navigation import Crumb
from registry.context import clearance, inbox, queries
from registry.context.models import Document
from registry.context.services import sources as services
from registry.context.services.memories import REMEMBERED
from tenants import authority

PAGE: Final = 50
COPIES: Final = 20


@screen("GET")
def document(request: HttpRequest, uid: str) -> HttpResponse:
    """Shows a document's passages in order; the address may name one of them."""
    principal = principal_of(request)
    found = clearance.readable_document(principal, uid)
    rows = clearance.readable_chunks(principal, found)
    first = queries.ordinal_of(rows, request.GET.get("passage", ""))
    first = _number(request.GET.get("from", "")) if first is None else first // PAGE * PAGE
    passages = list(rows.filter(ordinal__gte=first)[: PAGE + 1])
    learned = found.source.slug.startswith(REMEMBERED)
    context = {
        "section": "context",
        "document": found,
        "source": found.source,
        "passages": passages[:PAGE],
        "first": first,
        "next": first + PAGE if len(passages) > PAGE else None,
        "previous": max(0, first - PAGE),
        "copies": list(queries.copies_of(principal, found)[:COPIES]),
        "memory": inbox.remembered_in(principal, [found.uid]).get(found.uid) if learned else None,
        "works": authority.contributes(principal, found.owner),
        "trail": trail_of_document(found),
    }
    return show(request, "pages/context/document.html", context)


@screen("GET", "POST")
def remove(request: HttpRequest, uid: str) -> HttpResponse:
    """Removes a document with everything that was read of it."""
    principal = principal_of(request)
    found = clearance.readable_document(principal, uid)
    authority.require_contributor(principal, found.owner, "remove documents")
    form = ReasonForm(request.POST or None)

    def act(data: dict[str, str]) -> bool:
        services.remove_document(actor=principal, document=found, reason=data["reason"])
        return True

    if request.method == "POST" and submit(form, act):
        messages.success(request, "The document is removed, and everything that was read of it.")
        return redirect("source", found.owner.slug, found.source.slug)
    context = {"section": "context", "document": found, "trail": trail_of_document(found, "Remove")}
    return show(request, "pages/context/document_remove.html", context, form=form)


def trail_of_document(found: Document, *names: str) -> list[Crumb]:
    """Returns the breadcrumb down to a document, or to something that is done with it."""
    source = found.source
    source.owner = found.owner
    here = reverse("document", args=[found.uid]) if names else ""
    above = trail_of_source(source, str(found))
    return [*above[:-1], Crumb(str(found), here), *(Crumb(name) for name in names)]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
