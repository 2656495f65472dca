"""One check of a harness: added, changed, waived and removed by its owner, tightened by who stands below."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from blueprints.format.findings import Finding, steps
from blueprints.format.reading import Unreadable, read_yaml
from blueprints.harness.editing import text_of
from blueprints.harness.layers import EVIDENCE, Check
from blueprints.harness.merging import MAX_WAIVER
from blueprints.harness.parameters import Parameter
from blueprints.models import Layer
from blueprints.queries import harness
from blueprints.queries.harness import Harness
from blueprints.services import harness as services
from blueprints.services.soundness import sentence_of
from kernel.errors import Invalid, NotFound
from portal.pages import trails
from portal.pages.harness import kept
from portal.pages.screens import principal_of, screen, show, submit
from portal.parts.harness import EVIDENCE_NAMES, direction_hint
from tenants import queries as tenants
from tenants.models import Tenant
from tenants.principals import Principal

SENSORS = [
    ("computational", "Computed: a command decides"),
    ("inferential", "Judged: a model reads and says"),
]
KINDS = [(kind, EVIDENCE_NAMES[kind]) for kind in EVIDENCE]
PLAIN = {"rows": 6, "spellcheck": "false"}
"""Text of machines: one width for every letter."""


def words_of(text: str) -> list[str]:
    """Returns one word per line; browsers end their lines in two characters."""
    return [line.strip() for line in text.splitlines() if line.strip()]


class CheckForm(forms.Form):
    """A check of one's own."""

    id = forms.CharField(
        label="Short name", max_length=48, help_text="Blueprints name it: a-z, 0-9 and underscore. It never changes."
    )
    title = forms.CharField(max_length=200, help_text="What holds when it passes.")
    sensor = forms.ChoiceField(label="Who decides", choices=SENSORS)
    command = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs=PLAIN),
        help_text="For a computed check: one word per line. No shell takes it apart.",
    )
    prompt = forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="For a judged check: what the model is asked.",
    )
    blocking = forms.BooleanField(
        label="It blocks", required=False, help_text="A change that fails it goes no further. Otherwise it advises."
    )
    parameters = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs=PLAIN),
        help_text="YAML, one per line, each with the direction in which it gets stricter: up, down, lower, grow, shrink or "
        "fixed. For example: max_findings: {direction: down, value: 0}",
    )
    evidence = forms.MultipleChoiceField(
        required=False, choices=KINDS, widget=forms.CheckboxSelectMultiple, help_text="What is kept of each result."
    )
    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class WaiverForm(forms.Form):
    """A while in which one's own check does not block."""

    reason = forms.CharField(
        min_length=10, max_length=1000, widget=forms.Textarea(attrs={"rows": 2}), help_text="Everybody below reads it."
    )
    expires = forms.DateField(
        label="Until", widget=forms.DateInput(attrs={"type": "date"}), help_text="The last day, at most 90 days ahead."
    )

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data, auto_id="waive_%s")
        first = harness.today()
        limits = {"min": first.isoformat(), "max": (first + MAX_WAIVER).isoformat()}
        self.fields["expires"].widget.attrs |= limits
        self.fields["expires"].initial = first + timedelta(days=14)


class TightenForm(forms.Form):
    """What a tenant below demands more of a check: each field holds what is in force, and can only go further."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, check: Check, data: Any, version: int) -> None:
        super().__init__(data, initial={"version": version})
        self.check = check
        for name, parameter in sorted(check.parameters.items()):
            if parameter.direction != "fixed":
                self.fields[f"value-{name}"] = _field(name, parameter)
        if not check.blocking:
            self.fields["blocking"] = forms.BooleanField(label="It blocks", required=False)
        if rest := [(kind, label) for kind, label in KINDS if kind not in check.evidence]:
            self.fields["evidence"] = forms.MultipleChoiceField(
                required=False, choices=rest, widget=forms.CheckboxSelectMultiple, label="More evidence"
            )

    def wanted(self) -> dict[str, Any]:
        """Returns what is other than in force."""
        data = self.cleaned_data
        values = {
            name: _given(parameter, data.get(f"value-{name}")) for name, parameter in self.check.parameters.items()
        }
        moved = {
            name: value
            for name, value in values.items()
            if value is not None and self.check.parameters[name].holding(value) != self.check.parameters[name]
        }
        return {
            "parameters": moved,
            "blocking": bool(data.get("blocking")),
            "evidence": data.get("evidence", []),
        }


def _field(name: str, parameter: Parameter) -> forms.Field:
    told: dict[str, Any] = {"label": name, "help_text": direction_hint(parameter), "initial": parameter.value}
    if parameter.direction in {"up", "down"}:
        return forms.IntegerField(**told)
    if parameter.direction == "lower":
        stricter = parameter.scale[: parameter.scale.index(parameter.value) + 1]
        return forms.ChoiceField(choices=[(word, word) for word in stricter], **told)
    if parameter.direction == "shrink":
        choices = [(word, word) for word in parameter.value]
        return forms.MultipleChoiceField(choices=choices, required=False, widget=forms.CheckboxSelectMultiple, **told)
    told["initial"] = "\n".join(parameter.value)
    return forms.CharField(required=False, widget=forms.Textarea(attrs=PLAIN), **told)


def _given(parameter: Parameter, value: Any) -> Any:
    return words_of(value or "") if parameter.direction == "grow" else value


@screen("GET", "POST")
def add(request: HttpRequest, slug: str) -> HttpResponse:
    """Adds a check to the layer of a tenant; it is in force at once for all who stand below."""
    principal, node, _ = kept(request, slug, "add checks to the harness")
    form = CheckForm(request.POST or None, initial={"blocking": True})
    del form.fields["version"]  # whatever was added meanwhile, this is added to it

    def act(data: dict[str, Any]) -> Layer:
        with _at_fields(form):
            return services.add_check(actor=principal, owner=node, check=check_of(data))

    if request.method == "POST" and submit(form, act) is not None:
        messages.success(request, _inherited(principal, node, form.cleaned_data["id"]))
        return redirect("harness", slug)
    context = {**_frame(node, "Add a check"), "teams": harness.inheritors(principal, node)}
    return show(request, "pages/harness/check.html", context, form=form)


@screen("GET", "POST")
def change(request: HttpRequest, slug: str, check: str) -> HttpResponse:
    """Changes a check of one's own; beside it stand the ways to waive and to remove it."""
    principal, node, own = kept(request, slug, "change checks of the harness")
    written = _own_check(own, check)
    form = CheckForm(request.POST or None, initial=_initial(written, own))
    del form.fields["id"]

    def act(data: dict[str, Any]) -> Layer:
        made = check_of({**data, "id": check})
        with _at_fields(form):
            return services.change_check(actor=principal, owner=node, check=made, expected_version=data["version"])

    if request.method == "POST" and submit(form, act) is not None:
        messages.success(request, f"{check} is changed.")
        return redirect("harness", slug)
    return _show_own(request, principal, node, own, written, form, WaiverForm())


@screen("POST")
def waive(request: HttpRequest, slug: str, check: str) -> HttpResponse:
    """Lets one's own check not block until a day. The waiver bears the name of who asks, whatever is sent."""
    principal, node, own = kept(request, slug, "waive checks of the harness")
    written = _own_check(own, check)
    form = WaiverForm(request.POST)

    def act(data: dict[str, Any]) -> Layer:
        with _at_fields(form):
            return services.waive_check(actor=principal, owner=node, check=check, **data)

    if submit(form, act) is None:
        return _show_own(request, principal, node, own, written, CheckForm(initial=_initial(written, own)), form)
    messages.success(request, f"{check} is waived until {form.cleaned_data['expires']}.")
    return redirect("harness", slug)


@screen("GET", "POST")
def tighten(request: HttpRequest, slug: str, owner: str, check: str) -> HttpResponse:
    """Demands more of a check that a tenant above owns."""
    principal, node, own = kept(request, slug, "tighten checks of the harness")
    found = harness.harness_of(principal, node)
    reference = f"{owner}/{check}"
    form = TightenForm(_above(found, reference), request.POST or None, own.version if own else 0)

    def act(data: dict[str, Any]) -> Layer:
        version = data["version"]
        with _at_fields(form):
            return services.tighten_check(
                actor=principal, owner=node, check=reference, expected_version=version, **form.wanted()
            )

    if request.method == "POST" and submit(form, act) is not None:
        messages.success(request, f"{reference} is stricter now in {node.name}.")
        return redirect("harness", slug)
    context = {**_frame(node, f"Tighten {reference}"), "check": form.check, "owner": found.sources[owner]}
    return show(request, "pages/harness/tighten.html", context, form=form)


@screen("POST")
def take_back(request: HttpRequest, slug: str, act: str) -> HttpResponse:
    """Removes a check of one's own, ends its waiver, or takes back what one has tightened."""
    principal = principal_of(request)
    node = tenants.tenant_by_slug(principal, slug)
    name = request.POST.get("check", "")
    service, done = {
        "remove": (services.remove_check, f"{name} is removed, for everybody who inherited it."),
        "lift": (services.lift_waiver, f"{name} blocks again."),
        "loosen": (services.loosen_check, f"{name} is as strict as those above demand."),
    }[act]
    service(actor=principal, owner=node, check=name)
    messages.success(request, done)
    return redirect("harness", slug)


@contextmanager
def _at_fields(form: forms.Form) -> Iterator[None]:
    """Lets what is wrong with the entry that a form describes stand at its fields."""
    try:
        yield
    except Invalid as error:
        found: Any = error.facts.get("findings", ())
        placed: dict[str, list[str]] = {}
        for finding in (Finding(**one) for one in found):
            placed.setdefault(_field_of(form, finding), []).append(sentence_of(finding))
        error.errors = placed or error.errors
        raise


def _field_of(form: forms.Form, finding: Finding) -> str:
    section, names = finding.path.split("/")[1:2], steps(finding.path)[2:]
    if section == ["tighten"] and names[:1] == ("parameters",):
        names = tuple(f"value-{name}" for name in names[1:2])
    return names[0] if names and names[0] in form.fields else ""


def check_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the check that a form describes. Raises `Invalid` on the field of parameters that cannot be read."""
    made = {name: data[name] for name in ("id", "title", "sensor", "blocking")}
    made |= {"command": words_of(data["command"])} if data["command"] else {}
    made |= {"prompt": data["prompt"]} if data["prompt"] else {}
    made |= {"parameters": _parameters(data["parameters"])} if data["parameters"].strip() else {}
    return made | ({"evidence": data["evidence"]} if data["evidence"] else {})


def _parameters(text: str) -> Any:
    try:
        return read_yaml(text).value
    except Unreadable as error:
        said = f"Line {error.finding.line}: {error.finding.message} {error.finding.remedy}"
        raise Invalid("The parameters cannot be read.", errors={"parameters": [said]}) from None


def _initial(written: Mapping[str, Any], own: Layer | None) -> dict[str, Any]:
    parameters = written.get("parameters", {})
    return {
        **written,
        "command": "\n".join(written.get("command", ())),
        "parameters": text_of(parameters) if parameters else "",
        "version": own.version if own else 0,
    }


def _own_check(own: Layer | None, name: str) -> dict[str, Any]:
    written = own.document.get("checks", ()) if own else ()
    found: dict[str, Any] | None = next((one for one in written if one["id"] == name), None)
    if found is None:
        raise NotFound("The layer has no such check.")
    return found


def _above(found: Harness, reference: str) -> Check:
    for check in found.checks:
        if reference in check.names and found.tenant.slug not in check.owners:
            return check
    raise NotFound("No tier above has such a check.")


def _show_own(
    request: HttpRequest,
    principal: Principal,
    node: Tenant,
    own: Layer | None,
    written: Mapping[str, Any],
    form: forms.Form,
    waiver: forms.Form,
) -> HttpResponse:
    form.fields.pop("id", None)
    reference = f"{node.slug}/{written['id']}"
    waivers = own.document.get("waivers", ()) if own else ()
    context = {
        **_frame(node, written["id"]),
        "written": written,
        "waiver": waiver,
        "given": next((one for one in waivers if one["check"] == reference), None),
        "teams": harness.inheritors(principal, node),
    }
    response = show(request, "pages/harness/check.html", context, form=form)
    if waiver.errors:
        response.status_code = 422
    return response


def _frame(node: Tenant, title: str) -> dict[str, Any]:
    crumbs = trails.plain(("Harness", reverse("harness", args=[node.slug])), (title, ""))
    return {"section": "teams", "node": node, "title": title, "trail": trails.under(node, *crumbs)}


def _inherited(principal: Principal, node: Tenant, name: str) -> str:
    teams = len(harness.inheritors(principal, node))
    return f"{name} is in force" + (f" for {teams} team{'' if teams == 1 else 's'}." if teams else ".")
