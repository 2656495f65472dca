"""The shape of the federation: tenants are made and described, and teams join and leave domains."""

from collections.abc import Sequence

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from portal.pages import trails
from portal.pages.screens import principal_of, screen, show, submit
from tenants import authority, services
from tenants import queries as tenants
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.rules import Concern, Origin, Tier, choices_of

TIERS = [(Tier.TEAM.value, "Team"), (Tier.DOMAIN.value, "Domain")]
CONCERNS = [("", "None: it is a team"), *((concern.value, concern.value.capitalize()) for concern in Concern)]
ORIGINS = choices_of(Origin)
OFFERED = 200
"""Names that a form suggests; others can be typed."""


class TenantForm(forms.Form):
    """A new team or domain."""

    tier = forms.ChoiceField(choices=TIERS, help_text="A team owns servers and agents; a domain governs teams.")
    name = forms.CharField(max_length=120)
    slug = forms.SlugField(
        label="Short name",
        max_length=48,
        help_text="In addresses and in the log: a-z, 0-9 and hyphens. It never changes.",
    )
    concern = forms.ChoiceField(
        choices=CONCERNS, required=False, help_text="What a domain is about. Only for a domain."
    )
    origin = forms.ChoiceField(choices=ORIGINS, help_text="Where the team comes from.")
    region = forms.CharField(max_length=48, required=False)
    summary = forms.CharField(max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 2}))


class DescriptionForm(forms.Form):
    """What a tenant says about itself. Its tier and its short name never change."""

    name = forms.CharField(max_length=120)
    summary = forms.CharField(max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 3}))
    region = forms.CharField(max_length=48, required=False)
    version = forms.IntegerField(widget=forms.HiddenInput)


@screen("GET", "POST")
def create(request: HttpRequest) -> HttpResponse:
    """Makes a team or a domain; only for platform admins."""
    principal = principal_of(request)
    authority.require_platform_admin(principal, "create tenants")
    form = TenantForm(request.POST or None, initial={"tier": request.GET.get("tier", "")})

    def act(data: dict[str, str]) -> Tenant:
        return services.create_tenant(
            actor=principal,
            tier=Tier(data["tier"]),
            slug=data["slug"],
            name=data["name"],
            concern=data["concern"],
            region=data["region"],
            origin=data["origin"],
            summary=data["summary"],
        )

    if request.method == "POST" and (node := submit(form, act)) is not None:
        messages.success(request, f"{node.name} is there. Give somebody a role in it.")
        return redirect("tenant", node.slug)
    trail = trails.plain(("Teams", reverse("teams")), ("New", ""))
    return show(request, "pages/teams/new.html", {"section": "teams", "trail": trail}, form=form)


@screen("GET", "POST")
def describe(request: HttpRequest, slug: str) -> HttpResponse:
    """Changes what a tenant says about itself; for who keeps it."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    authority.require_keeper(principal, node, "change the description")
    present = {name: getattr(node, name) for name in ("name", "summary", "region", "version")}
    form = DescriptionForm(request.POST or None, initial=present)

    def act(data: dict[str, str]) -> Tenant:
        version = int(data.pop("version"))
        return services.change_tenant(actor=principal, tenant=node, expected_version=version, **data)

    if request.method == "POST" and (changed := submit(form, act)) is not None:
        messages.success(request, f"{changed.name} is described anew.")
        return redirect("tenant", slug)
    context = {"section": "teams", "node": node, "trail": trails.under(node, *trails.plain(("Edit", "")))}
    return show(request, "pages/teams/edit.html", context, form=form)


@screen("POST")
def join(request: HttpRequest, slug: str) -> HttpResponse:
    """Lets a team into a domain, from the page of either."""
    principal = principal_of(request)
    team, domain = _pair(request, principal, slug)
    services.join_domain(actor=principal, team=team, domain=domain)
    messages.success(request, f"{team.name} is in {domain.name} now and inherits what it publishes.")
    return redirect("tenant", slug)


@screen("POST")
def leave(request: HttpRequest, slug: str) -> HttpResponse:
    """Takes a team out of a domain, from the page of either."""
    principal = principal_of(request)
    team, domain = _pair(request, principal, slug)
    services.leave_domain(actor=principal, team=team, domain=domain)
    messages.success(request, f"{team.name} is no longer in {domain.name}: its agents lose the domain's tools.")
    return redirect("tenant", slug)


def free(principal: Principal, node: Tenant, linked: QuerySet[Tenant]) -> QuerySet[Tenant]:
    """Returns the visible domains that a team is not in, or the teams that are not in a domain, as many as are offered.

    Who keeps no domain could link none of them, so for them there are none.
    """
    if node.tier == Tier.PLATFORM or not authority.opens(principal):
        return linked.none()
    tier = Tier.DOMAIN if node.tier == Tier.TEAM else Tier.TEAM
    return tenants.tenants(principal).filter(tier=tier).exclude(pk__in=linked.order_by().values("pk"))[:OFFERED]


def joinable(principal: Principal, node: Tenant, found: Sequence[Tenant]) -> list[Tenant]:
    """Returns which of the free ones this principal could link with a tenant: domains they keep, or teams they see."""
    if node.tier == Tier.DOMAIN:
        return list(found) if authority.keeps(principal, node) else []
    return [domain for domain in found if authority.keeps(principal, domain)]


def _pair(request: HttpRequest, principal: Principal, slug: str) -> tuple[Tenant, Tenant]:
    node = tenants.tenant_by_slug(principal, slug)
    other = tenants.tenant_by_slug(principal, request.POST.get("other", "").strip())
    return (node, other) if node.tier == Tier.TEAM else (other, node)
