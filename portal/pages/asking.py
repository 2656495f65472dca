"""What is asked before something is done: a page of its own behind a plain link, and the same as a dialog with JavaScript."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django import forms
from django.http import HttpRequest, HttpResponse

from portal.pages.screens import show, submit
from portal.parts.navigation import Crumb

T = TypeVar("T")


class ReasonForm(forms.Form):
    """Why something is done; it stands in the log."""

    reason = forms.CharField(max_length=200, help_text="It stands in the log.")

    def __init__(self, *args: object, read_by: str = "", **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        if read_by:
            self.fields["reason"].help_text = read_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question: what will be done, what it means, and where one comes back to without doing it."""

    title: str
    button: str
    back: str
    section: str
    trail: list[Crumb]
    text: str = ""
    tone: str = "danger"


def sent(request: HttpRequest) -> Any:
    """Returns what was sent, None when the question is only looked at: an empty answer is an answer, too."""
    return request.POST if request.method == "POST" else None


def answered(form: forms.Form, act: Callable[[dict[str, Any]], T]) -> T | None:
    """Returns what the service returned; None when nothing was sent, or when the form says what is wrong with it."""
    return submit(form, act) if form.is_bound else None


def ask(request: HttpRequest, question: Question, form: forms.Form) -> HttpResponse:
    """Returns the question as a page, or as the content of a dialog when htmx asks. With errors it answers 422."""
    context = {"section": question.section, "trail": question.trail, "question": question}
    return show(request, "pages/question.html", context, part="sheet", form=form)
