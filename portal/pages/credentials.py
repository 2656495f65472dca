"""Setting and removing the credential of a repository, of a source or of one that is measured."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from blueprints import tasks
from blueprints.queries import repositories as measured
from blueprints.services import credentials as measuring
from blueprints.services.repositories import ask_measurement
from kernel.errors import DomainError
from portal.pages import lists
from portal.pages.access import GitCredentialForm, typed
from portal.pages.repositories import show_repository
from portal.pages.screens import principal_of, screen, submit
from portal.pages.sources import LISTING, show_source
from portal.sources import repository_sources
from registry.context import clearance, queries
from registry.context.models import Source
from registry.context.services import credentials as reading
from registry.context.services.imports import begin_fetch
from registry.context.tasks import wake
from tenants.principals import Principal

SEALED = "The credential is sealed. Nobody can read it again here."


@screen("POST")
def set_for_source(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Seals a credential for the repository of a source, and has it read with that."""
    principal = principal_of(request)
    found = queries.source_by_ref(principal, slug, name)
    form = GitCredentialForm(request.POST)

    def act(data: dict[str, Any]) -> object:
        return reading.set_source_credential(actor=principal, source=found, **typed(data, data["kind"]))

    if submit(form, act) is None:
        page = lists.list_page(request, clearance.readable_documents(principal, found), LISTING)
        return show_source(request, found, page, credential_form=form)
    messages.success(request, f"{SEALED} {_read_with_it(principal, found)}")
    return redirect("source", slug, name)


def _read_with_it(principal: Principal, found: Source) -> str:
    try:
        wake(begin_fetch(actor=principal, source=found, sources=repository_sources()))
    except DomainError as error:  # it is being read, or leads nowhere just now: the credential is kept all the same
        return error.message
    return "The repository is being fetched with it."


@screen("POST")
def remove_of_source(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Removes the credential of a source."""
    principal = principal_of(request)
    reading.remove_source_credential(actor=principal, source=queries.source_by_ref(principal, slug, name))
    messages.success(request, "The credential is gone. The repository is asked for without one.")
    return redirect("source", slug, name)


@screen("POST")
def set_for_repository(request: HttpRequest, team: str, slug: str) -> HttpResponse:
    """Seals a credential for a repository, and has it measured with that."""
    principal = principal_of(request)
    repository = measured.repository_by_ref(principal, team, slug)
    form = GitCredentialForm(request.POST)

    def act(data: dict[str, Any]) -> object:
        return measuring.set_repository_credential(actor=principal, repository=repository, **typed(data, data["kind"]))

    if submit(form, act) is None:
        return show_repository(request, repository, credential_form=form)
    tasks.wake(ask_measurement(actor=principal, repository=repository))
    messages.success(request, f"{SEALED} The repository is being measured with it.")
    return redirect("repository", team, slug)


@screen("POST")
def remove_of_repository(request: HttpRequest, team: str, slug: str) -> HttpResponse:
    """Removes the credential of a repository that is measured."""
    principal = principal_of(request)
    repository = measured.repository_by_ref(principal, team, slug)
    measuring.remove_repository_credential(actor=principal, repository=repository)
    messages.success(request, "The credential is gone. The repository is asked for without one.")
    return redirect("repository", team, slug)
