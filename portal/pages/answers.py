"""The forms of an onboarding, made of what its steps ask: one field for each question, saved as one goes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.http import QueryDict

from kernel.secrets import Secret
from portal.pages.wrapping import DocumentField
from registry.context import clearance, queries
from registry.context.models import OPEN, Import, ImportItem
from registry.models import Tool
from tenants.models import Onboarding
from tenants.onboarding import Field, Held
from tenants.principals import Principal

MAX_FAILED: Final = 20


class StepForm(forms.Form):
    """The questions of one step. Nothing is required to be saved; what is missing for the act, the dry run says."""

    use_required_attribute = False
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, asked: Sequence[Field], held: Held, data: QueryDict | None = None) -> None:
        present = {field.name: held.values.get(field.name, field.initial) for field in asked}
        super().__init__(data, initial={**present, "revision": held.revision})
        self.asked = [field for field in asked if field.kind != "table"]
        for field in self.asked:
            self.fields[field.name] = _as_form_field(field)

    @property
    def values(self) -> dict[str, Any]:
        """What can be kept of a valid form: no secret, and nothing that never changes."""
        kept = [field for field in self.asked if field.kind != "secret" and not field.fixed]
        return {field.name: self.cleaned_data[field.name] for field in kept}

    @property
    def secrets(self) -> dict[str, Secret]:
        """The secrets that were typed in."""
        typed = {field.name: self.cleaned_data[field.name] for field in self.asked if field.kind == "secret"}
        return {name: Secret(text.encode()) for name, text in typed.items() if text}

    def name_required(self) -> None:
        """Lets the labels say what the act needs, once nothing is checked any more."""
        for field in self.asked:
            self.fields[field.name].required = field.required


def _as_form_field(field: Field) -> forms.Field:
    common: dict[str, Any] = {
        "label": field.label,
        "help_text": field.help,
        "required": False,
        "disabled": field.fixed,
    }
    if field.kind == "choice":
        choices = [*([] if field.initial else [("", "Choose")]), *field.choices]
        return forms.ChoiceField(choices=choices, **common)
    if field.kind == "choices":
        return forms.MultipleChoiceField(choices=field.choices, widget=forms.CheckboxSelectMultiple, **common)
    if field.kind == "long":
        return forms.CharField(widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}), **common)
    if field.kind == "secret":
        widget = forms.PasswordInput(attrs={"autocomplete": "off"})
        return forms.CharField(widget=widget, strip=False, max_length=8192, **common)
    return forms.CharField(max_length=400, **common)


class WrapForm(DocumentField):
    """An HTTP API as the first server."""

    name = forms.CharField(label="Name of the API", max_length=120, help_text="As people call it.")
    url = forms.CharField(
        label="Base address",
        max_length=500,
        required=False,
        help_text="Where its paths begin. Left empty, it is the first server that the document names.",
    )
    field_order = ("name", "url", "file", "document")
    prefix = "api"


def documents_of(actor: Principal, row: Onboarding) -> dict[str, Any]:
    """Returns what the step of documents shows beside its form: each source with its newest reading, and what failed."""
    sources = list(queries.with_counts(queries.sources(actor).filter(owner=row.owner)))
    readings = queries.with_progress(queries.imports(actor).filter(source__in=sources))
    newest = {reading.source_id: reading for reading in reversed(readings)}
    failed = [item for reading in newest.values() for item in _failed_of(actor, reading)]
    return {
        "sources": [(source, newest.get(source.pk)) for source in sources],
        "failed": failed[:MAX_FAILED],
        "is_reading": any(reading.state in OPEN for reading in newest.values()),
    }


def _failed_of(actor: Principal, reading: Import) -> list[ImportItem]:
    rows = clearance.readable_items(actor, reading).filter(state=ImportItem.State.FAILED)
    return list(rows[:MAX_FAILED]) if reading.failed else []  # type: ignore[attr-defined]


def tools_chosen(data: QueryDict, tools: Sequence[Tool]) -> Mapping[str, Mapping[str, str]]:
    """Returns the rows of the table of tools that were ticked, with the pin of what the page showed."""
    ticked = set(data.getlist("tools"))
    rows = {tool.name: str(tool.uid) for tool in tools if tool.name in ticked}
    cells = ("effect", "sensitivity", "pin")
    return {name: {cell: data.get(f"{cell}-{uid}", "")[:100] for cell in cells} for name, uid in rows.items()}
