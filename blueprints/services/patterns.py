"""The pattern of a repository: lowered by who works on it, raised by somebody else's approval, settled by the clock."""

from datetime import datetime

from django.db import IntegrityError, transaction

from blueprints import verbs
from blueprints.classification import rules
from blueprints.classification.record import holds, states_of
from blueprints.classification.standing import Because, hindrance_of
from blueprints.models import PatternRequest, Repository
from blueprints.services.keeping import keep, log_act
from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid
from tenants import authority
from tenants.principals import SYSTEM, Principal
from tenants.services import require_reason
from tenants.versions import check_version, lock


@transaction.atomic
def lower_pattern(
    *, actor: Principal, repository: Repository, reason: str, expected_version: int | None = None
) -> Repository:
    """Returns the repository held down: whatever is measured, it is interactive until an approval lifts that."""
    authority.require_contributor(actor, repository.owner, "lower patterns")
    require_reason(reason)
    repository = lock(repository)
    check_version(repository, expected_version)
    if repository.lowered_at is not None:
        raise Conflict("It is lowered already.")
    repository.pattern = rules.lower(rules.Pattern(repository.pattern), rules.Pattern.INTERACTIVE)
    repository.lowered_at, repository.lowered_reason = clock.now(), reason.strip()
    repository.approved_until = None
    repository.version += 1
    keep(repository, actor, f"lowered: {reason.strip()}")
    log_act(repository.owner_id, actor, verbs.PATTERN_LOWERED, _named(repository), reason=reason)
    return repository


@transaction.atomic
def ask_pattern(*, actor: Principal, repository: Repository, reason: str) -> PatternRequest:
    """Returns a request that somebody else approves a dark factory. What no approval can mend is said at once."""
    authority.require_contributor(actor, repository.owner, "ask to raise patterns")
    require_reason(reason)
    repository = lock(repository)
    _require_raisable(repository)
    try:
        with transaction.atomic():
            request = PatternRequest.objects.create(
                owner=repository.owner, repository=repository, reason=reason.strip(), asked_by=actor.person
            )
    except IntegrityError as error:
        raise Conflict("Somebody has asked already, and nobody has decided yet.") from error
    log_act(
        repository.owner_id, actor, verbs.PATTERN_ASKED, _named(repository), request=str(request.uid), reason=reason
    )
    return request


@transaction.atomic
def approve_pattern(
    *,
    actor: Principal,
    request: PatternRequest,
    reason: str,
    until: datetime | None = None,
    expected_version: int | None = None,
) -> PatternRequest:
    """Returns the request approved: a dark factory until then, at most as long as the record holds, and not held down."""
    repository = request.repository
    authority.require_keeper(actor, repository.owner, "approve patterns")
    require_reason(reason)
    repository = lock(repository)
    request = _decide(actor, request, PatternRequest.Status.APPROVED, reason, expected_version)
    _require_raisable(repository)
    assert repository.record is not None and repository.expires_at is not None  # noqa: S101, PT018 - it is raisable
    request.until = _end_of(until, repository.expires_at)
    files, executed = states_of(repository.record)
    pattern = rules.raise_pattern(
        rules.judge(files, executed),
        executed,
        approval=rules.Approval(_uid(request.asked_by), _uid(actor.person), reason, request.until),
        now=clock.now(),
    )
    request.save()
    repository.lowered_at, repository.lowered_reason = None, ""
    # What was measured to be one needs nobody's approval any longer once nobody holds it down.
    repository.approved_until = None if repository.measured == pattern else request.until
    repository.pattern = pattern
    repository.version += 1
    keep(repository, actor, f"approved: {reason.strip()}")
    log_act(
        repository.owner_id,
        actor,
        verbs.PATTERN_APPROVED,
        _named(repository),
        request=str(request.uid),
        until=request.until.isoformat(),
        reason=reason,
    )
    return request


@transaction.atomic
def decline_pattern(
    *, actor: Principal, request: PatternRequest, reason: str, expected_version: int | None = None
) -> PatternRequest:
    """Returns the request declined, with the reason that its team reads."""
    repository = request.repository
    authority.require_keeper(actor, repository.owner, "decline patterns")
    require_reason(reason)
    request = _decide(actor, request, PatternRequest.Status.DECLINED, reason, expected_version)
    request.save()
    named = _named(repository)
    log_act(request.owner_id, actor, verbs.PATTERN_DECLINED, named, request=str(request.uid), reason=reason)
    return request


@transaction.atomic
def settle_pattern(repository_id: int) -> bool:
    """Writes down that a dark factory has ended by itself, and why; tells whether it had. Running twice is harmless."""
    repository = Repository.objects.select_for_update(of=("self",)).filter(pk=repository_id).first()
    if repository is None or repository.pattern != Repository.Pattern.DARK_FACTORY:
        return False
    now = clock.now()
    standing = repository.standing_at(now)
    if standing.pattern == rules.Pattern.DARK_FACTORY:
        return False
    if repository.approved_until is not None and repository.approved_until <= now:
        repository.approved_until = None
    repository.pattern = standing.pattern
    keep(repository, SYSTEM, f"ended: {standing.because}")
    log_act(repository.owner_id, SYSTEM, verbs.PATTERN_LOWERED, _named(repository), because=str(standing.because))
    return True


def _end_of(until: datetime | None, expires_at: datetime) -> datetime:
    if until is not None and until <= clock.now():
        raise Invalid("An approval has an end that is to come.", errors={"until": ["Give a moment in the future."]})
    return expires_at if until is None else min(until, expires_at)


def _require_raisable(repository: Repository) -> None:
    now = clock.now()
    if not repository.record or not holds(repository.record, now=now, commits_since=0):
        raise Conflict("There is no measurement that holds. Measure it first.")
    if repository.standing_at(now).because in {Because.PROVEN, Because.APPROVED}:
        raise Conflict("It is a dark factory already.")
    if hindered := hindrance_of(repository.record):
        raise Forbidden(hindered, missing="what the measurement lacks", given_by="nobody; mend it and measure again")


def _decide(
    actor: Principal, request: PatternRequest, status: str, reason: str, expected: int | None
) -> PatternRequest:
    request = lock(request)
    check_version(request, expected)
    if request.status != PatternRequest.Status.OPEN:
        raise Conflict("The request was decided on already.", status=request.status)
    request.status, request.decision_reason = status, reason.strip()
    request.decided_by, request.decided_at = actor.person, clock.now()
    request.version += 1
    return request


def _uid(person: object) -> str:
    return str(getattr(person, "uid", ""))


def _named(repository: Repository) -> str:
    return f"repository:{repository.ref}"
