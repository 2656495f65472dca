"""Sources of documents: what was read of each, the readings under way, and bringing more."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from kernel import clock
from portal.pages import lists
from portal.pages.access import GitCredentialForm, WithCredential, typed
from portal.pages.context import trail_of
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import is_partial, principal_of, screen, show, submit
from portal.parts.navigation import Crumb
from portal.parts.passages import TALKING
from portal.sources import repository_sources
from registry.context import clearance, queries
from registry.context.inbox import STALE_AFTER
from registry.context.languages import SPOKEN
from registry.context.models import OPEN, Import, Source
from registry.context.services import imports as reading
from registry.context.services import sources as services
from registry.context.services.credentials import set_source_credential
from registry.context.tasks import wake
from registry.git.wire import is_about_credentials
from tenants import authority
from tenants import queries as tenants
from tenants.principals import Principal
from tenants.rules import Sensitivity

FORMATS: Final = (
    ("markdown", "Markdown"),
    ("html", "HTML"),
    ("plain", "Plain text"),
    ("code", "Source code"),
    ("openapi", "OpenAPI"),
    ("pdf", "PDF"),
    ("docx", "Word"),
)
STATES: Final = (
    ("withheld", "Something withheld"),
    ("marked", "Talks to an agent"),
    ("copy", "A copy"),
    ("stale", "Not changed for half a year"),
)
ITEMS: Final = 50
IMPORTS: Final = 6
COLUMNS: Final = (
    ("path", lambda row: row.path),
    ("title", lambda row: row.title),
    ("format", lambda row: row.format),
    ("language", lambda row: row.language),
    ("passages", lambda row: row.chunk_count),
    ("withheld", lambda row: row.withheld_count),
    ("marks", lambda row: " ".join(row.marks)),
    ("copy_of", lambda row: row.copy_of.path if row.copy_of else ""),
    ("commit", lambda row: row.commit),
    ("changed_at", lambda row: row.changed_at),
    ("read_at", lambda row: row.read_at),
)
LEVELS: Final = [(int(level), level.name.capitalize()) for level in Sensitivity]


class SourceForm(forms.Form):
    """What people say of a source."""

    name = forms.CharField(max_length=120, help_text="As people call it.")
    location = forms.CharField(
        max_length=500,
        required=False,
        help_text="Of a git repository its https address, which is fetched. Else where its documents come from.",
    )
    branch = forms.CharField(max_length=200, required=False, help_text="Of a repository; empty: the one it shows.")
    sensitivity = forms.TypedChoiceField(
        choices=LEVELS,
        coerce=int,
        initial=int(Sensitivity.INTERNAL),
        help_text="Holds for everything in it. Who has less clearance finds nothing of it, and no agent of theirs does.",
    )


class NewSourceForm(SourceForm, WithCredential):
    """A new source of a tenant, and what its repository asks for."""

    slug = forms.SlugField(
        label="Short name",
        max_length=48,
        help_text="In addresses and in every hit: a-z, 0-9 and hyphens. It never changes.",
    )
    kind = forms.ChoiceField(choices=Source.Kind.choices)
    field_order = ("name", "slug", "kind", "location", "branch", "username", "secret", "sensitivity")


class SourceEditForm(SourceForm):
    """A source as it will be."""

    version = forms.IntegerField(widget=forms.HiddenInput)


class ReasonForm(forms.Form):
    """Why something is taken away."""

    reason = forms.CharField(max_length=200, help_text="It stands in the log.")


def _condition(value: str) -> Q:
    if value == "stale":
        return Q(changed_at__lt=clock.now() - STALE_AFTER)
    return {"withheld": Q(withheld_count__gt=0), "marked": Q(marks__overlap=list(TALKING)), "copy": ~Q(copy_of=None)}[
        value
    ]


LISTING: Final = Listing(
    facets=(
        Facet("state", "State", STATES, _condition),
        Facet("kind", "Format", FORMATS, lambda value: Q(format=value)),
        Facet("language", "Language", [(name, name.capitalize()) for name in SPOKEN], lambda value: Q(language=value)),
    ),
    sorts=(
        Sort("path", "Document", F("path")),
        Sort("changed", "Changed", F("changed_at"), newest_first=True),
        Sort("chunks", "Passages", F("chunk_count"), newest_first=True),
    ),
    search=lambda words: Q(path__icontains=words) | Q(title__icontains=words),
    columns=COLUMNS,
    name="documents",
)


@screen("GET")
def source(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Shows one source: its documents, its readings, and how more are brought."""
    principal = principal_of(request)
    found = queries.source_by_ref(principal, slug, name)
    rows = clearance.readable_documents(principal, found)
    if (file := lists.export(request, rows, LISTING)) is not None:
        return file
    return show_source(request, found, lists.list_page(request, rows, LISTING))


def show_source(request: HttpRequest, found: Source, page: lists.Page, **more: object) -> HttpResponse:
    """Returns the page of a source; `more` is what a form could not do."""
    principal = principal_of(request)
    readings = [] if is_partial(request) else list(queries.with_progress(queries.imports(principal, found))[:IMPORTS])
    context = {
        "section": "context",
        "source": found,
        "owner": found.owner,
        "page": page,
        "readings": readings,
        **_progress(principal, readings),
        "is_cleared": found.sensitivity <= principal.clearance,
        "works": authority.contributes(principal, found.owner),
        "keeps": authority.keeps(principal, found.owner),
        "trail": trail_of_source(found),
        "credential": queries.credential_of(principal, found) if found.kind == Source.Kind.GIT else None,
        "credential_form": GitCredentialForm(),
        "wants_credential": bool(readings) and is_about_credentials(readings[0].fault),
        **more,
    }
    response = show(request, "pages/context/source.html", context, part="results")
    response.status_code = 422 if more else response.status_code
    return response


def _progress(principal: Principal, readings: list[Import]) -> dict[str, Any]:
    """Returns what the part with the newest reading shows; empty when nothing was read yet.

    Its documents are looked up while it is open, or when some could not be read.
    """
    for row in readings:
        row.settled = row.done + row.failed + row.cancelled + row.unchanged  # type: ignore[attr-defined]
        row.total = row.settled + row.waiting  # type: ignore[attr-defined]
    first = readings[0] if readings else None
    is_open = first is not None and first.state in OPEN
    wanted = first is not None and (is_open or first.failed)  # type: ignore[attr-defined]
    items = list(clearance.readable_items(principal, first)[: ITEMS + 1]) if first and wanted else []
    return {"reading": first, "items": items[:ITEMS], "has_more": len(items) > ITEMS, "is_open": is_open}


@screen("GET", "POST")
def create(request: HttpRequest, slug: str) -> HttpResponse:
    """Adds a source to a tenant."""
    principal = principal_of(request)
    owner = tenants.tenant_by_slug(principal, slug)
    authority.require_contributor(principal, owner, "add sources of documents")
    form = NewSourceForm(request.POST or None)

    @transaction.atomic
    def act(data: dict[str, Any]) -> Source:
        login = typed(data)
        added = services.add_source(actor=principal, owner=owner, sources=repository_sources(), **data)
        if login:
            set_source_credential(actor=principal, source=added, **login)
        return added

    if request.method == "POST" and (added := submit(form, act)) is not None:
        if added.kind == Source.Kind.GIT:
            wake(reading.begin_fetch(actor=principal, source=added, sources=repository_sources()))
            messages.success(request, f"{added.name} is there and being fetched.")
        else:
            messages.success(request, f"{added.name} is there. Bring its first documents.")
        return redirect("source", slug, added.slug)
    context = {"section": "context", "owner": owner, "trail": trail_of(owner, ("Add a source", ""))}
    return show(request, "pages/context/source_new.html", context, form=form)


@screen("GET", "POST")
def edit(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Changes name, location and sensitivity of a source."""
    principal = principal_of(request)
    found = queries.source_by_ref(principal, slug, name)
    authority.require_contributor(principal, found.owner, "change sources of documents")
    present = {field: getattr(found, field) for field in ("name", "location", "branch", "sensitivity", "version")}
    form = SourceEditForm(request.POST or None, initial=present)

    def act(data: dict[str, Any]) -> Source:
        version = data.pop("version")
        return services.change_source(
            actor=principal, source=found, expected_version=version, sources=repository_sources(), **data
        )

    credential = queries.credential_of(principal, found)
    if request.method == "POST" and (changed := submit(form, act)) is not None:
        dropped = credential is not None and queries.credential_of(principal, changed) is None
        said = " Its credential was for the address before and is gone: set it again." if dropped else ""
        messages.success(request, f"{changed.name} is changed.{said}")
        return redirect("source", slug, name)
    context = {
        "section": "context",
        "source": found,
        "keeps": authority.keeps(principal, found.owner),
        "credential": credential,
        "trail": trail_of_source(found, "Edit"),
    }
    return show(request, "pages/context/source_edit.html", context, form=form)


@screen("POST")
def fetch(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Has what changed in a repository read now."""
    principal = principal_of(request)
    found = queries.source_by_ref(principal, slug, name)
    wake(reading.begin_fetch(actor=principal, source=found, sources=repository_sources()))
    messages.success(request, f"{found.name} is being fetched.")
    return redirect("source", slug, name)


@screen("GET", "POST")
def remove(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Removes a source with everything that was read of it; for who keeps the tenant."""
    principal = principal_of(request)
    found = queries.source_by_ref(principal, slug, name)
    authority.require_keeper(principal, found.owner, "remove sources of documents")
    form = ReasonForm(request.POST or None)

    def act(data: dict[str, str]) -> bool:
        services.remove_source(actor=principal, source=found, reason=data["reason"])
        return True

    if request.method == "POST" and submit(form, act):
        messages.success(request, f"{found.name} is removed, and everything that was read of it.")
        return redirect("context_of", slug)
    documents = queries.documents(principal, found).count()
    context = {"section": "context", "source": found, "documents": documents, "trail": trail_of_source(found, "Remove")}
    return show(request, "pages/context/source_remove.html", context, form=form)


@screen("GET")
def progress(request: HttpRequest, slug: str, name: str, uid: str) -> HttpResponse:
    """Returns how far a reading is, as a fragment that asks again; when it ended, the page is loaded anew."""
    principal = principal_of(request)
    found = queries.source_by_ref(principal, slug, name)
    row = tenants.one_of(queries.with_progress(queries.imports(principal, found)), "import", uid=uid)
    if not is_partial(request):
        return redirect("source", slug, name)
    context = {
        "source": found,
        **_progress(principal, [row]),
        "is_cleared": found.sensitivity <= principal.clearance,
        "works": authority.contributes(principal, found.owner),
    }
    response = render(request, "pages/context/progress.html", context)
    if row.state not in OPEN:
        response.headers["HX-Refresh"] = "true"
    return response


ACTS: Final = {
    "pause": (reading.pause_import, "The reading is paused."),
    "resume": (reading.resume_import, "The reading goes on."),
    "retry": (reading.retry_import, "What failed is tried again."),
    "cancel": (reading.cancel_import, "The reading is cancelled. What it has read stays."),
}


@screen("POST")
def act_on(request: HttpRequest, slug: str, name: str, uid: str, act: str) -> HttpResponse:
    """Pauses, resumes, retries or cancels a reading."""
    principal = principal_of(request)
    found = queries.source_by_ref(principal, slug, name)
    row = tenants.one_of(queries.imports(principal, found), "import", uid=uid)
    service, sentence = ACTS[act]
    row = service(actor=principal, row=row)
    if row.state == Import.State.QUEUED:
        wake(row)
    messages.success(request, sentence)
    return redirect("source", slug, name)


def trail_of_source(found: Source, *names: str) -> list[Crumb]:
    """Returns the breadcrumb down to a source, or to something that is done with it."""
    here = reverse("source", args=[found.owner.slug, found.slug]) if names else ""
    return trail_of(found.owner, (found.name, here), *((name, "") for name in names))
