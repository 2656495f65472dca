"""Change requests: what a fork found useful goes up, decided by the owner, published as the next version."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from django.db import transaction

from blueprints import verbs
from blueprints.forks.derivation import target
from blueprints.forks.operations import OverlayRefused, apply
from blueprints.format.writing import write_blueprint
from blueprints.models import Blueprint, ChangeRequest, Fork, Version
from blueprints.services.keeping import log_act
from blueprints.services.publishing import write_published
from blueprints.services.soundness import refuse_errors, refuse_unsound
from blueprints.versions import next_version
from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid
from tenants import authority
from tenants.principals import Principal
from tenants.rules import Tier
from tenants.services import require_reason
from tenants.versions import check_version, lock

MAX_TITLE: Final = 200
MAX_NOTE: Final = 4_000
Part = Literal["major", "minor", "patch"]


@transaction.atomic
def open_request(*, actor: Principal, fork: Fork, targets: Sequence[str], title: str, note: str = "") -> ChangeRequest:
    """Returns a request that the owner takes these operations of a fork; `targets` are pointers of what they change.

    What the fork has asked for already and nobody decided on yet is not asked for again: of two at once, one is refused.
    """
    authority.require_contributor(actor, fork.owner, "propose changes upstream")
    _require_words(title, note)
    present = lock(fork)
    if present.status == Fork.Status.RETIRED:
        raise Conflict("The fork is retired.")
    head = _head_of(fork.blueprint)
    operations = _chosen(present, targets)
    _require_unasked(present, operations)
    _applied(head, operations, head.semver)
    request = ChangeRequest.objects.create(
        owner=fork.blueprint.owner,
        blueprint=fork.blueprint,
        against=head,
        fork_uid=fork.uid,
        team_slug=fork.owner.slug,
        team_name=fork.owner.name,
        title=title.strip(),
        note=note.strip(),
        operations=operations,
        opened_by=actor.person,
    )
    log_act(fork.owner_id, actor, verbs.REQUEST_OPENED, fork.ref, request=str(request.uid), to=fork.blueprint.ref)
    log_act(request.owner_id, actor, verbs.REQUEST_OPENED, fork.blueprint.ref, request=str(request.uid))
    return request


@transaction.atomic
def accept_request(
    *,
    actor: Principal,
    request: ChangeRequest,
    part: Part = "minor",
    reason: str = "",
    expected_version: int | None = None,
) -> ChangeRequest:
    """Returns the request accepted: a version with its operations is published. The head may have moved since."""
    authority.require_reviewer(actor, request.owner, "accept change requests")
    if actor.person is not None and actor.person.pk == request.opened_by_id:
        raise Forbidden(
            "Nobody accepts what they asked for themselves.",
            missing="review by somebody else",
            given_by=authority.REVIEWER_OF_TIER[Tier(request.owner.tier)],
        )
    blueprint = lock(request.blueprint)
    request = _decide(actor, request, ChangeRequest.Status.ACCEPTED, reason, expected_version)
    if blueprint.status == Blueprint.Status.DEPRECATED:
        raise Conflict("The blueprint is deprecated. Restore it first.")
    head = _head_of(blueprint)
    document = _applied(head, request.operations, next_version(head.semver, part))
    request.result = write_published(
        actor,
        blueprint,
        document,
        text=write_blueprint(document),
        note=f"{request.title} (from {request.team_name})"[:500],
        author=request.opened_by,
    )
    request.save()
    log_act(request.owner_id, actor, verbs.REQUEST_ACCEPTED, blueprint.ref, request=str(request.uid))
    return request


@transaction.atomic
def decline_request(
    *, actor: Principal, request: ChangeRequest, reason: str, expected_version: int | None = None
) -> ChangeRequest:
    """Returns the request declined, with the reason that its team reads."""
    authority.require_reviewer(actor, request.owner, "decline change requests")
    require_reason(reason)
    request = _decide(actor, request, ChangeRequest.Status.DECLINED, reason, expected_version)
    request.save()
    log_act(
        request.owner_id, actor, verbs.REQUEST_DECLINED, request.blueprint.ref, request=str(request.uid), reason=reason
    )
    return request


@transaction.atomic
def withdraw_request(*, actor: Principal, request: ChangeRequest, expected_version: int | None = None) -> ChangeRequest:
    """Returns the request withdrawn by who opened it."""
    if actor.person is None or actor.person.pk != request.opened_by_id:
        raise Forbidden(
            "Only who opened a request withdraws it.",
            missing="your own request",
            given_by="nobody; its owner can decline it",
        )
    request = _decide(actor, request, ChangeRequest.Status.WITHDRAWN, "", expected_version)
    request.save()
    log_act(request.owner_id, actor, verbs.REQUEST_WITHDRAWN, request.blueprint.ref, request=str(request.uid))
    return request


def preview(request: ChangeRequest) -> dict[str, Any]:
    """Returns the document that accepting would publish now. Raises `Invalid` when it does not fit the head any more."""
    head = _head_of(request.blueprint)
    return _applied(head, request.operations, next_version(head.semver, "minor"))


def _head_of(blueprint: Blueprint) -> Version:
    if blueprint.head is None:
        raise Conflict("The blueprint has no published version.")
    return blueprint.head


def _require_words(title: str, note: str) -> None:
    errors: dict[str, list[str]] = {}
    if not title.strip() or len(title) > MAX_TITLE or "\0" in title:
        errors["title"] = [f"1 to {MAX_TITLE} characters."]
    if len(note) > MAX_NOTE or "\0" in note:
        errors["note"] = [f"At most {MAX_NOTE} characters."]
    if errors:
        raise Invalid("Say what is proposed.", errors=errors)


def _chosen(fork: Fork, targets: Sequence[str]) -> list[Mapping[str, Any]]:
    known = {target(operation)[1] for operation in fork.operations}
    if unknown := [name for name in targets if name not in known]:
        said = [f"The fork changes nothing at {name}." for name in unknown]
        raise Invalid("The fork has no such operation.", errors={"targets": said})
    chosen = [operation for operation in fork.operations if target(operation)[1] in targets]
    if not chosen:
        raise Invalid("Choose what to propose.", errors={"targets": ["At least one operation."]})
    return chosen


def _require_unasked(fork: Fork, operations: Sequence[Mapping[str, Any]]) -> None:
    """Raises when an open request of this fork is about one of these places. Whoever asks holds the lock on the fork."""
    wanted = {target(operation)[1] for operation in operations}
    for request in ChangeRequest.objects.filter(fork_uid=fork.uid, status=ChangeRequest.Status.OPEN).order_by("pk"):
        if asked := wanted & {target(operation)[1] for operation in request.operations}:
            raise Conflict(
                f"“{request.title}” is open and asks for {', '.join(sorted(asked))} already. "
                "Wait for its decision, or have it withdrawn first.",
                code="already_proposed",
                request=str(request.uid),
                targets=sorted(asked),
            )


def _applied(head: Version, operations: Sequence[Mapping[str, Any]], semver: str) -> dict[str, Any]:
    header = {**head.document["document"], "version": semver}
    try:
        document = apply(head.document, operations, header={"blueprint": 1, "document": header})
    except OverlayRefused as refused:
        refuse_errors(refused.findings, f"The operations do not fit {head.ref} by themselves.")
        raise  # the findings of a refusal are errors, so this is never reached
    refuse_unsound(document, f"{head.ref} with these operations alone would not be sound.")
    return document


def _decide(actor: Principal, request: ChangeRequest, status: str, reason: str, expected: int | None) -> ChangeRequest:
    request = lock(request)
    check_version(request, expected)
    if request.status != ChangeRequest.Status.OPEN:
        raise Conflict("The request was decided on already.", status=request.status)
    request.status, request.decision_reason = status, reason[:200]
    request.decided_by, request.decided_at = actor.person, clock.now()
    request.version += 1
    return request
