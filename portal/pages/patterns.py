"""The pattern of a repository: lowered with a reason, asked for with a reason, decided by somebody else."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from blueprints.models import PatternRequest, Repository
from blueprints.queries import repositories as queries
from blueprints.services import patterns
from kernel.errors import Conflict
from portal.pages.repositories import trail_of
from portal.pages.screens import principal_of, screen, show, submit
from tenants import authority


class ReasonForm(forms.Form):
    """Why; everybody who sees the repository reads it, and it stands in the log."""

    reason = forms.CharField(max_length=200, widget=forms.Textarea(attrs={"rows": 2}))


class DecisionForm(ReasonForm):
    """The decision on a request."""

    decision = forms.ChoiceField(
        choices=[("approve", "Approve: a dark factory for a while"), ("decline", "Decline: it stays as it is")],
        widget=forms.RadioSelect,
    )
    until = forms.DateTimeField(
        label="Ends",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="In UTC. Empty: when the record ends, and never later than that.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput)
    field_order = ("decision", "reason", "until")


@screen("GET", "POST")
def lower(request: HttpRequest, team: str, slug: str) -> HttpResponse:
    """Holds a repository down; for who works in the team."""
    principal = principal_of(request)
    repository = queries.repository_by_ref(principal, team, slug)
    authority.require_contributor(principal, repository.owner, "lower patterns")

    def act(data: dict[str, str]) -> Repository:
        return patterns.lower_pattern(actor=principal, repository=repository, reason=data["reason"])

    return _reasoned(request, repository, "lower", act, f"{repository.name} is for the interactive assistant now.")


@screen("GET", "POST")
def ask(request: HttpRequest, team: str, slug: str) -> HttpResponse:
    """Asks that a repository may be a dark factory; for who works in the team."""
    principal = principal_of(request)
    repository = queries.repository_by_ref(principal, team, slug)
    authority.require_contributor(principal, repository.owner, "ask to raise patterns")

    def act(data: dict[str, str]) -> PatternRequest:
        return patterns.ask_pattern(actor=principal, repository=repository, reason=data["reason"])

    return _reasoned(request, repository, "ask", act, "Asked. Somebody else who keeps the team decides.")


@screen("GET", "POST")
def decide(request: HttpRequest, uid: str) -> HttpResponse:
    """Approves or declines a request; for who keeps the team and did not ask."""
    principal = principal_of(request)
    asked = queries.pattern_request_by_uid(principal, uid)
    authority.require_keeper(principal, asked.repository.owner, "approve patterns")
    if asked.status != PatternRequest.Status.OPEN:
        raise Conflict("The request was decided on already.", status=asked.status)
    form = DecisionForm(request.POST or None, initial={"version": asked.version})

    def act(data: dict[str, Any]) -> PatternRequest:
        said = {"reason": data["reason"], "expected_version": data["version"]}
        if data["decision"] == "approve":
            return patterns.approve_pattern(actor=principal, request=asked, until=data["until"], **said)
        return patterns.decline_pattern(actor=principal, request=asked, **said)

    repository = asked.repository
    if request.method == "POST" and (done := submit(form, act)) is not None:
        messages.success(request, f"The request is {done.status}.")
        return redirect("repository", repository.owner.slug, repository.slug)
    context = {
        "section": "repositories",
        "repository": repository,
        "asked": asked,
        "trail": trail_of(repository, "Decide"),
    }
    context["is_mine"] = asked.asked_by is not None and asked.asked_by == principal.person
    return show(request, "pages/repositories/decide.html", context, form=form)


def _reasoned(
    request: HttpRequest, repository: Repository, act: str, do: Callable[[dict[str, str]], object], done: str
) -> HttpResponse:
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and submit(form, do) is not None:
        messages.success(request, done)
        return redirect("repository", repository.owner.slug, repository.slug)
    title = {"lower": "Lower", "ask": "Ask to raise"}[act]
    context = {"section": "repositories", "repository": repository, "act": act, "trail": trail_of(repository, title)}
    return show(request, "pages/repositories/reason.html", context, form=form)
