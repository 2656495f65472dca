"""Repositories: what each is fit for, what it lacks for more, and the measurement under way."""

import json
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from blueprints import tasks
from blueprints.classification.signals import LEVELS
from blueprints.classification.standing import hindrance_of
from blueprints.models import Repository
from blueprints.queries import repositories as queries
from blueprints.services import repositories as services
from blueprints.services.credentials import set_repository_credential
from kernel import clock
from kernel.errors import Invalid, Unavailable
from portal.keyring import record_verifier
from portal.pages import lists, trails
from portal.pages.access import GitCredentialForm, WithCredential, typed
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import is_partial, principal_of, screen, show, submit
from portal.parts import readiness
from portal.parts.navigation import Crumb
from portal.sources import repository_sources
from registry.git.wire import is_about_credentials
from tenants import authority
from tenants import queries as tenants
from tenants.principals import Principal
from tenants.rules import Tier

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
CHANGES = 30
LEVEL_CHOICES = [(str(number), f"{number}, {name}") for number, name in enumerate(LEVELS)]
COLUMNS = (
    ("team", lambda row: row.owner.slug),
    ("slug", lambda row: row.slug),
    ("name", lambda row: row.name),
    ("url", lambda row: row.url),
    ("branch", lambda row: row.branch),
    ("pattern", lambda row: str(readiness.standing_now(row).pattern)),
    ("because", lambda row: str(readiness.standing_now(row).because)),
    ("level", lambda row: row.level),
    ("state", lambda row: row.state_at(clock.now())),
    ("commit", lambda row: row.commit),
    ("measured_at", lambda row: row.measured_at),
    ("expires_at", lambda row: row.expires_at),
    ("fault", lambda row: row.fault),
)


class PlaceForm(forms.Form):
    """Where a repository is, and how people call it."""

    name = forms.CharField(max_length=120, help_text="As people call it.")
    url = forms.CharField(
        label="Address",
        max_length=500,
        help_text="https://… of a repository, or file:///… below a directory that the operator listed.",
    )
    branch = forms.CharField(max_length=200, required=False, help_text="Empty: the repository's own choice.")


class RepositoryForm(PlaceForm, WithCredential):
    """A new repository of a team in which one works, and what its server asks for."""

    team = forms.ChoiceField()
    slug = forms.CharField(
        label="Short name",
        max_length=48,
        help_text="In addresses and in the log: a-z, 0-9 and hyphens. It never changes.",
    )
    field_order = ("team", "name", "slug", "url", "branch", "username", "secret")

    def __init__(self, principal: Principal, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        nodes = tenants.tenants(principal).filter(tier=Tier.TEAM)
        self.teams = {node.slug: node for node in nodes if authority.contributes(principal, node)}
        self.fields["team"].choices = [(slug, node.name) for slug, node in self.teams.items()]  # type: ignore[attr-defined]


class RepositoryEditForm(PlaceForm):
    """A repository as it will be."""

    version = forms.IntegerField(widget=forms.HiddenInput)


def _listing(principal: Principal) -> Listing:
    now = clock.now()
    teams = [("mine", "My teams"), *((node.slug, node.name) for node in tenants.tenants(principal).filter(tier="team"))]
    mine = Q(owner__in=list(principal.access.roles))
    facets = (
        Facet("team", "Team", teams, lambda value: mine if value == "mine" else Q(owner__slug=value)),
        Facet("pattern", "Pattern", Repository.Pattern.choices, lambda value: queries.in_pattern(value, now)),
        Facet("level", "Level", LEVEL_CHOICES, lambda value: Q(level=int(value))),
        Facet("state", "State", queries.STATE_CHOICES, lambda value: queries.in_state(value, now)),
    )
    sorts = (
        Sort("name", "Repository", F("slug")),
        Sort("team", "Team", F("owner__slug")),
        Sort("level", "Level", Coalesce(F("level"), Value(-1)), newest_first=True),
        Sort("measured", "Measured", Coalesce(F("measured_at"), Value(LONG_AGO)), newest_first=True),
    )
    return Listing(facets=facets, sorts=sorts, search=_search, columns=COLUMNS, name="repositories")


def _search(words: str) -> Q:
    return Q(slug__icontains=words) | Q(name__icontains=words) | Q(url__icontains=words)


@screen("GET")
def repositories(request: HttpRequest) -> HttpResponse:
    """Lists repositories, or exports them."""
    principal = principal_of(request)
    rows, listing = queries.repositories(principal), _listing(principal)
    if (file := lists.export(request, rows, listing)) is not None:
        return file
    page = lists.list_page(request, rows, listing)
    now = clock.now()
    for row in page.rows:
        row.standing, row.state = readiness.standing_now(row, now), row.state_at(now)
    totals = {} if is_partial(request) else queries.repository_totals(principal)
    context = {"section": "repositories", "page": page, "totals": totals}
    return show(request, "pages/repositories/list.html", context, part="results")


@screen("GET", "POST")
def register(request: HttpRequest) -> HttpResponse:
    """Registers a repository; it is measured in the background at once."""
    principal = principal_of(request)
    form = RepositoryForm(principal, request.POST or None, initial={"team": request.GET.get("team", "")})

    @transaction.atomic
    def act(data: dict[str, str]) -> Repository:
        login, owner = typed(data), form.teams[data.pop("team")]
        added = services.register_repository(actor=principal, team=owner, sources=repository_sources(), **data)
        if login:
            set_repository_credential(actor=principal, repository=added, **login)
        return added

    if request.method == "POST" and (repository := submit(form, act)) is not None:
        tasks.wake(repository)
        messages.success(request, f"{repository.name} is registered and waits to be measured.")
        return redirect("repository", repository.owner.slug, repository.slug)
    trail = trails.plain(("Repositories", reverse("repositories")), ("Register", ""))
    return show(request, "pages/repositories/new.html", {"section": "repositories", "trail": trail}, form=form)


@screen("GET", "POST")
def edit(request: HttpRequest, team: str, slug: str) -> HttpResponse:
    """Changes a repository. Another address or branch is measured anew."""
    principal = principal_of(request)
    repository = queries.repository_by_ref(principal, team, slug)
    authority.require_contributor(principal, repository.owner, "change repositories")
    present = {name: getattr(repository, name) for name in ("name", "url", "branch", "version")}
    form = RepositoryEditForm(request.POST or None, initial=present)

    def act(data: dict[str, Any]) -> Repository:
        version = data.pop("version")
        return services.change_repository(
            actor=principal, repository=repository, sources=repository_sources(), expected_version=version, **data
        )

    if request.method == "POST" and (changed := submit(form, act)) is not None:
        if changed.stage:
            tasks.wake(changed)
        messages.success(request, f"{changed.name} is changed.")
        return redirect("repository", team, slug)
    context = {"section": "repositories", "repository": repository, "trail": trail_of(repository, "Edit")}
    return show(request, "pages/repositories/edit.html", context, form=form)


@screen("GET", "POST")
def remove(request: HttpRequest, team: str, slug: str) -> HttpResponse:
    """Removes a repository; for who keeps the team."""
    principal = principal_of(request)
    repository = queries.repository_by_ref(principal, team, slug)
    authority.require_keeper(principal, repository.owner, "remove repositories")
    if request.method == "POST":
        services.remove_repository(actor=principal, repository=repository)
        messages.success(request, f"{repository.name} is removed.")
        return redirect("repositories")
    context = {"section": "repositories", "repository": repository, "trail": trail_of(repository, "Remove")}
    return show(request, "pages/repositories/remove.html", context)


@screen("POST")
def measure(request: HttpRequest, team: str, slug: str) -> HttpResponse:
    """Asks the worker to measure a repository now."""
    principal = principal_of(request)
    repository = queries.repository_by_ref(principal, team, slug)
    tasks.wake(services.ask_measurement(actor=principal, repository=repository))
    messages.success(request, f"A measurement of {repository.name} is on its way.")
    return redirect("repository", team, slug)


@screen("GET")
def detail(request: HttpRequest, team: str, slug: str) -> HttpResponse:
    """Shows what a repository may be used for, why, and what it lacks for more."""
    return show_repository(request, queries.repository_by_ref(principal_of(request), team, slug))


def show_repository(request: HttpRequest, repository: Repository, **more: object) -> HttpResponse:
    """Returns the page of a repository; `more` is what a form could not do."""
    principal, now = principal_of(request), clock.now()
    requests = list(queries.requests_of_repository(principal, repository)[:CHANGES])
    context = {
        "section": "repositories",
        "repository": repository,
        "standing": readiness.standing_now(repository, now),
        "state": repository.state_at(now),
        "steps": readiness.steps_of(repository.findings),
        "signals": readiness.signals_of(repository.findings),
        "levels": LEVELS,
        "record_fault": _record_fault(repository),
        "hindrance": hindrance_of(repository.record) if repository.record else "",
        "rules": (repository.record or {}).get("rule_version", ""),
        "requests": requests,
        "open_request": next((row for row in requests if row.status == "open"), None),
        "changes": queries.repository_history(repository)[:CHANGES],
        "works": authority.contributes(principal, repository.owner),
        "keeps": authority.keeps(principal, repository.owner),
        "me": principal.person_id,
        "trail": trail_of(repository),
        "owner": repository.owner,
        "credential": queries.credential_of(principal, repository),
        "credential_form": GitCredentialForm(),
        "wants_credential": is_about_credentials(repository.fault),
        **more,
    }
    return render(request, "pages/repositories/page.html", context, status=422 if more else 200)


@screen("GET")
def progress(request: HttpRequest, team: str, slug: str) -> HttpResponse:
    """Returns how far a measurement is, as a fragment that asks again; when it is done, the page is loaded anew."""
    repository = queries.repository_by_ref(principal_of(request), team, slug)
    if not is_partial(request):
        return redirect("repository", team, slug)
    response = render(request, "pages/repositories/progress.html", {"repository": repository})
    if not repository.stage:
        response.headers["HX-Refresh"] = "true"
    return response


@screen("GET")
def download(request: HttpRequest, team: str, slug: str) -> HttpResponse:
    """Returns the signed record as a file that can be checked elsewhere."""
    repository = queries.repository_by_ref(principal_of(request), team, slug)
    text = json.dumps(queries.exported_record(repository), indent=2, ensure_ascii=False)
    name = f"{team}-{slug}-{repository.commit[:12]}.record.json"
    response = HttpResponse(text + "\n", content_type="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def trail_of(repository: Repository, *names: str) -> list[Crumb]:
    """Returns the breadcrumb down to a repository, or to something that is done with it."""
    here = reverse("repository", args=[repository.owner.slug, repository.slug]) if names else ""
    return trails.under(repository.owner, *trails.plain((repository.name, here), *((name, "") for name in names)))


def _record_fault(repository: Repository) -> str:
    try:
        return queries.record_fault(repository, record_verifier())
    except (Invalid, Unavailable) as error:
        return error.message
