"""Personal API keys: made and shown once, listed, revoked. Nobody sees another person's."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from kernel import clock
from kernel.secrets import Secret
from portal.pages import lists
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import principal_of, screen, show, submit
from portal.rest import keys
from portal.rest.models import ApiKey

DAYS = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year")]
STATES = [("live", "Live"), ("ended", "Ended")]
COLUMNS = (
    ("name", lambda row: row.name),
    ("begins", lambda row: row.prefix),
    ("scope", lambda row: row.scope),
    ("created_at", lambda row: row.created_at),
    ("expires_at", lambda row: row.expires_at),
    ("last_used_at", lambda row: row.last_used_at),
    ("revoked_at", lambda row: row.revoked_at),
)


class KeyForm(forms.Form):
    """A new key. It acts with its owner's roles as they are at each request."""

    name = forms.CharField(max_length=80, help_text="What for, to tell your keys apart.")
    scope = forms.ChoiceField(
        choices=ApiKey.Scope.choices, help_text="Reading is enough for most programs. It can never do more than you."
    )
    days = forms.TypedChoiceField(label="Ends after", coerce=int, choices=DAYS, initial=30)


def _state(value: str) -> Q:
    live = Q(revoked_at=None, expires_at__gt=clock.now())
    return live if value == "live" else ~live


LISTING = Listing(
    facets=(Facet("state", "State", STATES, _state),),
    sorts=(
        Sort("created", "Made", F("created_at"), newest_first=True),
        Sort("ends", "Ends", F("expires_at")),
        Sort("name", "Key", F("name")),
    ),
    search=lambda words: Q(name__icontains=words) | Q(prefix__icontains=words),
    columns=COLUMNS,
    name="api-keys",
)


@screen("GET", "POST")
def mine(request: HttpRequest) -> HttpResponse:
    """Lists one's own keys, or makes one: its text is in this one answer and nowhere else."""
    principal = principal_of(request)
    form = KeyForm(request.POST or None)

    def act(data: dict[str, str]) -> tuple[ApiKey, Secret]:
        return keys.create_key(actor=principal, name=data["name"], scope=data["scope"], days=int(data["days"]))

    made = submit(form, act) if request.method == "POST" else None
    rows = keys.keys_of(principal)
    if made is None and (file := lists.export(request, rows, LISTING)) is not None:
        return file
    context = {"page": lists.list_page(request, rows, LISTING), "present": clock.now()}
    if made is not None:
        context |= {"made": made[0], "secret": made[1].reveal().decode()}
        form = KeyForm()
    return show(request, "pages/keys/page.html", context, part="results", form=form)


@screen("POST")
def revoke(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Revokes one of one's own keys, for good."""
    principal = principal_of(request)
    key = keys.revoke_key(actor=principal, key=keys.key_by_uid(principal, uid))
    messages.success(request, f"The key {key.name} is revoked: its next request is refused.")
    return redirect("keys")
