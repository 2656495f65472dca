"""Repositories of teams: registered, changed, removed, and asked to be measured."""

from typing import Final

from django.db import IntegrityError, transaction

from blueprints import verbs
from blueprints.models import PatternRequest, Repository
from blueprints.services.credentials import drop_credential
from blueprints.services.keeping import keep, log_act, note_progress
from kernel import clock
from kernel.errors import Conflict, Invalid
from registry.git.fetching import Sources, check_source
from tenants import authority
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.rules import Tier
from tenants.services import require_slug
from tenants.versions import check_version, lock

MAX_NAME: Final = 120
MAX_URL: Final = 500


@transaction.atomic
def register_repository(
    *, actor: Principal, team: Tenant, slug: str, name: str, url: str, sources: Sources, branch: str = ""
) -> Repository:
    """Returns a repository that waits to be measured; until it was, it is for the interactive assistant."""
    authority.require_contributor(actor, team, "register repositories")
    if team.tier != Tier.TEAM:
        raise Invalid("A repository belongs to a team.", errors={"team": ["Choose a team."]})
    require_slug(slug)
    repository = Repository(
        owner=team,
        slug=slug,
        name=_checked_name(name),
        url=_checked_url(url, branch, sources),
        branch=branch,
        stage=Repository.Stage.WAITING,
        asked_at=clock.now(),
        created_by=actor.person,
    )
    try:
        with transaction.atomic():
            keep(repository, actor, "registered")
    except IntegrityError as error:
        raise Conflict(f"{team.name} has a repository “{slug}” already.", slug=slug) from error
    log_act(team.pk, actor, verbs.REPOSITORY_REGISTERED, _named(repository), url=repository.url, branch=branch)
    return repository


@transaction.atomic
def change_repository(
    *,
    actor: Principal,
    repository: Repository,
    sources: Sources,
    name: str | None = None,
    url: str | None = None,
    branch: str | None = None,
    expected_version: int | None = None,
) -> Repository:
    """Returns the repository changed. What was measured at another place says nothing of the new one and is dropped.

    So is a credential that was given for another address.
    """
    authority.require_contributor(actor, repository.owner, "change repositories")
    repository = lock(repository)
    check_version(repository, expected_version)
    repository.name = repository.name if name is None else _checked_name(name)
    place = (url if url is not None else repository.url, branch if branch is not None else repository.branch)
    before = (repository.url, repository.branch)
    moved = place != before
    if moved:
        repository.url, repository.branch = _checked_url(*place, sources), place[1]
        if repository.url != before[0]:
            drop_credential(actor, repository, because="address changed")
        _forget_measurement(repository)
        _close_requests(actor, repository)
    repository.version += 1
    keep(repository, actor, "moved" if moved else "renamed")
    log_act(repository.owner_id, actor, verbs.REPOSITORY_CHANGED, _named(repository), moved=moved, url=repository.url)
    return repository


@transaction.atomic
def remove_repository(*, actor: Principal, repository: Repository, expected_version: int | None = None) -> None:
    """Removes a repository with what was measured and asked of it; its history and the log stay."""
    authority.require_keeper(actor, repository.owner, "remove repositories")
    repository = lock(repository)
    check_version(repository, expected_version)
    repository._change_reason = "removed"  # type: ignore[attr-defined]  # noqa: SLF001
    repository._history_user = actor.person  # type: ignore[attr-defined]  # noqa: SLF001
    drop_credential(actor, repository, because="repository removed")
    log_act(repository.owner_id, actor, verbs.REPOSITORY_REMOVED, _named(repository), url=repository.url)
    repository.delete()


@transaction.atomic
def ask_measurement(*, actor: Principal, repository: Repository) -> Repository:
    """Returns the repository with a measurement under way. Whoever asks twice asks for the same one."""
    authority.require_contributor(actor, repository.owner, "measure repositories")
    repository = lock(repository)
    if not repository.stage:
        wait_for_worker(repository)
        note_progress(repository)
    return repository


def wait_for_worker(repository: Repository) -> None:
    """Sets a repository to be measured by the next worker that is free; whoever measures it now does so in vain."""
    repository.stage, repository.asked_at = Repository.Stage.WAITING, clock.now()
    repository.claim, repository.claimed_at, repository.attempts = None, None, 0


def _forget_measurement(repository: Repository) -> None:
    repository.record, repository.findings, repository.executed = None, {}, None
    repository.measured, repository.level, repository.commit = "", None, ""
    repository.signature, repository.key_id, repository.fault = "", "", ""
    repository.measured_at, repository.expires_at, repository.approved_until = None, None, None
    repository.pattern = Repository.Pattern.INTERACTIVE
    wait_for_worker(repository)


def _close_requests(actor: Principal, repository: Repository) -> None:
    """Closes what was asked of the repository as it was: an approval would be for something that nobody looked at."""
    rows = PatternRequest.objects.select_for_update(of=("self",))  # who declines one at this moment is not overruled
    for request in rows.filter(repository=repository, status=PatternRequest.Status.OPEN):
        request.status, request.decision_reason = PatternRequest.Status.DECLINED, "The repository is another one now."
        request.decided_by, request.decided_at = actor.person, clock.now()
        request.version += 1
        request.save()
        log_act(
            repository.owner_id,
            actor,
            verbs.PATTERN_DECLINED,
            _named(repository),
            request=str(request.uid),
            reason=request.decision_reason,
        )


def _named(repository: Repository) -> str:
    return f"repository:{repository.ref}"


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MAX_NAME or "\0" in name:
        raise Invalid("The name cannot be used.", errors={"name": [f"1 to {MAX_NAME} characters."]})
    return name


def _checked_url(url: str, branch: str, sources: Sources) -> str:
    if len(url) > MAX_URL:
        raise Invalid("The address is too long.", errors={"url": [f"At most {MAX_URL} characters."]})
    checked = check_source(url.strip(), branch, sources)
    if len(checked) > MAX_URL:
        raise Invalid("The address is too long.", errors={"url": [f"At most {MAX_URL} characters."]})
    return checked
