"""People: those one sees, with their roles; platform admins add and switch them."""

from django import forms
from django.contrib import messages
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from kernel.errors import Forbidden
from portal.pages import lists, trails
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import principal_of, screen, show, submit
from portal.parts.marks import SENSITIVITIES
from tenants import queries as tenants
from tenants import services
from tenants.models import Person
from tenants.principals import Principal
from tenants.rules import Sensitivity

ROLES = [
    ("platform_admin", "Platform admin"),
    ("domain_steward", "Domain steward"),
    ("team_lead", "Team lead"),
    ("member", "Member"),
    ("reviewer", "Reviewer"),
]
STATES = [("yes", "Active"), ("no", "Switched off")]
COLUMNS = (
    ("handle", lambda row: row.handle),
    ("name", lambda row: row.name),
    ("email", lambda row: row.email),
    ("clearance", lambda row: SENSITIVITIES[row.clearance]),
    ("active", lambda row: row.is_active),
)


def _listing(principal: Principal) -> Listing:
    nodes = [(node.slug, node.name) for node in tenants.tenants(principal)]
    facets = (
        Facet("active", "State", STATES, lambda value: Q(is_active=value == "yes")),
        Facet("role", "Role", ROLES, lambda value: Q(pk__in=tenants.ids_of_role(value))),
        Facet("tenant", "Role in", nodes, lambda value: Q(pk__in=tenants.ids_of_members(principal, value))),
    )
    sorts = (Sort("name", "Person", F("handle")), Sort("clearance", "Clearance", F("clearance"), newest_first=True))
    return Listing(facets=facets, sorts=sorts, search=_search, columns=COLUMNS, name="people")


def _search(words: str) -> Q:
    return Q(handle__icontains=words) | Q(name__icontains=words) | Q(email__icontains=words)


class PersonForm(forms.Form):
    """Somebody new. Without a password only single sign-on lets them in."""

    name = forms.CharField(max_length=120)
    email = forms.EmailField(label="Address")
    handle = forms.SlugField(max_length=48, help_text="a-z, 0-9 and hyphens.")
    clearance = forms.TypedChoiceField(
        coerce=int, choices=[(number, word.capitalize()) for number, word in enumerate(SENSITIVITIES)], initial=1
    )
    password = forms.CharField(
        required=False,
        min_length=12,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="For a local account: at least 12 characters. Leave it empty for single sign-on.",
    )


@screen("GET")
def people(request: HttpRequest) -> HttpResponse:
    """Lists people, or exports them."""
    principal = principal_of(request)
    rows, listing = tenants.people(principal), _listing(principal)
    if (file := lists.export(request, rows, listing)) is not None:
        return file
    page = lists.list_page(request, rows, listing)
    context = {
        "section": "identity",
        "view": "people",
        "page": page,
        "roles": tenants.roles_of(principal, page.rows),
        "is_admin": principal.access.is_platform_admin,
    }
    return show(request, "pages/identity/people.html", context, part="results")


@screen("GET", "POST")
def add(request: HttpRequest) -> HttpResponse:
    """Adds a person."""
    principal = principal_of(request)
    if not principal.access.is_platform_admin:
        raise Forbidden("Only a platform admin may add people.", missing="platform_admin", given_by="a platform admin")
    form = PersonForm(request.POST or None)

    def act(data: dict[str, str]) -> Person:
        return services.add_person(
            actor=principal,
            email=data["email"],
            name=data["name"],
            handle=data["handle"],
            clearance=Sensitivity(int(data["clearance"])),
            password=data["password"] or None,
        )

    if request.method == "POST" and (person := submit(form, act)) is not None:
        messages.success(request, f"{person.name} is added, without any role yet.")
        return redirect("people")
    trail = trails.plain(("Identity", reverse("identity")), ("People", reverse("people")), ("Add", ""))
    return show(request, "pages/identity/person_new.html", {"section": "identity", "trail": trail}, form=form)


@screen("POST")
def set_active(request: HttpRequest, handle: str, act: str) -> HttpResponse:
    """Switches a person on or off."""
    principal = principal_of(request)
    person = tenants.person_by_handle(principal, handle)
    services.set_person_active(actor=principal, person=person, active=act == "on")
    messages.success(request, f"{person.name} is switched {act}.")
    return redirect("people")
