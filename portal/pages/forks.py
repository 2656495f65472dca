"""Forks: the two numbers, every change beside upstream's, the editor, the rebase and the way up."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from blueprints.forks.derivation import target
from blueprints.forks.diff import Difference, compare
from blueprints.format.writing import write_blueprint
from blueprints.models import ChangeRequest, Fork, Version
from blueprints.queries import forks as queries
from blueprints.queries import library
from blueprints.services import forking, requests
from kernel.errors import Conflict, NotFound
from portal.pages import asking, lists, trails
from portal.pages.blueprints import BY_DATE, section_tabs
from portal.pages.lists import Facet, Listing, Sort
from portal.pages.screens import principal_of, screen, show, submit
from portal.pages.versions import EDITOR, MAX_TEXT
from portal.parts.changes import marks_of, reasons_of, units_of
from portal.parts.graph import draw_graph, rows_of_graph
from tenants import authority
from tenants import queries as tenants
from tenants.principals import Principal

TABS: Final = {"changes": "Changes", "flow": "Flow", "yaml": "YAML", "requests": "Requests", "history": "History"}
STANDINGS: Final = (("behind", "Behind"), ("conflict", "In conflict"), ("drifted", "Drifted"), ("level", "Level"))
COLUMNS: Final = (
    ("ref", lambda row: row.ref),
    ("title", lambda row: row.title),
    ("team", lambda row: row.owner.slug),
    ("blueprint", lambda row: row.blueprint.ref),
    ("base", lambda row: row.base.semver),
    ("behind", lambda row: row.behind),
    ("drift", lambda row: row.drift),
    ("conflicts", lambda row: row.conflicts),
    ("mode", lambda row: row.mode),
    ("status", lambda row: row.status),
    ("changed_at", lambda row: row.changed_at),
)


class EditForm(forms.Form):
    """The whole content of a fork as text; what differs from the base becomes its operations."""

    text = forms.CharField(
        label="Fork", max_length=MAX_TEXT, strip=False, widget=forms.Textarea(attrs=EDITOR), help_text="YAML."
    )
    reason = forms.CharField(
        max_length=200,
        help_text="Why. It stands beside each change that is new, here and in what you propose upstream.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput)


class UpstreamForm(forms.Form):
    """What of a fork its owner is asked to take."""

    targets = forms.MultipleChoiceField(
        label="Changes", widget=forms.CheckboxSelectMultiple, help_text="Each with the reason that you gave."
    )
    title = forms.CharField(max_length=200, help_text="What the blueprint gains.")
    note = forms.CharField(
        max_length=4_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What you saw with it. Everybody who sees the blueprint reads this.",
    )

    def __init__(self, fork: Fork, data: QueryDict | None) -> None:
        super().__init__(data)
        found = [(target(one)[1], f"{target(one)[1]}: {one['reason']}") for one in fork.operations]
        self.fields["targets"].choices = list(dict(found).items())  # type: ignore[attr-defined]


def _listing(principal: Principal) -> Listing:
    teams = [("mine", "My teams")]
    teams += [(node.slug, node.name) for node in tenants.tenants(principal) if node.tier == "team"]
    mine = Q(owner__in=list(principal.access.roles))
    facets = (
        Facet("team", "Team", teams, lambda value: mine if value == "mine" else Q(owner__slug=value)),
        Facet("standing", "Standing", STANDINGS, _standing),
        Facet("mode", "Kind", Fork.Mode.choices, lambda value: Q(mode=value)),
        Facet("status", "Status", Fork.Status.choices, lambda value: Q(status=value)),
    )
    sorts = (
        Sort("name", "Fork", F("name")),
        Sort("team", "Team", F("owner__slug")),
        Sort("behind", "Behind", F("behind"), newest_first=True),
        Sort("drift", "Drift", F("drift"), newest_first=True),
        Sort("changed", "Changed", F("changed_at"), newest_first=True),
    )
    return Listing(facets=facets, sorts=sorts, search=_search, columns=COLUMNS, name="forks")


def _standing(value: str) -> Q:
    known = {"behind": Q(behind__gt=0), "conflict": Q(conflicts__gt=0), "drifted": Q(drift__gt=0)}
    return known.get(value, Q(behind=0, drift=0))


def _search(words: str) -> Q:
    return Q(name__icontains=words) | Q(title__icontains=words) | Q(blueprint__name__icontains=words)


@screen("GET")
def forks(request: HttpRequest) -> HttpResponse:
    """Lists forks, or exports them."""
    principal = principal_of(request)
    rows, listing = queries.listed_forks(queries.forks(principal)), _listing(principal)
    if (file := lists.export(request, rows, listing)) is not None:
        return file
    page = lists.list_page(request, rows, listing)
    context = {"section": "blueprints", "page": page, "tabs": section_tabs("forks")}
    return show(request, "pages/forks/list.html", context, part="results")


@screen("GET")
def fork(request: HttpRequest, team: str, name: str, tab: str = "changes") -> HttpResponse:
    """Shows one tab of a fork."""
    if tab not in TABS:
        raise NotFound("There is no such tab.")
    principal = principal_of(request)
    return _render(request, principal, queries.fork_by_ref(principal, team, name), tab)


@screen("GET", "POST")
def edit(request: HttpRequest, team: str, name: str) -> HttpResponse:
    """Changes a fork by its text: the operations are derived, each new one with the reason given."""
    principal, found = _workable(request, team, name, "change forks")
    initial = {"text": write_blueprint(found.document), "version": found.version}
    form = EditForm(request.POST or None, initial=initial)

    def act(data: dict[str, Any]) -> Fork:
        return forking.edit_fork(
            actor=principal,
            fork=found,
            text=data["text"].replace("\r\n", "\n"),
            reason=data["reason"],
            expected_version=data["version"],
        )

    if request.method == "POST" and (changed := submit(form, act)) is not None:
        messages.success(request, f"{changed.title} has drift {changed.drift} and is behind by {changed.behind}.")
        return redirect("fork", team, name)
    return show(request, "pages/forks/edit.html", _context(found, "Edit"), form=form)


@screen("GET", "POST")
def rebase(request: HttpRequest, team: str, name: str) -> HttpResponse:
    """Moves a fork to the head. Each conflict waits for a choice; the rest moves over by itself."""
    principal, found = _workable(request, team, name, "rebase forks")
    onto = _onto(principal, found, request.GET.get("onto", ""))
    difference = compare(found.base.document, onto.document, found.document)
    chosen = {change: request.POST.get(f"choice:{change}", "") for change in _clashes(difference)}
    if request.method == "POST" and all(chosen.values()):
        moved = _rebase(principal, found, onto, chosen, request.POST.get("version", ""))
        messages.success(request, f"{moved.title} stands on {moved.base.semver}, behind by {moved.behind}.")
        return redirect("fork", team, name)
    units = units_of(difference, reasons_of(found.operations))
    context = {
        **_context(found, "Rebase"),
        "onto": onto,
        "difference": difference,
        "chosen": chosen,
        "conflicts": [unit for unit in units if unit.state == "conflict"],
        "others": [unit for unit in units if unit.state != "conflict"],
        "is_incomplete": request.method == "POST",
    }
    response = show(request, "pages/forks/rebase.html", context)
    response.status_code = 422 if request.method == "POST" else 200
    return response


@screen("GET", "POST")
def propose(request: HttpRequest, team: str, name: str) -> HttpResponse:
    """Asks the owner of the blueprint to take some of the changes."""
    principal, found = _workable(request, team, name, "propose changes upstream")
    form = UpstreamForm(found, request.POST or None)

    def act(data: dict[str, Any]) -> ChangeRequest:
        try:
            return requests.open_request(
                actor=principal, fork=found, targets=data["targets"], title=data["title"], note=data["note"]
            )
        except Conflict as error:
            raise _linked(error) from error

    if request.method == "POST" and (made := submit(form, act)) is not None:
        messages.success(request, f"{made.owner.name} decides on it.")
        return redirect("change_request", made.uid)
    return show(request, "pages/forks/propose.html", _context(found, "Propose upstream"), form=form)


def _linked(error: Conflict) -> Conflict:
    """Returns a conflict with an open request as one whose sentence leads to it."""
    if "request" not in error.facts:
        return error
    url = reverse("change_request", args=[error.facts["request"]])
    return Conflict(format_html('{} <a href="{}">Open it</a>', error.message, url), code=error.error_code)


@screen("POST")
def act_on(request: HttpRequest, team: str, name: str, act: str) -> HttpResponse:
    """Makes a fork a configuration, or drops one of its changes."""
    principal = principal_of(request)
    found = queries.fork_by_ref(principal, team, name)
    if act == "drop":
        place = request.POST.get("target", "")
        left = [operation for operation in found.operations if target(operation)[1] != place]
        if len(left) == len(found.operations):
            raise NotFound(f"The fork changes nothing at {place[:200]}.")
        forking.change_fork(actor=principal, fork=found, operations=left, expected_version=found.version)
        messages.success(request, f"{place} is what upstream has again.")
    else:
        forking.configure_fork(actor=principal, fork=found)
        messages.success(request, f"{found.title} follows each new version by itself from now on.")
    return redirect("fork", team, name)


@screen("GET", "POST")
def retire(request: HttpRequest, team: str, name: str) -> HttpResponse:
    """Asks for a reason, and retires a fork."""
    principal, found = _workable(request, team, name, "retire forks")
    form = asking.ReasonForm(asking.sent(request))
    if asking.answered(form, lambda data: forking.retire_fork(actor=principal, fork=found, reason=data["reason"])):
        messages.success(request, f"{found.title} is retired. {found.owner.name} is back on what upstream publishes.")
        return redirect("fork", team, name)
    question = asking.Question(
        title=f"Retire {found.title}",
        text=f"{found.owner.name} is back on what upstream publishes. The fork stays to be read.",
        button="Retire",
        back=reverse("fork", args=[team, name]),
        section="blueprints",
        trail=_context(found, "Retire")["trail"],
    )
    return asking.ask(request, question, form)


def _workable(request: HttpRequest, team: str, name: str, act: str) -> tuple[Principal, Fork]:
    principal = principal_of(request)
    found = queries.fork_by_ref(principal, team, name)
    authority.require_contributor(principal, found.owner, act)
    if found.status == Fork.Status.RETIRED:
        raise Conflict("The fork is retired.")
    return principal, found


def _onto(principal: Principal, found: Fork, wanted: str) -> Version:
    """The head of the fork's blueprint, or of the one that follows it when that was asked for."""
    blueprint = found.blueprint
    if wanted == "successor" and (follower := library.successor_of(principal, blueprint)) is not None:
        blueprint = follower
    if blueprint.head is None:
        raise Conflict("There is no published version to move to.")
    return library.version_of(principal, blueprint, blueprint.head.semver)


def _clashes(difference: Difference) -> list[str]:
    return [str(change.as_dict()["path"]) for change in difference.conflicts]


def _rebase(principal: Principal, found: Fork, onto: Version, chosen: dict[str, str], read: str) -> Fork:
    choices: dict[str, Any] = {place: "head" if side == "head" else "fork" for place, side in chosen.items()}
    expected = int(read) if read.isdecimal() and len(read) < 10 else None
    return forking.rebase_fork(actor=principal, fork=found, onto=onto, choices=choices, expected_version=expected)


def _context(found: Fork, step: str) -> dict[str, Any]:
    crumbs = trails.plain((found.title, reverse("fork", args=[found.owner.slug, found.name])), (step, ""))
    return {"section": "blueprints", "fork": found, "trail": trails.under(found.owner, *crumbs)}


def _render(request: HttpRequest, principal: Principal, found: Fork, tab: str) -> HttpResponse:
    address = [found.owner.slug, found.name]
    tabs = [
        {
            "name": label,
            "url": reverse("fork", args=address) if key == "changes" else reverse("fork_tab", args=[*address, key]),
            "here": key == tab,
        }
        for key, label in TABS.items()
    ]
    difference = queries.difference_of(found)
    works = authority.contributes(principal, found.owner) and found.status == Fork.Status.ACTIVE
    context = {
        "section": "blueprints",
        "fork": found,
        "difference": difference,
        "tab": tab,
        "tabs": tabs,
        "works": works,
        "successor": library.successor_of(principal, found.blueprint),
        "could_configure": works and queries.is_configuration_at_heart(found),
        "trail": trails.under(found.owner, *trails.plain((found.title, ""))),
        **_CONTENTS[tab](request, principal, found, difference),
    }
    return show(request, "pages/forks/page.html", context)


def _changes(request: HttpRequest, principal: Principal, found: Fork, difference: Difference) -> dict[str, object]:
    shared = {
        target(family.operation | {"reason": ""})[1]: [name for name in family.forks if name != found.ref]
        for family in queries.families_of(principal, found.blueprint)
        if found.ref in family.forks
    }
    reasons = reasons_of(found.operations)
    units = units_of(difference, reasons)
    return {"units": units, "droppable": set(reasons), "policies": queries.policies_of(found), "shared": shared}


def _flow(request: HttpRequest, principal: Principal, found: Fork, difference: Difference) -> dict[str, object]:
    document = found.document
    return {"picture": draw_graph(document, marks_of(difference)), "nodes": rows_of_graph(document)}


def _yaml(request: HttpRequest, principal: Principal, found: Fork, difference: Difference) -> dict[str, object]:
    return {"text": write_blueprint(found.document), "operations": found.operations}


def _requests(request: HttpRequest, principal: Principal, found: Fork, difference: Difference) -> dict[str, object]:
    return {"page": lists.whole_page(request, queries.requests_of_fork(principal, found))}


def _history(request: HttpRequest, principal: Principal, found: Fork, difference: Difference) -> dict[str, object]:
    return {"page": lists.whole_page(request, queries.fork_history(found), BY_DATE)}


_CONTENTS: Final = {"changes": _changes, "flow": _flow, "yaml": _yaml, "requests": _requests, "history": _history}
