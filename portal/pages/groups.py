"""Tool groups: named sets of one owner's tools, which delegations grant as a whole."""

from django import forms
from django.contrib import messages
from django.db.models import Count, F, Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from kernel import clock
from kernel.errors import Conflict
from portal.pages import lists, trails
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import principal_of, screen, show, submit
from portal.parts.navigation import Crumb
from registry import queries as registry
from registry import services
from registry.models import Tool, ToolGroup
from tenants import authority
from tenants import queries as tenants
from tenants.models import Tenant
from tenants.principals import Principal

KINDS = [("named", "Named by people"), ("server", "Of one server")]
COLUMNS = (
    ("slug", lambda row: row.slug),
    ("name", lambda row: row.name),
    ("server", lambda row: row.server.slug if row.server else ""),
    ("tools", lambda row: row.held),
    ("created_at", lambda row: row.created_at),
)
LISTING = Listing(
    facets=(Facet("kind", "Kind", KINDS, lambda value: Q(server__isnull=value == "named")),),
    sorts=(
        Sort("name", "Group", F("slug")),
        Sort("tools", "Tools", F("held"), newest_first=True),
        Sort("created", "Since", F("created_at"), newest_first=True),
    ),
    search=lambda words: Q(slug__icontains=words) | Q(name__icontains=words),
    columns=COLUMNS,
    name="tool-groups",
)


class ToolsForm(forms.Form):
    """The tools of a group: those it has, and those of its owner that fit the search."""

    tools = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)

    SHOWN = 50

    def __init__(
        self, principal: Principal, owner: Tenant, words: str, held: list[Tool], *args: object, **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        own = registry.tools(principal).filter(owner=owner)
        fitting = own.filter(state="approved")
        for word in words.split()[:4]:
            fitting = fitting.filter(Q(name__icontains=word) | Q(server__slug__icontains=word))
        shown = list(fitting[: self.SHOWN])
        asked = self.data.getlist("tools") if isinstance(self.data, QueryDict) else []
        chosen = list(own.filter(uid__in=[uid for uid in asked if len(uid) == 36])) if asked else []
        self.found = {str(tool.uid): tool for tool in (*held, *chosen, *shown)}
        self.is_cut = len(shown) == self.SHOWN
        choices = [(uid, f"{tool.name} ({tool.server.name})") for uid, tool in self.found.items()]
        self.fields["tools"].choices = choices  # type: ignore[attr-defined]


class GroupForm(ToolsForm):
    """A new group."""

    name = forms.CharField(max_length=120)
    slug = forms.SlugField(
        label="Short name", max_length=48, help_text="Delegations name it: a-z, 0-9 and hyphens. It never changes."
    )
    field_order = ("name", "slug", "tools")


class ChangeForm(ToolsForm):
    """Exactly the tools that a group has from now on."""

    version = forms.IntegerField(widget=forms.HiddenInput)


@screen("GET")
def groups(request: HttpRequest, slug: str) -> HttpResponse:
    """Lists the tool groups of a tenant, or exports them."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    rows = registry.tool_groups(principal).filter(owner=node).annotate(held=Count("tools"))
    if (file := lists.export(request, rows, LISTING)) is not None:
        return file
    context = {
        "section": "teams",
        "node": node,
        "page": lists.list_page(request, rows, LISTING),
        "keeps": authority.keeps(principal, node),
        "trail": trails.under(node, *trails.plain(("Tool groups", ""))),
    }
    return show(request, "pages/groups/list.html", context, part="results")


@screen("GET")
def group(request: HttpRequest, slug: str) -> HttpResponse:
    """Shows one group: its tools, and the live delegations that name it."""
    principal = principal_of(request)
    row = registry.group_by_slug(principal, slug)
    present = clock.now()
    named = tenants.delegations(principal).filter(tool_groups__contains=[row.slug], revoked_at=None)
    context = {
        "section": "teams",
        "group": row,
        "tools": list(registry.tools(principal).filter(groups=row)[:500]),
        "delegations": list(named.filter(not_before__lte=present, not_after__gt=present)[:50]),
        "keeps": authority.keeps(principal, row.owner),
        "trail": _trail(row.owner, row.name),
    }
    return show(request, "pages/groups/page.html", context)


@screen("GET", "POST")
def create(request: HttpRequest, slug: str) -> HttpResponse:
    """Makes a tool group; for who keeps the owner."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    authority.require_keeper(principal, node, "create tool groups")
    words = request.GET.get("tools", "")[:100]
    form = GroupForm(principal, node, words, [], request.POST or None)

    def act(data: dict[str, str]) -> ToolGroup:
        tools = [form.found[uid] for uid in data["tools"]]
        return services.create_group(actor=principal, owner=node, slug=data["slug"], name=data["name"], tools=tools)

    if request.method == "POST" and (row := submit(form, act)) is not None:
        messages.success(request, f"{row.name} is there. Delegations can name it from now on.")
        return redirect("group", row.slug)
    context = {"section": "teams", "node": node, "words": words, "trail": _trail(node, "New")}
    return show(request, "pages/groups/form.html", context, form=form)


@screen("GET", "POST")
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Changes the tools of a group; a server's own group is kept by approvals."""
    principal = principal_of(request)
    row = registry.group_by_slug(principal, slug)
    authority.require_keeper(principal, row.owner, "change tool groups")
    if row.server is not None:
        raise Conflict("A server's own group holds its approved tools; approve or reject tools instead.")
    words = request.GET.get("tools", "")[:100]
    held = list(registry.tools(principal).filter(groups=row))
    initial = {"tools": [str(tool.uid) for tool in held], "version": row.version}
    form = ChangeForm(principal, row.owner, words, held, request.POST or None, initial=initial)

    def act(data: dict[str, str]) -> ToolGroup:
        tools = [form.found[uid] for uid in data["tools"]]
        return services.change_group(actor=principal, group=row, tools=tools, expected_version=int(data["version"]))

    if request.method == "POST" and (changed := submit(form, act)) is not None:
        messages.success(request, f"{changed.name} has these tools from the next call on.")
        return redirect("group", slug)
    trail = [*_trail(row.owner, "")[:-1], *trails.plain((row.name, reverse("group", args=[slug])), ("Change", ""))]
    context = {"section": "teams", "node": row.owner, "group": row, "words": words, "trail": trail}
    return show(request, "pages/groups/form.html", context, form=form)


def _trail(owner: Tenant, name: str) -> list[Crumb]:
    """Returns the breadcrumb down to one group."""
    return trails.under(owner, *trails.plain(("Tool groups", reverse("groups", args=[owner.slug])), (name, "")))
