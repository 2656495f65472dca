"""Delegations: a person lets an agent act for them, makes it less, ends it, and has short tokens minted for it."""

from datetime import timedelta

from django import forms
from django.contrib import messages
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from kernel import clock
from portal import keyring
from portal.pages import asking, lists, trails
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import principal_of, screen, show, submit
from portal.parts.marks import EFFECTS, SENSITIVITIES
from portal.parts.navigation import Crumb
from registry import queries as registry
from tenants import authority
from tenants import queries as tenants
from tenants.identity import delegation as services
from tenants.identity.tokens import DEFAULT_MINUTES, mint_token, require_own
from tenants.models import Delegation, Tenant
from tenants.principals import Principal
from tenants.rules import Effect, Sensitivity, Tier
from tenants.together import together

HOURS = [(1, "1 hour"), (8, "8 hours"), (24, "1 day"), (24 * 7, "7 days"), (24 * 30, "30 days"), (24 * 90, "90 days")]
EFFECT_CHOICES = [(number, f"Up to {word}") for number, word in enumerate(EFFECTS)]
SENSITIVITY_CHOICES = [(number, f"Up to {word}") for number, word in enumerate(SENSITIVITIES)]
STATES = [("live", "Live"), ("expired", "Expired"), ("revoked", "Revoked"), ("waiting", "Not begun")]
COLUMNS = (
    ("uid", lambda row: row.uid),
    ("person", lambda row: row.person.handle),
    ("agent", lambda row: row.agent.slug),
    ("team", lambda row: row.team.slug),
    ("tool_groups", lambda row: " ".join(row.tool_groups)),
    ("effect", lambda row: EFFECTS[row.effect_ceiling]),
    ("sensitivity", lambda row: SENSITIVITIES[row.sensitivity_ceiling]),
    ("state", lambda row: row.state_at(clock.now())),
    ("not_after", lambda row: row.not_after),
)


class DelegationForm(forms.Form):
    """A new delegation in one team."""

    agent = forms.ChoiceField()
    tool_groups = forms.MultipleChoiceField(
        label="Tools", widget=forms.CheckboxSelectMultiple, help_text="The groups of tools it may use for you."
    )
    effect_ceiling = forms.TypedChoiceField(label="Effect", coerce=int, choices=EFFECT_CHOICES)
    sensitivity_ceiling = forms.TypedChoiceField(
        label="Sensitivity", coerce=int, choices=SENSITIVITY_CHOICES, initial=1
    )
    hours = forms.TypedChoiceField(label="Ends after", coerce=int, choices=HOURS, initial=24)
    purpose = forms.CharField(max_length=400, required=False, help_text="What for. It stands in the log.")

    SHOWN = 50

    def __init__(self, principal: Principal, team: Tenant, words: str, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        asked = (
            self.data.getlist("tool_groups") if isinstance(self.data, QueryDict) else [self.initial.get("group", "")]
        )
        found = together(
            agents=tenants.agents(principal).filter(home=team, status="active"),
            chosen=registry.groups_to_grant(principal, team).filter(slug__in=asked),
            shown=registry.groups_to_grant(principal, team, words)[: self.SHOWN],
        )
        self.agents = {row.slug: row for row in found["agents"]}
        groups = {group.slug: f"{group.name} ({group.owner.name})" for group in (*found["chosen"], *found["shown"])}
        self.is_cut = len(found["shown"]) == self.SHOWN
        self.fields["agent"].choices = [(slug, row.name) for slug, row in self.agents.items()]  # type: ignore[attr-defined]
        self.fields["tool_groups"].choices = list(groups.items())  # type: ignore[attr-defined]


class NarrowForm(forms.Form):
    """Less than there is: what is left out of the form stays as it is."""

    tool_groups = forms.MultipleChoiceField(label="Tools", widget=forms.CheckboxSelectMultiple)
    effect_ceiling = forms.TypedChoiceField(label="Effect", coerce=int)
    sensitivity_ceiling = forms.TypedChoiceField(label="Sensitivity", coerce=int)
    hours = forms.TypedChoiceField(label="Ends", coerce=int)

    def __init__(self, row: Delegation, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        left = (row.not_after - clock.now()) / timedelta(hours=1)
        sooner = [(hours, f"In {label}") for hours, label in HOURS if hours < left]
        choices = {
            "tool_groups": [(slug, slug) for slug in row.tool_groups],
            "effect_ceiling": EFFECT_CHOICES[: row.effect_ceiling + 1],
            "sensitivity_ceiling": SENSITIVITY_CHOICES[: row.sensitivity_ceiling + 1],
            "hours": [(0, "As it is"), *sooner],
        }
        for name, options in choices.items():
            self.fields[name].choices = options  # type: ignore[attr-defined]
        present = {name: getattr(row, name) for name in ("tool_groups", "effect_ceiling", "sensitivity_ceiling")}
        self.initial = {**self.initial, **present}


class TokenForm(forms.Form):
    """How long a token holds."""

    minutes = forms.IntegerField(min_value=1, max_value=60, initial=DEFAULT_MINUTES, help_text="At most 60.")


class RevocationForm(forms.Form):
    """Why a delegation ends, when there is something to say."""

    reason = forms.CharField(max_length=200, required=False, help_text="It stands in the log.")


def _state(value: str) -> Q:
    present = clock.now()
    return {
        "live": Q(revoked_at=None, not_before__lte=present, not_after__gt=present),
        "expired": Q(revoked_at=None, not_after__lte=present),
        "revoked": Q(revoked_at__isnull=False),
        "waiting": Q(revoked_at=None, not_before__gt=present),
    }[value]


def _listing(principal: Principal) -> Listing:
    teams = [(node.slug, node.name) for node in tenants.tenants(principal).filter(tier=Tier.TEAM)]
    whose = [("mine", "Given by me"), ("others", "Given by others")]
    me = Q(person=principal.person)
    facets = (
        Facet("state", "State", STATES, _state),
        Facet("whose", "Person", whose, lambda value: me if value == "mine" else ~me),
        Facet("team", "Team", teams, lambda value: Q(team__slug=value)),
    )
    sorts = (
        Sort("created", "Given", F("created_at"), newest_first=True),
        Sort("ends", "Ends", F("not_after")),
        Sort("agent", "Agent", F("agent__slug")),
    )
    return Listing(facets=facets, sorts=sorts, search=_search, columns=COLUMNS, name="delegations")


def _search(words: str) -> Q:
    return (
        Q(agent__slug__icontains=words)
        | Q(agent__name__icontains=words)
        | Q(person__name__icontains=words)
        | Q(person__handle__icontains=words)
        | Q(purpose__icontains=words)
    )


@screen("GET")
def delegations(request: HttpRequest) -> HttpResponse:
    """Lists delegations, or exports them."""
    principal = principal_of(request)
    rows, listing = tenants.delegations(principal), _listing(principal)
    if (file := lists.export(request, rows, listing)) is not None:
        return file
    context = {"section": "identity", "view": "delegations", "page": lists.list_page(request, rows, listing)}
    return show(request, "pages/identity/delegations.html", context, part="results")


@screen("GET", "POST")
def create(request: HttpRequest) -> HttpResponse:
    """Creates a delegation: first the team is chosen by the address, then the form fits that team."""
    principal = principal_of(request)
    mine = list(tenants.teams_of(principal))
    trail = trails.plain(("Identity", reverse("identity")), ("Delegations", reverse("delegations")), ("New", ""))
    context = {"section": "identity", "teams": mine, "trail": trail}
    slug = request.GET.get("team") or (mine[0].slug if mine else "")
    if not slug:
        return show(request, "pages/identity/delegation_new.html", context)
    team = tenants.tenant_by_slug(principal, slug)
    words = request.GET.get("tools", "")[:100]
    form = DelegationForm(principal, team, words, request.POST or None, initial={"agent": request.GET.get("agent", "")})

    def act(data: dict[str, object]) -> Delegation:
        return services.delegate(
            actor=principal,
            agent=form.agents[str(data["agent"])],
            team=team,
            tool_groups=data["tool_groups"],  # type: ignore[arg-type]
            effect_ceiling=Effect(data["effect_ceiling"]),  # type: ignore[arg-type]
            sensitivity_ceiling=Sensitivity(data["sensitivity_ceiling"]),  # type: ignore[arg-type]
            not_after=clock.now() + timedelta(hours=data["hours"]),  # type: ignore[arg-type]
            purpose=str(data["purpose"]),
        )

    if request.method == "POST" and (row := submit(form, act)) is not None:
        messages.success(request, f"{row.agent.name} can act for you now. Mint a token to let it begin.")
        return redirect("delegation", row.uid)
    return show(request, "pages/identity/delegation_new.html", context | {"team": team, "words": words}, form=form)


@screen("GET")
def delegation(request: HttpRequest, uid: str) -> HttpResponse:
    """Shows one delegation."""
    principal = principal_of(request)
    return _render(request, principal, tenants.delegation_by_uid(principal, uid))


@screen("GET", "POST")
def narrow(request: HttpRequest, uid: str) -> HttpResponse:
    """Makes a delegation less."""
    principal = principal_of(request)
    row = tenants.delegation_by_uid(principal, uid)
    authority.require_ender(principal, row, "narrow")
    form = NarrowForm(row, asking.sent(request))

    def act(data: dict[str, int]) -> Delegation:
        return services.narrow_delegation(
            actor=principal,
            delegation=row,
            tool_groups=data["tool_groups"],  # type: ignore[arg-type]
            effect_ceiling=Effect(data["effect_ceiling"]),
            sensitivity_ceiling=Sensitivity(data["sensitivity_ceiling"]),
            not_after=clock.now() + timedelta(hours=data["hours"]) if data["hours"] else None,
        )

    if asking.answered(form, act):
        messages.success(request, "The delegation is narrower. It holds at the next call.")
        return redirect("delegation", uid)
    text = "It can only become less, and never wide again."
    return asking.ask(request, _question(row, "Narrow", "Narrow it", text, "main"), form)


@screen("GET", "POST")
def revoke(request: HttpRequest, uid: str) -> HttpResponse:
    """Ends a delegation for good."""
    principal = principal_of(request)
    row = tenants.delegation_by_uid(principal, uid)
    authority.require_ender(principal, row, "revoke")
    form = RevocationForm(asking.sent(request))

    def act(data: dict[str, str]) -> Delegation:
        return services.revoke_delegation(actor=principal, delegation=row, reason=data["reason"])

    if asking.answered(form, act):
        messages.success(request, "The delegation is revoked. Its tokens stop at their next call.")
        return redirect("delegation", uid)
    text = "For good, at the next call. All that was cut from it stops with it."
    return asking.ask(request, _question(row, "Revoke", "Revoke it", text, "danger", "Revoke for good"), form)


@screen("GET", "POST")
def mint(request: HttpRequest, uid: str) -> HttpResponse:
    """Mints a token and shows it this once: it is stored nowhere, and the answer is never cached."""
    principal = principal_of(request)
    row = tenants.delegation_by_uid(principal, uid)
    require_own(principal, row)
    form = TokenForm(asking.sent(request))

    def act(data: dict[str, int]) -> str:
        issuer = keyring.token_issuer()
        return mint_token(actor=principal, delegation=row, issuer=issuer, minutes=data["minutes"])

    if (token := asking.answered(form, act)) is None:
        text = "Short-lived, for this team's gateway only. The delegation is checked again at each call."
        return asking.ask(request, _question(row, "Mint", "Mint a token", text, "main"), form)
    context = {
        "section": "identity",
        "row": row,
        "token": token,
        "minutes": form.cleaned_data["minutes"],
        "resource": keyring.token_issuer().resource_of(row.team.slug),
        "trail": _trail(row, "Token"),
    }
    return show(request, "pages/identity/token.html", context)


def _question(row: Delegation, step: str, title: str, text: str, tone: str, button: str = "") -> asking.Question:
    return asking.Question(
        title=title,
        text=text,
        button=button or step,
        tone=tone,
        back=reverse("delegation", args=[row.uid]),
        section="identity",
        trail=_trail(row, step),
    )


def _trail(row: Delegation, step: str = "") -> list[Crumb]:
    here = reverse("delegation", args=[row.uid]) if step else ""
    crumbs = [(row.agent.name, reverse("agent", args=[row.agent.slug])), ("Delegation", here)]
    return trails.under(row.team, *trails.plain(*crumbs, *([(step, "")] if step else [])))


def _render(request: HttpRequest, principal: Principal, row: Delegation) -> HttpResponse:
    context = {
        "section": "identity",
        "row": row,
        "state": row.state_at(clock.now()),
        "may_end": authority.may_end(principal, row),
        "is_mine": row.person == principal.person,
        "children": list(tenants.delegations(principal).filter(parent=row)[:50]),
        "trail": _trail(row),
    }
    return show(request, "pages/identity/delegation.html", context)
