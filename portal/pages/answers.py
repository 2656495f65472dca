"""The forms of an onboarding, made of what its steps ask: one field for each question, saved as one goes."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import QueryDict

from kernel.secrets import Secret
from registry.models import Tool
from tenants.onboarding import Field, Held


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


def tools_chosen(data: QueryDict, tools: Sequence[Tool]) -> Mapping[str, Mapping[str, str]]:
    """Returns the rows of the table of tools that were ticked, with the pin of what the page showed."""
    ticked = set(data.getlist("tools"))
    rows = {tool.name: str(tool.uid) for tool in tools if tool.name in ticked}
    cells = ("effect", "sensitivity", "pin")
    return {name: {cell: data.get(f"{cell}-{uid}", "")[:100] for cell in cells} for name, uid in rows.items()}
