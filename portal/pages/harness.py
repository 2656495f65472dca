"""The harness of a tenant: what is in force and where it comes from, its own layer as text, and its changes."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString

from blueprints.format.reading import MAX_BYTES
from blueprints.harness.editing import text_of
from blueprints.models import Layer
from blueprints.queries import harness
from blueprints.services.harness import write_layer
from kernel.errors import PreconditionFailed
from portal.pages import trails
from portal.pages.screens import is_partial, principal_of, screen, submit
from portal.parts import diff
from portal.parts import harness as parts
from tenants import authority
from tenants import queries as tenants
from tenants.models import Tenant
from tenants.principals import Principal

CHANGES: Final = 30
"""How many changes of a layer the page shows, each with what was different before it."""


class LayerForm(forms.Form):
    """A whole layer as YAML, on the version that was read."""

    text = forms.CharField(
        label="The layer",
        max_length=MAX_BYTES,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 28, "spellcheck": "false"}),
        help_text="Checks, what you tighten of those above, and waivers of your own checks. Comments are not kept.",
    )
    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, node: Tenant, own: Layer | None, data: Any = None) -> None:
        present = {"text": text_of(harness.document_of(own, node)), "version": own.version if own else 0}
        super().__init__(data, initial=present)
        judged = {"hx-target": "#judged", "hx-swap": "outerHTML", "hx-trigger": "input changed delay:400ms"}
        asking = {"hx-post": reverse("harness_preview", args=[node.slug]), "hx-include": "closest form"}
        self.fields["text"].widget.attrs |= {**asking, **judged, "hx-sync": "this:replace"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a layer: the row of its history, and the lines that are different."""

    row: Any
    lines: SafeString


@screen("GET")
def show(request: HttpRequest, slug: str) -> HttpResponse:
    """Shows every check in force with its source, what fits no more, and who inherits what this tenant demands."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    found, teams, lapsed = harness.overview_of(principal, node)
    context = {
        **frame(principal, node, "In force"),
        "found": found,
        "tiers": parts.tiers(found),
        "blocking": sum(check.blocking and not check.waived for check in found.checks),
        "entries": list(parts.entries(found)),
        "waivers": parts.own_waivers(found),
        "teams": teams,
        "lapsed": [*found.lapsed, *lapsed],
        "trail": trails.under(node, *trails.plain(("Harness", ""))),
    }
    return render(request, "pages/harness/page.html", context)


@screen("GET", "POST")
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Shows the layer as text for who keeps the tenant, and writes it."""
    principal, node, own = kept(request, slug, "write harness layers")
    form = LayerForm(node, own, request.POST or None)

    def act(data: dict[str, Any]) -> Layer:
        return write_layer(actor=principal, owner=node, text=data["text"], expected_version=data["version"])

    if request.method != "POST":
        return _editor(request, node, form)
    try:
        written = submit(form, act)
    except PreconditionFailed:
        return _overtaken(request, node, own)
    if written is None:
        return _editor(request, node, form, status=422)
    messages.success(request, f"The layer of {node.name} is written. It is in force now.")
    return redirect("harness", slug)


@screen("POST")
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """Says what writing the text would do: beside the editor as one types, or with the whole page."""
    principal, node, own = kept(request, slug, "write harness layers")
    form = LayerForm(node, own, request.POST)
    text = request.POST.get("text", "")[: MAX_BYTES + 1]
    judged = harness.preview(principal, node, text=text)
    if is_partial(request):
        return render(request, "pages/harness/judged.html", {"judged": judged, "node": node})
    return _editor(request, node, form, judged=judged)


@screen("GET")
def changes(request: HttpRequest, slug: str) -> HttpResponse:
    """Shows who changed the layer when, and what."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    own = harness.layer_of(principal, node)
    rows: list[Any] = list(harness.layer_history(own)[: CHANGES + 1]) if own else []
    before = [*rows, None] if len(rows) <= CHANGES else rows
    context = {
        **frame(principal, node, "Changes"),
        "changes": [_change(node, newer, older) for newer, older in pairwise(before)],
        "trail": trails.under(node, *trails.plain(("Harness", reverse("harness", args=[slug])), ("Changes", ""))),
    }
    return render(request, "pages/harness/changes.html", context)


def frame(principal: Principal, node: Tenant, here: str) -> dict[str, Any]:
    """Returns what all pages of a harness share: whose it is, who may write it, and the tabs."""
    addresses = {"In force": "harness", "Changes": "harness_changes"}
    tabs = [
        {"name": name, "url": reverse(route, args=[node.slug]), "here": name == here}
        for name, route in addresses.items()
    ]
    return {"section": "teams", "node": node, "keeps": authority.keeps(principal, node), "tabs": tabs}


def kept(request: HttpRequest, slug: str, act: str) -> tuple[Principal, Tenant, Layer | None]:
    """Returns who asks, the tenant and its layer, for who keeps the tenant. Raises `Forbidden` for everybody else."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    authority.require_keeper(principal, node, act)
    return principal, node, harness.layer_of(principal, node)


def _editor(request: HttpRequest, node: Tenant, form: forms.Form, *, status: int = 200, **more: object) -> HttpResponse:
    crumbs = trails.plain(("Harness", reverse("harness", args=[node.slug])), ("Layer", ""))
    context = {"section": "teams", "node": node, "form": form, "trail": trails.under(node, *crumbs), **more}
    return render(request, "pages/harness/edit.html", context, status=status)


def _overtaken(request: HttpRequest, node: Tenant, own: Layer | None) -> HttpResponse:
    """Shows the writer's text again, on the present version, with what is different in it: nothing typed is lost."""
    text = request.POST.get("text", "")
    form = LayerForm(node, own, {"text": text, "version": own.version if own else 0})
    lines = diff.line_diff(text_of(harness.document_of(own, node)), text)
    return _editor(request, node, form, status=412, overtaken=lines)


def _change(node: Tenant, newer: Any, older: Any) -> Change:
    before, after = (
        text_of(harness.document_of(None, node) if row is None else row.document) for row in (older, newer)
    )
    return Change(newer, diff.line_diff(before, after))
