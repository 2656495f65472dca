"""An HTTP API as a server: its document, its operations, and which of them are tools."""

from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from kernel.errors import Invalid
from portal.pages import trails
from portal.pages.screens import principal_of, screen, show, submit
from registry import documents, wrapping
from registry import queries as registry
from registry.addresses import AddressPolicy
from registry.models import ApiDocument, Server
from registry.openapi.apis import MAX_TAKEN, still_there
from registry.openapi.operations import Operation
from registry.openapi.reading import MAX_BYTES
from registry.wrapping import Choice
from tenants import authority
from tenants import queries as tenants
from tenants.principals import Principal

MAX_SHOWN: Final = 300


class DocumentField(forms.Form):
    """An OpenAPI document, as a file or pasted."""

    file = forms.FileField(
        label="Document",
        required=False,
        allow_empty_file=True,
        help_text=f"OpenAPI 3.0 or 3.1, JSON or YAML, at most {MAX_BYTES // 1_000_000} MB, in one file.",
    )
    document = forms.CharField(
        label="Or its text",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
    )

    def clean(self) -> dict[str, Any]:
        """Returns the data, with the document's bytes under `document`. A file that is too large is not read at all."""
        data: dict[str, Any] = super().clean() or {}
        file = data.get("file")
        if isinstance(file, UploadedFile):
            if (file.size or 0) > MAX_BYTES:
                said = f"The document has {file.size:,} bytes; at most {MAX_BYTES:,} are read."
                self.add_error("file", said)
            else:
                data["document"] = file.read(MAX_BYTES + 1)
        elif not data.get("document") and not self.errors:
            self.add_error("document", "Choose a file, or paste its text.")
        return data


class WrapForm(DocumentField):
    """A new API."""

    owner = forms.ChoiceField(label="Owner", help_text="Who answers for it: a team, a domain or the platform.")
    name = forms.CharField(max_length=120, help_text="As people call it.")
    slug = forms.SlugField(
        label="Short name",
        max_length=48,
        help_text="In addresses and tool names: a-z, 0-9 and hyphens. It never changes.",
    )
    summary = forms.CharField(max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    url = forms.CharField(
        label="Base address",
        max_length=500,
        required=False,
        help_text="Where its paths begin. Left empty, it is the first server that the document names.",
    )
    field_order = ("owner", "name", "slug", "summary", "url", "file", "document")

    def __init__(self, principal: Principal, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.owners = {node.slug: node for node in tenants.tenants(principal) if authority.contributes(principal, node)}
        self.fields["owner"].choices = [(slug, node.name) for slug, node in self.owners.items()]  # type: ignore[attr-defined]


@screen("GET", "POST")
def wrap(request: HttpRequest) -> HttpResponse:
    """Registers an HTTP API as a draft, from its document."""
    principal = principal_of(request)
    initial = {"owner": request.GET.get("owner", "")}
    form = WrapForm(principal, request.POST or None, request.FILES or None, initial=initial)

    def act(data: dict[str, Any]) -> Server:
        return wrapping.wrap_api(
            actor=principal,
            owner=form.owners[data["owner"]],
            slug=data["slug"],
            name=data["name"],
            summary=data["summary"],
            url=data["url"],
            document=data["document"],
            addresses=AddressPolicy(settings.HANSE.upstream_allow),
            later=True,
        )

    if request.method == "POST" and (server := submit(form, act)) is not None:
        messages.success(request, f"{server.name} is registered as a draft. Look at its operations.")
        return redirect("server_tab", server.slug, "operations")
    trail = trails.plain(("Catalog", reverse("catalog")), ("Wrap an HTTP API", ""))
    return show(request, "pages/server/wrap.html", {"section": "catalog", "trail": trail}, form=form)


@screen("POST")
def propose(request: HttpRequest, slug: str) -> HttpResponse:
    """Puts another document beside the present one, to be looked at."""
    principal = principal_of(request)
    server = registry.server_by_slug(principal, slug)
    authority.require_contributor(principal, server.owner, "change documents of HTTP APIs")
    form = DocumentField(request.POST, request.FILES)

    def act(data: dict[str, Any]) -> ApiDocument:
        return wrapping.propose_document(actor=principal, server=server, document=data["document"])

    if submit(form, act) is None:
        crumbs = trails.plain((server.name, reverse("server", args=[slug])), ("New document", ""))
        context = {"section": "catalog", "server": server, "trail": trails.under(server.owner, *crumbs)}
        return show(request, "pages/server/document.html", context, form=form)
    messages.success(request, "The new document is here to be looked at. No tool has changed yet.")
    return redirect("server_tab", slug, "operations")


@screen("POST")
def discard(request: HttpRequest, slug: str) -> HttpResponse:
    """Removes the proposed document."""
    principal = principal_of(request)
    wrapping.discard_document(actor=principal, server=registry.server_by_slug(principal, slug))
    messages.success(request, "The proposed document is discarded. The tools stay as they are.")
    return redirect("server_tab", slug, "operations")


@screen("POST")
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """Shows what a choice of operations would do, before anything is done."""
    principal = principal_of(request)
    server = registry.server_by_slug(principal, slug)
    authority.require_contributor(principal, server.owner, "change documents of HTTP APIs")
    kept = documents.document_of(principal, server)
    crumbs = trails.plain((server.name, reverse("server", args=[slug])), ("Operations", ""))
    context: dict[str, object] = {
        "section": "catalog",
        "server": server,
        "kept": kept,
        "trail": trails.under(server.owner, *crumbs),
    }
    try:
        chosen = _choice(request.POST).of(documents.described(kept.proposed or kept.text))
    except Invalid as error:
        form = forms.Form(data={})
        form.add_error(None, error.message)
        return show(request, "pages/server/preview.html", context, form=form)
    context |= {"taking": chosen, "found": documents.preview(principal, server, chosen)}
    return show(request, "pages/server/preview.html", context)


@screen("POST")
def take(request: HttpRequest, slug: str) -> HttpResponse:
    """Makes the chosen operations the server's tools: what was previewed, or nothing when something else happened."""
    principal = principal_of(request)
    server = registry.server_by_slug(principal, slug)
    version = request.POST.get("version", "")
    kept = wrapping.take_document(
        actor=principal,
        server=server,
        choice=_choice(request.POST),
        proposed=request.POST.get("proposed") == "1",
        expected_version=int(version[:9]) if version.isdecimal() else None,
    )
    messages.success(request, f"{len(kept.chosen)} operations are tools of {server.name}. New and changed ones wait.")
    return redirect("server", slug)


def operations_tab(request: HttpRequest, principal: Principal, server: Server) -> dict[str, object]:
    """Returns what the tab of a server's operations shows: of the proposed document, where there is one."""
    kept = documents.document_of(principal, server)
    api = documents.described(kept.proposed or kept.text)
    words, tag = request.GET.get("q", "").strip().lower(), request.GET.get("tag", "")
    fitting = [op for op in api.operations if _fits(op, words, tag)]
    ticked = set(still_there(api, kept.chosen))
    shown = fitting[:MAX_SHOWN]
    return {
        "kept": kept,
        "api": api,
        "form": DocumentField(),
        "rows": [(op, op.key in ticked) for op in shown],
        "carried": sorted(ticked - {op.key for op in shown}),
        "hidden": len(fitting) - len(shown),
        "tags": sorted({name for op in api.operations for name in op.tags}),
        "q": words,
        "tag": tag,
        "most": MAX_TAKEN,
        "usable": len(api.usable),
        "ticked": len(ticked),
    }


def _fits(operation: Operation, words: str, tag: str) -> bool:
    text = f"{operation.key} {operation.name} {operation.summary}".lower()
    return all(word in text for word in words.split()[:4]) and (not tag or tag in operation.tags)


def _choice(data: QueryDict) -> Choice:
    tags = [tag for tag in data.getlist("tags") if tag]
    choice = Choice(keys=data.getlist("take"), tags=tags, paths=data.get("paths", "").split())
    if not (choice.keys or choice.tags or choice.paths):
        # Elsewhere no choice means all that there is; who has unticked everything means the opposite.
        raise Invalid("Tick at least one operation, or give a tag or a path. To serve none, quarantine the server.")
    return choice
