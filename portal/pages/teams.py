"""The tier tree, and the page of one tenant: a team, a domain or the platform."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from audit import queries as audit
from blueprints.queries import forks as fork_queries
from blueprints.queries import library, repositories
from kernel.errors import Invalid
from portal.pages import asking, federation, trails
from portal.pages.screens import principal_of, screen, submit
from portal.parts import readiness
from portal.parts.navigation import Crumb
from registry import queries as registry
from tenants import authority, services
from tenants import queries as tenants
from tenants.identity import sign_in_groups
from tenants.models import Membership, SignInGroup, Tenant
from tenants.principals import Principal
from tenants.rules import MAX_GROUP, ROLES_OF_TIER, Role, Tier
from tenants.together import together, totals

SHOWN = 50
GROUPS = 8


class RoleForm(forms.Form):
    """A role for somebody."""

    person = forms.CharField(max_length=254, help_text="Their handle or address.")
    role = forms.ChoiceField()

    def __init__(self, tenant: Tenant, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["role"].choices = _roles_of(tenant)  # type: ignore[attr-defined]


class RuleForm(forms.Form):
    """A role for a group from sign-in."""

    group = forms.CharField(max_length=MAX_GROUP)
    role = forms.ChoiceField()

    def __init__(self, tenant: Tenant, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["role"].choices = _roles_of(tenant)  # type: ignore[attr-defined]


def _roles_of(tenant: Tenant) -> list[tuple[str, str]]:
    roles = sorted(ROLES_OF_TIER[Tier(tenant.tier)])
    return [(role, role.replace("_", " ").capitalize()) for role in roles]


@screen("GET")
def teams(request: HttpRequest) -> HttpResponse:
    """Shows the federation as a tree: the platform, its domains, and under each the teams that are in it."""
    principal = principal_of(request)
    nodes = list(tenants.tenant_tree(principal))
    by_tier = {tier: [node for node in nodes if node.tier == tier] for tier in ("platform", "domain", "team")}
    context = {
        "section": "teams",
        "platform": next(iter(by_tier["platform"]), None),
        "domains": by_tier["domain"],
        "free": [node for node in by_tier["team"] if not node.seen_domains],  # type: ignore[attr-defined]
        "total": len(by_tier["team"]),
        "people": {node.pk: node.people for node in nodes},  # type: ignore[attr-defined]
        "mine": set(principal.access.roles),
        "is_admin": principal.access.is_platform_admin,
        "opens": authority.opens(principal),
    }
    return render(request, "pages/teams/tree.html", context)


@screen("GET")
def tenant(request: HttpRequest, slug: str) -> HttpResponse:
    """Shows one tenant: who is in it, what it owns, what it is part of."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    return _render(request, principal, node)


@screen("GET", "POST")
def give_role(request: HttpRequest, slug: str) -> HttpResponse:
    """Gives a person a role in a tenant."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    authority.require_keeper(principal, node, "give roles")
    form = RoleForm(node, asking.sent(request))

    def act(data: dict[str, str]) -> Membership:
        person = tenants.person_to_admit(principal, node, data["person"])
        return services.give_role(actor=principal, person=person, tenant=node, role=Role(data["role"]))

    if (membership := asking.answered(form, act)) is not None:
        messages.success(request, f"{membership.person.name} has the role now.")
        return redirect("tenant", slug)
    question = asking.Question(
        title=f"Give a role in {node.name}",
        button="Give the role",
        tone="main",
        back=reverse("tenant", args=[slug]),
        section="teams",
        trail=trails.under(node, *trails.plain(("Give a role", ""))),
    )
    return asking.ask(request, question, form)


@screen("POST")
def take_role(request: HttpRequest, slug: str) -> HttpResponse:
    """Takes a role away from a person."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    person = tenants.person_by_handle(principal, request.POST.get("person", ""))
    role = request.POST.get("role", "")
    if role not in list(Role):
        raise Invalid("There is no such role.", errors={"role": ["Unknown."]})
    services.take_role(actor=principal, person=person, tenant=node, role=Role(role))
    messages.success(request, f"{person.name} has the role no longer.")
    return redirect("tenant", slug)


@screen("POST")
def add_rule(request: HttpRequest, slug: str) -> HttpResponse:
    """Gives a role to a group from sign-in."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    form = RuleForm(node, request.POST)

    def act(data: dict[str, str]) -> SignInGroup:
        return sign_in_groups.add_sign_in_group(
            actor=principal, tenant=node, name=data["group"], role=Role(data["role"])
        )

    if (rule := submit(form, act)) is None:
        return _render(request, principal, node, form, status=422)
    messages.success(request, f"Who signs in with “{rule.name}” has the role from then on.")
    return redirect("tenant", slug)


@screen("POST")
def remove_rule(request: HttpRequest, slug: str) -> HttpResponse:
    """Takes a role from a group from sign-in, and with it what it alone gave."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    rule = tenants.sign_in_group_by_uid(principal, node, request.POST.get("rule", ""))
    sign_in_groups.remove_sign_in_group(actor=principal, rule=rule)
    messages.success(request, f"“{rule.name}” gives no role here any longer.")
    return redirect("tenant", slug)


def _render(
    request: HttpRequest,
    principal: Principal,
    node: Tenant,
    rule_form: RuleForm | None = None,
    status: int = 200,
) -> HttpResponse:
    found = _found(principal, node)
    linked = found["linked"]
    for row in found["repositories"]:
        row.standing = readiness.standing_now(row)
    context = {
        **found,
        "section": "teams",
        "node": node,
        "rule_form": rule_form or RuleForm(node),
        "signs_in_by": settings.HANSE.oidc,
        "keeps": authority.keeps(principal, node),
        "works": authority.contributes(principal, node),
        "joinable": federation.joinable(principal, node, found["free"]),
        "releasable": {other.pk for other in linked if _admits(principal, node, other)},
        "log": next(iter(found["logs"]), None),
        "trail": [Crumb("Teams", reverse("teams")), *_above(node, linked), Crumb(node.name, "", node.tier)],
    }
    return render(request, "pages/teams/tenant.html", context, status=status)


def _found(principal: Principal, node: Tenant) -> dict[str, Any]:
    """Returns all that the page shows beside the tenant itself, by one query; `of_servers` are how many there are."""
    below = tenants.domains_of if node.tier == Tier.TEAM else tenants.teams_in
    linked = below(principal, node)
    panels: dict[str, QuerySet[Any]] = {
        "members": tenants.memberships(principal, node),
        "agents": tenants.agents(principal).filter(home=node),
        "servers": registry.servers(principal).filter(owner=node),
        "published": library.blueprints(principal).filter(owner=node),
        "forks": fork_queries.forks(principal).filter(owner=node, status="active"),
    }
    found = together(
        **{name: rows[:SHOWN] for name, rows in panels.items()},
        **{f"of_{name}": totals(rows, n=Count("pk")) for name, rows in panels.items()},
        linked=linked,
        free=federation.free(principal, node, linked),
        rules=tenants.sign_in_groups(principal, node)[:SHOWN],
        repositories=repositories.repositories(principal).filter(owner=node)[:GROUPS],
        groups=registry.tool_groups(principal).filter(owner=node, server=None)[:GROUPS],
        logs=audit.streams(principal.access.visible).filter(scope=node.pk)[:1],
    )
    return found | {f"of_{name}": found[f"of_{name}"][0]["n"] for name in panels}


def _admits(principal: Principal, node: Tenant, other: Tenant) -> bool:
    """Tells whether the link of a team and a domain is this principal's to undo: they keep the domain."""
    if node.tier == Tier.PLATFORM:
        return False
    return authority.keeps(principal, other if node.tier == Tier.TEAM else node)


def _above(node: Tenant, linked: list[Tenant]) -> list[Crumb]:
    """A team that is in one domain hangs below it; in several, no single path would be true."""
    domains = linked if node.tier == Tier.TEAM else []
    if len(domains) != 1:
        return []
    return trails.under(domains[0])[1:]
