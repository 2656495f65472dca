"""Versions: written in an editor that lints while one types, read beside the one before, published by somebody else."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from blueprints.forks.diff import compare_two
from blueprints.linting import Linted, lint_text
from blueprints.models import Blueprint, Version
from blueprints.queries import forks as fork_queries
from blueprints.queries import library
from blueprints.services import publishing
from blueprints.services.publishing import MAX_NOTE
from blueprints.versions import next_version
from kernel.errors import NotFound
from portal.pages import asking, trails
from portal.pages.blueprints import url_of
from portal.pages.screens import principal_of, screen, show, submit
from portal.parts.changes import marks_of, units_of
from portal.parts.graph import draw_graph, rows_of_graph
from tenants import authority
from tenants import queries as tenants
from tenants.models import Tenant
from tenants.principals import Principal

MAX_TEXT: Final = 256 * 1024
DECISIONS: Final = {"publish": "is published", "withdraw": "is withdrawn"}
EDITOR: Final = {"wrap": "off", "rows": 28, "spellcheck": "false", "autocomplete": "off"}


class ProposalForm(forms.Form):
    """A version as its author writes it."""

    text = forms.CharField(
        label="Blueprint", max_length=MAX_TEXT, strip=False, widget=forms.Textarea(attrs=EDITOR), help_text="YAML."
    )
    note = forms.CharField(
        max_length=MAX_NOTE, help_text="What changes and why. Who reviews it and whose fork falls behind read it."
    )


class NewForm(ProposalForm):
    """The first version of a blueprint, for an owner one works for."""

    owner = forms.ChoiceField(help_text="Who answers for it. Its namespace in the text must be this owner's.")
    field_order = ("owner", "text", "note")

    def __init__(self, owners: dict[str, Tenant], data: QueryDict | None, initial: dict[str, object]) -> None:
        super().__init__(data, initial=initial)
        self.fields["owner"].choices = [(slug, node.name) for slug, node in owners.items()]  # type: ignore[attr-defined]


@screen("GET", "POST")
def create(request: HttpRequest) -> HttpResponse:
    """Proposes the first version of a new blueprint."""
    principal = principal_of(request)
    owners = {node.slug: node for node in tenants.tenants(principal) if authority.contributes(principal, node)}
    form = NewForm(owners, request.POST or None, {"owner": request.GET.get("owner", "")})

    def act(data: dict[str, str]) -> Version:
        owner = owners[data["owner"]]
        return publishing.propose_version(actor=principal, owner=owner, text=_plain(data["text"]), note=data["note"])

    if request.method == "POST" and (version := submit(form, act)) is not None:
        return _proposed(request, version)
    context = {
        "section": "blueprints",
        "owners": owners,
        "trail": trails.plain(("Blueprints", reverse("blueprints")), ("Propose", "")),
    }
    return show(request, "pages/blueprints/propose.html", context, form=form)


@screen("GET", "POST")
def propose(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Proposes the next version, starting from the head."""
    principal = principal_of(request)
    blueprint = library.blueprint_by_ref(principal, namespace, name)
    authority.require_contributor(principal, blueprint.owner, "propose blueprints")
    form = ProposalForm(request.POST or None, initial={"text": _next_text(blueprint)})

    def act(data: dict[str, str]) -> Version:
        return publishing.propose_version(
            actor=principal, owner=blueprint.owner, text=_plain(data["text"]), note=data["note"]
        )

    if request.method == "POST" and (version := submit(form, act)) is not None:
        return _proposed(request, version)
    crumbs = trails.plain((blueprint.title, url_of(blueprint)), ("Propose a version", ""))
    context = {"section": "blueprints", "blueprint": blueprint, "trail": trails.under(blueprint.owner, *crumbs)}
    return show(request, "pages/blueprints/propose.html", context, form=form)


@screen("POST")
def check(request: HttpRequest) -> HttpResponse:
    """Says what is wrong with a text, and whose forks it would leave behind. Changes nothing.

    The text of a fork (`?fork=team/name`) is held against its base and the head instead.
    """
    principal = principal_of(request)
    text = _plain(request.POST.get("text", "")[: MAX_TEXT + 1])
    context: dict[str, Any] = {"linted": lint_text(text), "is_empty": not text.strip()}
    if of := request.GET.get("fork", ""):
        team, _, name = of.partition("/")
        found = fork_queries.judged(fork_queries.fork_by_ref(principal, team, name), context["linted"])
        context |= {"linted": found.linted, "numbers": found.numbers}
    else:
        context["effects"] = _effects(principal, context["linted"])
    return render(request, "pages/blueprints/checked.html", {**context, "errors": _errors(context["linted"])})


@screen("GET")
def version(request: HttpRequest, namespace: str, name: str, semver: str) -> HttpResponse:
    """Shows a version: what it changes, its flow and text, and what was decided."""
    return _render(request, *_version(request, namespace, name, semver))


@screen("POST")
def decide(request: HttpRequest, namespace: str, name: str, semver: str, act: str) -> HttpResponse:
    """Publishes or withdraws a proposed version."""
    if act not in DECISIONS:
        raise NotFound("There is no such decision.")
    principal, found = _version(request, namespace, name, semver)
    reason = request.POST.get("reason", "")
    if act == "publish":
        publishing.publish_version(actor=principal, version=found, reason=reason[:200])
    else:
        publishing.withdraw_version(actor=principal, version=found)
    messages.success(request, f"{found.ref} {DECISIONS[act]}.")
    return redirect("blueprint_tab", namespace, name, "versions")


@screen("GET", "POST")
def reject(request: HttpRequest, namespace: str, name: str, semver: str) -> HttpResponse:
    """Asks for the reason, and rejects a proposed version."""
    principal, found = _version(request, namespace, name, semver)
    authority.require_reviewer(principal, found.owner, "reject versions")
    form = asking.ReasonForm(asking.sent(request), read_by="Its author reads it.")
    if asking.answered(
        form, lambda data: publishing.reject_version(actor=principal, version=found, reason=data["reason"])
    ):
        messages.success(request, f"{found.ref} is rejected.")
        return redirect("blueprint_tab", namespace, name, "versions")
    here = reverse("version", args=[namespace, name, semver])
    crumbs = trails.plain((found.blueprint.title, url_of(found.blueprint)), (semver, here), ("Reject", ""))
    question = asking.Question(
        title=f"Reject {found.ref}",
        button="Reject",
        back=here,
        section="blueprints",
        trail=trails.under(found.owner, *crumbs),
    )
    return asking.ask(request, question, form)


def _version(request: HttpRequest, namespace: str, name: str, semver: str) -> tuple[Principal, Version]:
    principal = principal_of(request)
    blueprint = library.blueprint_by_ref(principal, namespace, name)
    return principal, library.version_of(principal, blueprint, semver)


def _render(request: HttpRequest, principal: Principal, found: Version) -> HttpResponse:
    before = library.version_before(principal, found)
    difference = compare_two(before.document, found.document) if before else None
    blueprint = found.blueprint
    mine = principal.person is not None and principal.person.pk == found.proposed_by_id
    waits = found.status == Version.Status.PROPOSED
    context = {
        "section": "blueprints",
        "version": found,
        "blueprint": blueprint,
        "before": before,
        "units": units_of(difference) if difference else [],
        "picture": draw_graph(found.document, marks_of(difference) if difference else None),
        "nodes": rows_of_graph(found.document),
        "effects": fork_queries.affected_by(principal, blueprint, found.document) if waits else [],
        "may_decide": waits and not mine and authority.reviews(principal, found.owner),
        "may_withdraw": waits and (mine or authority.keeps(principal, found.owner)),
        "is_mine": mine,
        "trail": trails.under(found.owner, *trails.plain((blueprint.title, url_of(blueprint)), (found.semver, ""))),
    }
    return render(request, "pages/blueprints/version.html", context)


def _proposed(request: HttpRequest, version: Version) -> HttpResponse:
    messages.success(request, f"{version.ref} waits for review by somebody else.")
    return redirect("version", version.blueprint.namespace, version.blueprint.name, version.semver)


def _plain(text: str) -> str:
    """Browsers end the lines of a text area in two characters; a blueprint's text ends them in one."""
    return text.replace("\r\n", "\n")


def _next_text(blueprint: Blueprint) -> str:
    head = blueprint.head
    if head is None:
        return ""
    raised = next_version(head.semver, "minor")
    return head.text.replace(f"version: {head.semver}", f"version: {raised}", 1)


def _errors(linted: Linted) -> int:
    return sum(finding.severity == "error" for finding in linted.findings)


def _effects(principal: Principal, linted: Linted) -> list[Any]:
    """What a sound text would mean for the forks of its blueprint; a new blueprint has none."""
    if not linted.ok:
        return []
    header = linted.document["document"]
    try:
        blueprint = library.blueprint_by_ref(principal, header["namespace"], header["name"])
    except NotFound:
        return []
    return fork_queries.affected_by(principal, blueprint, linted.document)
