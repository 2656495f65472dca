"""Reads of repositories, what they are fit for, and what is asked of their owners."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db.models import Count, Model, Q, QuerySet

from blueprints.classification.rules import rule_version
from blueprints.classification.sealing import exported, verify
from blueprints.classification.standing import Standing
from blueprints.models import Layer, PatternRequest, Repository, RepositoryCredential
from kernel import clock
from kernel.errors import Invalid, NotFound
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.queries import ids_in_reach, one_of
from tenants.rules import Concern, Role

STATES: Final = ("measured", "expired", "unmeasured", "measuring", "failed")
STATE_CHOICES: Final = [(state, state.capitalize()) for state in STATES]
_DARK: Final = Repository.Pattern.DARK_FACTORY
_LOST_AFTER: Final = timedelta(minutes=2)
_AGAIN_AFTER: Final = timedelta(days=1)
_AT_ONCE: Final = 20
_WORD: Final = re.compile(r"[a-z][a-z0-9-]+")


def repositories(principal: Principal) -> QuerySet[Repository]:
    """Returns visible repositories with their team, without all that was found in them."""
    rows = Repository.objects.visible_to(principal).select_related("owner").defer("findings", "executed")
    return rows.order_by("owner__slug", "slug")


def repository_by_ref(principal: Principal, team: str, slug: str) -> Repository:
    """Returns one visible repository by its team's slug and its own, with all that was found."""
    rows = Repository.objects.visible_to(principal).select_related("owner", "created_by")
    return one_of(rows, "repository", owner__slug=team, slug=slug)


def credential_of(principal: Principal, repository: Repository) -> RepositoryCredential | None:
    """Returns what is known of a repository's credential: that there is one, whose, since when. Never what it is."""
    rows = RepositoryCredential.objects.visible_to(principal).filter(repository=repository)
    return rows.defer("sealed").select_related("created_by").first()


def repository_by_name(principal: Principal, ref: str) -> Repository:
    """Returns one visible repository by `team/slug`."""
    team, _, slug = ref.partition("/")
    return repository_by_ref(principal, team, slug)


def in_pattern(pattern: str, at: datetime) -> Q:
    """Returns the condition under which `standing_at` gives this pattern, but for rules that changed since."""
    raised = Q(measured=_DARK) | Q(approved_until__gt=at)
    dark = Q(pattern=_DARK, expires_at__gt=at) & raised
    return dark if pattern == _DARK else ~dark


def in_state(state: str, at: datetime) -> Q:
    """Returns the condition under which `state_at` gives this state."""
    calm = Q(stage="", fault="")
    return {
        "measuring": ~Q(stage=""),
        "failed": Q(stage="") & ~Q(fault=""),
        "unmeasured": calm & Q(expires_at=None),
        "expired": calm & Q(expires_at__lte=at),
        "measured": calm & Q(expires_at__gt=at),
    }[state]


def repository_totals(principal: Principal) -> dict[str, int]:
    """Returns how many visible repositories there are, how many are dark factories, and how many need a measurement."""
    now = clock.now()
    rows = Repository.objects.visible_to(principal).order_by()
    return rows.aggregate(
        repositories=Count("pk"),
        dark=Count("pk", filter=in_pattern(_DARK, now)),
        failed=Count("pk", filter=in_state("failed", now)),
        stale=Count("pk", filter=in_state("expired", now) | in_state("unmeasured", now)),
    )


def repository_history(repository: Repository) -> QuerySet[Model]:
    """Returns the changes of a repository that the principal was already given, newest first."""
    return repository.history.select_related("history_user").order_by("-history_date")  # type: ignore[no-any-return]


def pattern_requests(principal: Principal) -> QuerySet[PatternRequest]:
    """Returns visible requests to raise a pattern, newest first."""
    related = ("owner", "repository", "repository__owner", "asked_by", "decided_by")
    rows = PatternRequest.objects.visible_to(principal).select_related(*related)
    return rows.defer("repository__findings", "repository__executed").order_by("-id")


def pattern_request_by_uid(principal: Principal, uid: str) -> PatternRequest:
    """Returns one visible request."""
    return one_of(pattern_requests(principal), "pattern request", uid=uid)


def requests_of_repository(principal: Principal, repository: Repository) -> QuerySet[PatternRequest]:
    """Returns what was asked of a repository."""
    return pattern_requests(principal).filter(repository=repository)


def pattern_requests_waiting(principal: Principal) -> QuerySet[PatternRequest]:
    """Returns open requests that the principal may decide on: they keep the team, and did not ask."""
    rows = pattern_requests(principal).filter(status=PatternRequest.Status.OPEN)
    if principal.person is not None:
        rows = rows.exclude(asked_by=principal.person)
    if principal.access.is_platform_admin:
        return rows
    kept = [tenant for tenant, roles in principal.access.roles.items() if Role.TEAM_LEAD in roles]
    return rows.filter(owner__in=kept)


def exported_record(repository: Repository) -> dict[str, object]:
    """Returns the signed record of a repository that the principal was given, as it leaves the house."""
    if repository.record is None:
        raise NotFound("The repository was never measured, so there is no record.")
    return exported(
        repository.record, signature=repository.signature, key_id=repository.key_id, facts=repository.findings
    )


def record_fault(repository: Repository, key: Ed25519PublicKey, *, with_facts: bool = True) -> str:
    """Returns what is wrong with the record that is kept: its signature, its facts, or that it is of something else."""
    if repository.record is None:
        return ""
    document = {"record": repository.record, "signature": repository.signature, "key_id": repository.key_id}
    try:
        record = verify({**document, "facts": repository.findings} if with_facts else document, key)
    except Invalid as error:
        return error.message
    if (record["repository"], record["commit"]) != (repository.ref, repository.commit):
        return "The record is signed, and it is the record of something else."
    return ""


def standing_of(
    repository: Repository, key: Ed25519PublicKey | None, at: datetime, *, commits_since: int = 0
) -> Standing:
    """Returns what a repository may be used for at a moment, its signature looked at. Without a key nothing is signed."""
    signed = key is not None and not record_fault(repository, key, with_facts=False)
    return repository.standing_at(at, signed=signed, commits_since=commits_since)


def harness_of(team: Tenant) -> frozenset[str]:
    """Returns the names of the regulations whose checks are in force for a team: the words of the regulatory domains in
    its reach that bring checks, and of the names and titles of those checks.
    """
    layers = Layer.objects.filter(owner__in=ids_in_reach(team), owner__concern=Concern.REGULATORY).select_related(
        "owner"
    )
    named = {
        name
        for layer in layers
        if (checks := layer.document.get("checks"))
        for name in (layer.owner.slug, *(word for check in checks for word in _words_of(check)))
    }
    whole = {name.replace("_", "-") for name in named}
    return frozenset(whole | {word for name in whole for word in name.split("-")})


def _words_of(check: Mapping[str, Any]) -> list[str]:
    """Returns a check's name, and the words of its title: that says which rule asks for it."""
    return [str(check["id"]), *_WORD.findall(str(check.get("title", "")).lower())]


def ended_patterns(at: datetime) -> QuerySet[Repository]:
    """Returns dark factories that may have ended by themselves. Only the scheduler asks, under the system's own scope."""
    rows = Repository.objects.filter(pattern=_DARK)
    current = Q(record__rule_version=rule_version())
    return rows.filter(Q(expires_at__lte=at) | Q(expires_at=None) | Q(approved_until__lte=at) | ~current).order_by("pk")


def lost_measurements(at: datetime) -> QuerySet[Repository]:
    """Returns what somebody asked for a while ago; whether a run has it, it finds out itself. Only the scheduler asks."""
    return Repository.objects.exclude(stage="").filter(asked_at__lte=at - _LOST_AFTER).order_by("asked_at")


def stale_measurements(at: datetime) -> QuerySet[Repository]:
    """Returns a few repositories whose record has ended and that nobody has measured again. Only the scheduler asks."""
    rows = Repository.objects.filter(stage="", expires_at__lte=at, asked_at__lte=at - _AGAIN_AFTER)
    return rows.order_by("asked_at")[:_AT_ONCE]
