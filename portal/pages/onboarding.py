"""Bringing a team on board: the wizard, whose state is a row, and the list of those in progress."""

from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from audit import queries as audit
from kernel.errors import Conflict, Forbidden, PreconditionFailed
from portal import steps
from portal.pages import asking, lists, trails
from portal.pages.answers import StepForm, WrapForm, documents_of, tools_chosen
from portal.pages.bringing import FilesForm, entries_of, uploading
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import is_partial, principal_of, screen, show, submit
from registry import queries as registry
from registry import steps as server_steps
from registry.context.models import Import
from registry.models import Server
from tenants import authority, onboarding
from tenants import queries as tenants
from tenants.models import Onboarding
from tenants.onboarding import Line, Outcome, Progress
from tenants.principals import Principal
from tenants.steps import KINDS

FRESH: Final = "onboarding_call"


STATES: Final = {
    "draft": Q(owner=None, proposed_at=None, closed_at=None),
    "proposed": Q(owner=None, proposed_at__isnull=False, closed_at=None),
    "progress": Q(owner__isnull=False, first_call_at=None, closed_at=None),
    "live": Q(first_call_at__isnull=False, closed_at=None),
    "closed": Q(closed_at__isnull=False),
}
COLUMNS: Final = (
    ("name", lambda row: row.name),
    ("team", lambda row: row.owner.slug if row.owner else ""),
    ("lead", lambda row: row.lead.handle if row.lead else ""),
    ("begun_by", lambda row: row.begun_by.handle),
    ("started_at", lambda row: row.started_at),
    ("first_call_at", lambda row: row.first_call_at),
    ("closed_at", lambda row: row.closed_at),
)
LISTING: Final = Listing(
    facets=(
        Facet(
            "state",
            "State",
            [
                ("draft", "Draft"),
                ("proposed", "Proposed"),
                ("progress", "In progress"),
                ("live", "Live"),
                ("closed", "Closed"),
            ],
            lambda value: STATES[value],
        ),
    ),
    sorts=(Sort("begun", "Begun", F("started_at"), newest_first=True), Sort("name", "Team", F("name"))),
    search=lambda words: Q(name__icontains=words) | Q(owner__slug__icontains=words),
    columns=COLUMNS,
    name="onboardings",
)


class BeginForm(forms.Form):
    """What an onboarding is begun with; everything else is asked on the way."""

    name = forms.CharField(max_length=120, help_text="As people call the team.")
    kind = forms.ChoiceField(choices=KINDS)


class HandForm(forms.Form):
    """Who goes on."""

    person = forms.CharField(max_length=254, help_text="Their handle or address.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one is: the onboarding, one of its steps, and who looks."""

    actor: Principal
    row: Onboarding
    key: str

    @property
    def url(self) -> str:
        """The address of this step: a link that a colleague goes on from."""
        return reverse("onboarding_step", args=[self.row.uid, self.key])


@screen("GET", "POST")
def onboardings(request: HttpRequest) -> HttpResponse:
    """Lists the onboardings that one sees, and begins another one."""
    principal = principal_of(request)
    form = BeginForm(request.POST or None)
    if request.method == "POST":
        authority.require_opener(principal, "open an onboarding")

    def act(data: dict[str, str]) -> Onboarding:
        return onboarding.begin(actor=principal, name=data["name"], kind=data["kind"])

    if request.method == "POST" and (row := submit(form, act)) is not None:
        return redirect("onboarding_step", row.uid, onboarding.FIRST)
    rows = tenants.onboardings(principal)
    if request.method == "GET" and (file := lists.export(request, rows, LISTING)) is not None:
        return file
    context = {
        "section": "teams",
        "page": lists.list_page(request, rows, LISTING),
        "opens": authority.opens(principal),
        "trail": trails.plain(("Teams", reverse("teams")), ("Onboarding", "")),
    }
    return show(request, "pages/onboarding/list.html", context, part="results", form=form)


@screen("GET")
def resume(request: HttpRequest, uid: str) -> HttpResponse:
    """Goes to the first step that is not done."""
    principal = principal_of(request)
    row = tenants.onboarding_by_uid(principal, uid)
    return redirect("onboarding_step", row.uid, _next(principal, row))


@screen("GET")
def step(request: HttpRequest, uid: str, key: str) -> HttpResponse:
    """Shows one step with the checklist and its dry run."""
    return _render(request, _place(request, uid, key))


@screen("POST")
def save(request: HttpRequest, uid: str, key: str) -> HttpResponse:
    """Keeps the answers, as the browser sends them after each change, and returns the dry run anew."""
    place = _place(request, uid, key)
    form = _form(place, request.POST)
    if not form.is_valid():
        return _render(request, place, form)
    try:
        row = _save(place, form, request.POST)
    except PreconditionFailed as error:
        if not is_partial(request):
            raise
        return render(request, "pages/onboarding/plan.html", {"refusal": error, "place": place}, status=412)
    if not is_partial(request):
        messages.success(request, "Saved. Nothing was made yet.")
        return redirect(place.url)
    context = {"place": place, "saved": True, "revision": onboarding.held(row, key).revision}
    return render(request, "pages/onboarding/plan.html", context | _plan(Place(place.actor, row, key)))


@screen("POST")
def commit(request: HttpRequest, uid: str, key: str) -> HttpResponse:
    """Does what the dry run says, and goes on to what is open then."""
    place = _place(request, uid, key)
    form = _form(place, request.POST)

    def act(_data: dict[str, Any]) -> Outcome:
        row = _save(place, form, request.POST)
        return onboarding.commit_step(
            actor=place.actor,
            onboarding=row,
            key=key,
            means=steps.means(form.secrets, passwords=request.POST.get("passwords") == "on"),
        )

    if (done := submit(form, act)) is None:
        return _render(request, place, form)
    messages.success(request, done.text)
    row = tenants.onboarding_by_uid(place.actor, uid)
    if done.shown:
        return _render(request, Place(place.actor, row, key), shown=done.shown)
    if key == "call":
        request.session[FRESH] = str(row.uid)
        return redirect(place.url)
    is_done = onboarding.state_of(place.actor, row, key).word == "done"
    return redirect("onboarding_step", row.uid, _next(place.actor, row, key) if is_done else key)


@screen("POST")
def wrap(request: HttpRequest, uid: str) -> HttpResponse:
    """Brings the first server as an HTTP API, from its OpenAPI document, and has it looked at."""
    place = _place(request, uid, "server")
    authority.require_carrier(place.actor, place.row, "bring the first server")
    form = WrapForm(request.POST, request.FILES)

    def act(data: dict[str, Any]) -> Server:
        return steps.wrap_first_api(place.actor, place.row, data)

    if (server := submit(form, act)) is None:
        return _render(request, place, wrap_form=form)
    messages.success(request, f"{server.name} is registered as a draft and being looked at.")
    return redirect(place.url)


@uploading
def bring(request: HttpRequest, uid: str) -> HttpResponse:
    """Begins to read uploaded files, in the source that this step makes for them."""
    place = _place(request, uid, "documents")
    authority.require_carrier(place.actor, place.row, "bring documents")
    form = FilesForm(request.POST, request.FILES)

    def act(data: dict[str, Any]) -> Import:
        return steps.bring_files(place.actor, place.row, entries_of(data["documents"]))

    if submit(form, act) is None:
        return _render(request, place, files_form=form)
    messages.success(request, "The documents are on their way.")
    return redirect(place.url)


@screen("POST")
def call(request: HttpRequest, uid: str) -> HttpResponse:
    """Makes the first governed call, now that its delegation stands, and shows its audit record."""
    place = _place(request, uid, "call")
    called = steps.make_call(place.actor, place.row)
    found = audit.calls_visible(place.actor.access.visible, audit.Filters(call=called.call)) if called.call else []
    row = tenants.onboarding_by_uid(place.actor, uid)
    if not is_partial(request):
        return _render(request, Place(place.actor, row, "call"), called=called, records=found)
    steps_now = onboarding.progress(place.actor, row)
    here = next(one for one in steps_now if one.key == "call")
    context = {"called": called, "records": found, "row": row, "progress": steps_now, "here": here}
    return render(request, "pages/onboarding/called.html", context)


@screen("POST")
def propose(request: HttpRequest, uid: str) -> HttpResponse:
    """Puts the team to the platform admins, who alone create it."""
    place = _place(request, uid, onboarding.FIRST)
    form = _form(place, request.POST)

    def act(_data: dict[str, Any]) -> Onboarding:
        return onboarding.propose(actor=place.actor, onboarding=_save(place, form, request.POST))

    if submit(form, act) is None:
        return _render(request, place, form)
    messages.success(request, "A platform admin finds it among the onboardings and confirms it.")
    return redirect(place.url)


@screen("POST")
def hand_over(request: HttpRequest, uid: str) -> HttpResponse:
    """Names who goes on. Only who may begin an onboarding asks for people by address."""
    place = _place(request, uid, onboarding.FIRST)
    form = HandForm(request.POST)

    def act(data: dict[str, str]) -> Onboarding:
        lead = tenants.person_to_name(place.actor, data["person"])
        return onboarding.hand_over(actor=place.actor, onboarding=place.row, lead=lead)

    if (row := submit(form, act)) is None:
        return _render(request, place, hand_form=form)
    assert row.lead is not None  # noqa: S101 - just named
    messages.success(request, f"{row.lead.name} sees it now. Send them the link; it opens for them alone.")
    return redirect(place.url)


@screen("GET", "POST")
def close(request: HttpRequest, uid: str) -> HttpResponse:
    """Asks for a reason, and closes it; what it made stays."""
    place = _place(request, uid, onboarding.FIRST)
    principal, row = place.actor, place.row
    authority.require_carrier(principal, row, "close an onboarding")
    form = asking.ReasonForm(asking.sent(request))
    if asking.answered(form, lambda data: onboarding.close(actor=principal, onboarding=row, reason=data["reason"])):
        messages.success(request, f"{row.name} is closed. What was made stays.")
        return redirect("onboardings")
    question = asking.Question(
        title=f"Close the onboarding of {row.name}",
        text="What it made stays as it is. Nobody goes on with it here.",
        button="Close",
        back=reverse("onboarding", args=[uid]),
        section="teams",
        trail=trails.plain(("Teams", reverse("teams")), ("Onboarding", reverse("onboardings")), ("Close", "")),
    )
    return asking.ask(request, question, form)


def _place(request: HttpRequest, uid: str, key: str) -> Place:
    principal = principal_of(request)
    row = tenants.onboarding_by_uid(principal, uid)
    onboarding.require_place(key)
    return Place(principal, row, key)


def _form(place: Place, data: QueryDict | None = None) -> StepForm:
    asked = onboarding.require_step(place.key).fields(place.actor, place.row)
    return StepForm(asked, onboarding.held(place.row, place.key), data)


def _save(place: Place, form: StepForm, data: QueryDict) -> Onboarding:
    values = form.values
    server = server_steps.server_of(place.actor, place.row) if place.key == "server" and place.row.owner else None
    if server is not None:
        values["tools"] = tools_chosen(data, server_steps.tools_to_decide(place.actor, server))
    expected = form.cleaned_data["revision"]
    return onboarding.save_answers(
        actor=place.actor, onboarding=place.row, key=place.key, values=values, expected_revision=expected
    )


def _next(actor: Principal, row: Onboarding, after: str = "") -> str:
    return _open_after(onboarding.progress(actor, row), after)


def _open_after(found: list[Progress], after: str) -> str:
    """The first step that is open for somebody, behind one if there is such; at the end the last, which shows the call.

    What is optional is on the way, and never what one comes back to.
    """
    todo = [place for place in found if place.state.word in ("open", "waiting")]
    keys = list(onboarding.PLACES)
    passed = keys[: keys.index(after) + 1] if after else keys
    behind = [place.key for place in todo if place.key not in passed]
    required = [place.key for place in todo if not place.step.optional]
    return (behind or required or ["call"])[0]


def _plan(place: Place) -> dict[str, Any]:
    try:
        lines = onboarding.plan(place.actor, place.row, place.key)
    except (Forbidden, Conflict) as error:
        return {"refusal": error, "lines": []}
    faults = [line for line in lines if line.mark == "fault"]
    return {"lines": lines, "faults": faults, "is_ready": not faults and _makes(lines)}


def _makes(lines: list[Line]) -> bool:
    return any(line.mark == "make" for line in lines)


def _render(
    request: HttpRequest, place: Place, form: StepForm | None = None, *, hand_form: HandForm | None = None, **extra: Any
) -> HttpResponse:
    found = onboarding.progress(place.actor, place.row)
    here = next(one for one in found if one.key == place.key)
    asked = form or (_form(place) if _is_open(place) else None)
    if asked is not None:
        asked.name_required()
    context = {
        "section": "teams",
        "place": place,
        "row": place.row,
        "here": here,
        "progress": found,
        "done": sum(one.state.word == "done" for one in found),
        "carries": authority.carries(place.actor, place.row) and place.row.closed_at is None,
        "opens": authority.opens(place.actor),
        "is_admin": place.actor.access.is_platform_admin,
        "form": asked,
        "hand_form": hand_form or HandForm(),
        "link": request.build_absolute_uri(reverse("onboarding", args=[place.row.uid])),
        "trail": _trail(place),
        "signs_in_by": settings.HANSE.oidc,
        "next_step": _following(place, here, found),
        **(_plan(place) if asked is not None else {}),
        **_extras(request, place),
        **extra,
    }
    given = (form, hand_form, extra.get("wrap_form"), extra.get("files_form"))
    is_refused = any(isinstance(one, forms.Form) and one.errors for one in given)
    template = "step" if is_partial(request) else "page"
    return render(request, f"pages/onboarding/{template}.html", context, status=422 if is_refused else 200)


def _following(place: Place, here: Progress, found: list[Progress]) -> dict[str, str] | None:
    """Where one goes on from a step: what is done is behind one, and what is optional or takes its time stops nobody."""
    is_passed = here.state.word in ("done", "waiting") or here.step.optional
    key = _open_after(found, here.key) if is_passed else here.key
    url = reverse("onboarding_step", args=[place.row.uid, key])
    return None if key == here.key else {"url": url, "title": onboarding.PLACES[key]}


def _is_open(place: Place) -> bool:
    return place.key == onboarding.FIRST or place.row.owner is not None


def _trail(place: Place) -> Any:
    crumb = ("Onboarding", reverse("onboardings"))
    if place.row.owner is not None:
        return trails.under(place.row.owner, *trails.plain(crumb, (onboarding.PLACES[place.key], "")))
    return trails.plain(("Teams", reverse("teams")), crumb, (place.row.name, ""))


def _extras(request: HttpRequest, place: Place) -> dict[str, Any]:
    """What a step shows beside its form."""
    if place.row.owner is None:
        return {}
    if place.key == "documents":
        return documents_of(place.actor, place.row)
    if place.key == "server":
        server = server_steps.server_of(place.actor, place.row)
        if server is None:
            return {"button": "Register and look at it", "wrap_form": WrapForm()}
        table = onboarding.held(place.row, "server").values.get("tools") or {}
        return {
            "server": server,
            "contract": registry.contract_of(place.actor, server),
            "tools": server_steps.tools_to_decide(place.actor, server),
            "ticked": table,
            "effects": server_steps.EFFECTS,
            "sensitivities": server_steps.SENSITIVITIES,
            "is_probed": server.probe_ok is not None,
            "button": "Approve and activate" if server.probe_ok else "Look at it again",
        }
    if place.key == "call":
        return {"is_fresh": request.session.pop(FRESH, "") == str(place.row.uid), **_records(place)}
    return {}


def _records(place: Place) -> dict[str, Any]:
    first = place.row.first_call
    if first is None:
        return {}
    return {"records": audit.calls_visible(place.actor.access.visible, audit.Filters(call=first))}
