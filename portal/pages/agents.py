"""Agents: who they are, who answers for them, what they may do for whom."""

from django import forms
from django.contrib import messages
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from portal.pages import asking, lists, trails
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import principal_of, screen, show, submit
from tenants import authority
from tenants import queries as tenants
from tenants.identity import agents as services
from tenants.models import Agent
from tenants.principals import Principal
from tenants.rules import MAX_RISK, Profile, Tier

PROFILES = [(profile.value, profile.value.capitalize()) for profile in Profile]
STATUSES = [("active", "Active"), ("suspended", "Suspended")]
COLUMNS = (
    ("slug", lambda row: row.slug),
    ("name", lambda row: row.name),
    ("home", lambda row: row.home.slug),
    ("sponsor", lambda row: row.sponsor.handle),
    ("profile", lambda row: row.profile),
    ("risk", lambda row: row.risk),
    ("status", lambda row: row.status),
)


class AgentFacts(forms.Form):
    """What can be said of an agent, and said anew later."""

    name = forms.CharField(max_length=120)
    profile = forms.ChoiceField(choices=PROFILES, help_text="The widest effect it can ever have, whoever delegates.")
    risk = forms.TypedChoiceField(
        coerce=int,
        choices=[(risk, str(risk)) for risk in range(MAX_RISK + 1)],
        initial=1,
        help_text="Class 3 calls nothing.",
    )
    purpose = forms.CharField(max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 2}))


class AgentEditForm(AgentFacts):
    """An agent as it will be. Its short name, home and sponsor stay."""

    version = forms.IntegerField(widget=forms.HiddenInput)


class AgentForm(AgentFacts):
    """A new agent."""

    home = forms.ChoiceField(label="Home team")
    slug = forms.SlugField(label="Short name", max_length=48, help_text="a-z, 0-9 and hyphens. It never changes.")
    sponsor = forms.CharField(max_length=254, help_text="Handle or address of the member who answers for it.")
    field_order = ("home", "name", "slug", "sponsor", "profile", "risk", "purpose")

    def __init__(self, principal: Principal, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        teams = tenants.tenants(principal).filter(tier=Tier.TEAM)
        self.homes = {node.slug: node for node in teams if authority.keeps(principal, node)}
        self.fields["home"].choices = [(slug, node.name) for slug, node in self.homes.items()]  # type: ignore[attr-defined]


def _listing(principal: Principal) -> Listing:
    teams = [("mine", "My teams"), *((node.slug, node.name) for node in tenants.tenants(principal).filter(tier="team"))]
    mine = Q(home__in=list(principal.access.roles))
    facets = (
        Facet("team", "Team", teams, lambda value: mine if value == "mine" else Q(home__slug=value)),
        Facet("profile", "Profile", PROFILES, lambda value: Q(profile=value)),
        Facet("status", "Status", STATUSES, lambda value: Q(status=value)),
    )
    sorts = (
        Sort("name", "Agent", F("slug")),
        Sort("home", "Home", F("home__slug")),
        Sort("risk", "Risk", F("risk"), newest_first=True),
    )
    return Listing(facets=facets, sorts=sorts, search=_search, columns=COLUMNS, name="agents")


def _search(words: str) -> Q:
    return Q(slug__icontains=words) | Q(name__icontains=words) | Q(purpose__icontains=words)


@screen("GET")
def agents(request: HttpRequest) -> HttpResponse:
    """Lists agents, or exports them."""
    principal = principal_of(request)
    rows, listing = tenants.agents(principal), _listing(principal)
    if (file := lists.export(request, rows, listing)) is not None:
        return file
    context = {"section": "identity", "view": "agents", "page": lists.list_page(request, rows, listing)}
    return show(request, "pages/identity/agents.html", context, part="results")


@screen("GET")
def agent(request: HttpRequest, slug: str) -> HttpResponse:
    """Shows one agent with the delegations that name it."""
    principal = principal_of(request)
    row = tenants.agent_by_slug(principal, slug)
    keeps = authority.keeps(principal, row.home)
    context = {
        "section": "identity",
        "agent": row,
        "keeps": keeps,
        "may_suspend": keeps or row.sponsor == principal.person,
        "delegations": list(tenants.delegations(principal).filter(agent=row)[:50]),
        "trail": trails.under(row.home, *trails.plain((row.name, ""))),
    }
    return show(request, "pages/identity/agent.html", context)


@screen("GET", "POST")
def register(request: HttpRequest) -> HttpResponse:
    """Registers an agent."""
    principal = principal_of(request)
    me = principal.person.handle if principal.person else ""
    form = AgentForm(principal, request.POST or None, initial={"sponsor": me, "home": request.GET.get("home", "")})

    def act(data: dict[str, str]) -> Agent:
        return services.register_agent(
            actor=principal,
            slug=data["slug"],
            name=data["name"],
            home=form.homes[data["home"]],
            sponsor=tenants.person_by_handle(principal, data["sponsor"]),
            profile=Profile(data["profile"]),
            risk=int(data["risk"]),
            purpose=data["purpose"],
        )

    if request.method == "POST" and (row := submit(form, act)) is not None:
        messages.success(request, f"{row.name} is registered. It can do nothing until somebody delegates to it.")
        return redirect("agent", row.slug)
    trail = trails.plain(("Identity", reverse("identity")), ("Register an agent", ""))
    return show(request, "pages/identity/agent_new.html", {"section": "identity", "trail": trail}, form=form)


@screen("GET", "POST")
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Changes an agent; for who keeps its home team."""
    principal = principal_of(request)
    row = tenants.agent_by_slug(principal, slug)
    authority.require_keeper(principal, row.home, "change agents")
    present = {name: getattr(row, name) for name in ("name", "purpose", "profile", "risk", "version")}
    form = AgentEditForm(request.POST or None, initial=present)

    def act(data: dict[str, str]) -> Agent:
        return services.change_agent(
            actor=principal,
            agent=row,
            name=data["name"],
            purpose=data["purpose"],
            profile=Profile(data["profile"]),
            risk=int(data["risk"]),
            expected_version=int(data["version"]),
        )

    if request.method == "POST" and (changed := submit(form, act)) is not None:
        messages.success(request, f"{changed.name} is changed. It holds at the next call.")
        return redirect("agent", slug)
    crumbs = trails.plain((row.name, reverse("agent", args=[slug])), ("Edit", ""))
    context = {"section": "identity", "agent": row, "trail": trails.under(row.home, *crumbs)}
    return show(request, "pages/identity/agent_edit.html", context, form=form)


@screen("GET", "POST")
def suspend(request: HttpRequest, slug: str) -> HttpResponse:
    """Asks for a reason, and suspends an agent."""
    principal = principal_of(request)
    row = tenants.agent_by_slug(principal, slug)
    authority.require_agent_keeper(principal, row, "suspend this agent")
    form = asking.ReasonForm(asking.sent(request), read_by="Everybody who sees the agent reads it.")
    if asking.answered(form, lambda data: services.suspend_agent(actor=principal, agent=row, reason=data["reason"])):
        messages.success(request, f"{row.name} is suspended: every call of it is refused from now on.")
        return redirect("agent", slug)
    here = reverse("agent", args=[slug])
    question = asking.Question(
        title=f"Suspend {row.name}",
        text="Every call of it is refused from now on, whoever delegated.",
        button="Suspend",
        back=here,
        section="identity",
        trail=trails.under(row.home, *trails.plain((row.name, here), ("Suspend", ""))),
    )
    return asking.ask(request, question, form)


@screen("POST")
def resume(request: HttpRequest, slug: str) -> HttpResponse:
    """Resumes an agent."""
    principal = principal_of(request)
    row = tenants.agent_by_slug(principal, slug)
    services.resume_agent(actor=principal, agent=row)
    messages.success(request, f"{row.name} is active again.")
    return redirect("agent", slug)
