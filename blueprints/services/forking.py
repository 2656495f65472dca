"""Forks: a team's typed overlay on one version, changed with reasons, moved to new heads, retired."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.db import IntegrityError, transaction

from blueprints import verbs
from blueprints.forks import rebase as rebasing
from blueprints.forks.derivation import derive, target
from blueprints.forks.families import detached, only_parameters
from blueprints.forks.operations import OverlayRefused, apply, check_overlay
from blueprints.models import Blueprint, Fork, Version
from blueprints.queries.library import successor_of
from blueprints.services.following import measure
from blueprints.services.keeping import header_of_fork, keep, log_act
from blueprints.services.soundness import read_sound, refuse_errors, refuse_unsound, refuse_weaker
from blueprints.versions import digest_of
from kernel.errors import Conflict, Invalid
from tenants import authority
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.queries import reach_of
from tenants.rules import Tier
from tenants.services import require_reason, require_slug
from tenants.versions import check_version, lock

MAX_TITLE: Final = 200
Operation = Mapping[str, Any]


@transaction.atomic
def fork_blueprint(
    *,
    actor: Principal,
    version: Version,
    team: Tenant,
    name: str,
    title: str = "",
    operations: Sequence[Operation] = (),
    mode: str = Fork.Mode.OVERLAY,
) -> Fork:
    """Returns a fork on exactly this version. Without operations it is the version itself, drift 0."""
    _require_team(actor, team)
    require_slug(name, "name")
    _require_title(title)
    blueprint = lock(version.blueprint)  # its head stays until the fork is measured
    _require_forkable(actor, version, blueprint, team)
    fork = Fork(
        owner=team,
        blueprint=blueprint,
        base=version,
        measured=version,
        name=name,
        title=title.strip() or blueprint.title,
        mode=mode,
        created_by=actor.person,
    )
    _set_operations(fork, operations)
    measure(fork, _head_of(blueprint))
    try:
        with transaction.atomic():
            keep(fork, actor, f"forked {version.ref}")
    except IntegrityError as error:
        raise Conflict(f"{team.name} has a fork “{name}” already.", name=name) from error
    log_act(team.pk, actor, verbs.FORKED, fork.ref, base=version.ref, digest=version.digest, mode=fork.mode)
    return fork


@transaction.atomic
def import_copy(*, actor: Principal, version: Version, team: Tenant, name: str, text: str, reason: str) -> Fork:
    """Returns a fork made of a full copy: its operations are derived. One that kept little of its base is detached."""
    _require_team(actor, team)
    document = read_sound(text)
    base = version.document
    operations = _with_reasons(derive(base, document), [], reason)
    mode = Fork.Mode.DETACHED if detached(base, document) else Fork.Mode.OVERLAY
    title = document["document"]["title"]
    return fork_blueprint(
        actor=actor, version=version, team=team, name=name, title=title, operations=operations, mode=mode
    )


@transaction.atomic
def change_fork(
    *, actor: Principal, fork: Fork, operations: Sequence[Operation], expected_version: int | None = None
) -> Fork:
    """Returns the fork with exactly these operations on its base."""
    authority.require_contributor(actor, fork.owner, "change forks")
    fork = _locked(fork, expected_version)
    before = {target(one) for one in fork.operations}
    _set_operations(fork, operations)
    if fork.mode == Fork.Mode.CONFIGURATION and not only_parameters(fork.operations):
        fork.mode = Fork.Mode.OVERLAY
    return _kept(actor, fork, verbs.FORK_CHANGED, "changed", added=len({target(o) for o in fork.operations} - before))


@transaction.atomic
def edit_fork(*, actor: Principal, fork: Fork, text: str, reason: str, expected_version: int | None = None) -> Fork:
    """Returns the fork whose content is this text. `reason` is that of each operation which is new by it."""
    authority.require_contributor(actor, fork.owner, "change forks")
    require_reason(reason)
    document = read_sound(text)
    fork = _locked(fork, expected_version)
    operations = _with_reasons(derive(fork.base.document, document), fork.operations, reason)
    return change_fork(actor=actor, fork=fork, operations=operations)


@transaction.atomic
def rebase_fork(
    *,
    actor: Principal,
    fork: Fork,
    onto: Version,
    choices: Mapping[str, rebasing.Choice],
    expected_version: int | None = None,
) -> Fork:
    """Returns the fork on a new base: the head of its blueprint, or of that one's successor.

    `choices` says for each conflict, by its JSON pointer, whose side holds. Raises `Conflict` naming those that wait.
    """
    authority.require_contributor(actor, fork.owner, "rebase forks")
    fork = _locked(fork, expected_version)
    _require_target(actor, fork, onto)
    try:
        made = rebasing.rebase(fork.base.document, onto.document, fork.document, choices=choices, known=fork.operations)
    except rebasing.Unresolved as error:
        raise Conflict(
            f"{len(error.conflicts)} conflicts wait for a choice.",
            code="unresolved",
            conflicts=[change.as_dict() for change in error.conflicts],
            unknown=error.unknown,
        ) from error
    origin = fork.base.ref
    fork.base, fork.blueprint = onto, lock(onto.blueprint)
    _set_operations(fork, made.operations)
    return _kept(actor, fork, verbs.FORK_REBASED, f"rebased onto {onto.ref}", origin=origin, base=onto.ref)


@transaction.atomic
def configure_fork(*, actor: Principal, fork: Fork, expected_version: int | None = None) -> Fork:
    """Returns a fork that sets parameters only as a configuration: it follows each new head by itself."""
    authority.require_contributor(actor, fork.owner, "configure forks")
    fork = _locked(fork, expected_version)
    if not only_parameters(fork.operations):
        raise Conflict("It changes more than parameters, so it stays a fork.", code="not_parameters")
    fork.mode = Fork.Mode.CONFIGURATION
    return _kept(actor, fork, verbs.FORK_CONFIGURED, "made a configuration")


@transaction.atomic
def retire_fork(*, actor: Principal, fork: Fork, reason: str, expected_version: int | None = None) -> Fork:
    """Returns the fork retired: the team is back on what upstream publishes. It stays to be read."""
    require_reason(reason)
    authority.require_contributor(actor, fork.owner, "retire forks")
    fork = _locked(fork, expected_version)
    fork.status, fork.status_reason = Fork.Status.RETIRED, reason
    return _kept(actor, fork, verbs.FORK_RETIRED, reason, reason=reason)


def _require_team(actor: Principal, team: Tenant) -> None:
    if team.tier != Tier.TEAM:
        raise Invalid("A team forks.", errors={"team": ["Domains and the platform publish versions of their own."]})
    authority.require_contributor(actor, team, "fork blueprints")


def _require_title(title: str) -> None:
    if len(title) > MAX_TITLE or "\0" in title:
        raise Invalid("The title is too long.", errors={"title": [f"At most {MAX_TITLE} characters."]})


def _require_forkable(actor: Principal, version: Version, blueprint: Blueprint, team: Tenant) -> None:
    if version.status != Version.Status.PUBLISHED:
        raise Conflict("Only a published version can be forked.", status=version.status)
    if blueprint.owner_id not in reach_of(team):
        said = f"{team.name} is not in {blueprint.owner.name}, whose blueprint this is."
        raise Invalid("That team cannot fork it.", errors={"team": [said]})
    if blueprint.status == Blueprint.Status.DEPRECATED:
        follower = successor_of(actor, blueprint)
        named = follower.ref if follower else ""
        hint = f" Fork {named} instead." if named else ""
        raise Conflict(f"{blueprint.title} is deprecated.{hint}", code="deprecated", successor=named)


def _require_target(actor: Principal, fork: Fork, onto: Version) -> None:
    blueprint = fork.blueprint
    after = successor_of(actor, blueprint)
    heads = {blueprint.head_id} | ({after.head_id} if after else set())
    if onto.pk not in heads:
        raise Conflict("A fork moves to the head of its blueprint or of its successor.", head=_head_of(blueprint).ref)
    if onto.blueprint.owner_id not in reach_of(fork.owner):
        raise Conflict(f"{fork.owner.name} is not in {onto.blueprint.owner.name}.")


def _locked(fork: Fork, expected: int | None) -> Fork:
    blueprint = lock(fork.blueprint)  # first, as publishing does, so that the head stays and neither waits for ever
    fork = lock(fork)
    check_version(fork, expected)
    if fork.status == Fork.Status.RETIRED:
        raise Conflict("The fork is retired.")
    if fork.blueprint_id != blueprint.pk:
        raise Conflict("It was moved to another blueprint in the meantime.")
    fork.blueprint = blueprint
    fork.version += 1
    return fork


def _kept(actor: Principal, fork: Fork, verb: str, why: str, **facts: object) -> Fork:
    measure(fork, _head_of(fork.blueprint))
    keep(fork, actor, why)
    log_act(fork.owner_id, actor, verb, fork.ref, digest=fork.digest, drift=fork.drift, behind=fork.behind, **facts)
    return fork


def _head_of(blueprint: Blueprint) -> Version:
    assert blueprint.head is not None  # noqa: S101 - a fork stands on a published version, so there is a head
    return blueprint.head


def _set_operations(fork: Fork, operations: Sequence[Operation]) -> None:
    """Resolves the operations on the base. What cannot be applied, is unsound or proves less is refused whole."""
    base = fork.base.document
    header = header_of_fork(fork, base)
    overlay = {
        "overlay": 1,
        "document": header,
        "base": {"ref": fork.base.ref, "digest": fork.base.digest},
        "operations": list(operations),
    }
    refuse_errors(check_overlay(overlay), "The operations are not of the format.")
    try:
        document = apply(base, operations, header={"blueprint": 1, "document": header})
    except OverlayRefused as refused:
        refuse_errors(refused.findings, "The operations do not fit the base.")
        raise  # findings of a refusal are errors, so this is never reached
    refuse_unsound(document, "The fork would not be sound.")
    refuse_weaker(base, document)
    fork.operations, fork.document, fork.digest = list(operations), document, digest_of(document)


def _with_reasons(
    operations: Iterable[dict[str, Any]], known: Iterable[Operation], reason: str
) -> list[dict[str, Any]]:
    """Returns derived operations with their old reasons where they are unchanged, else with the one just given."""
    unchanged = {target(one): one for one in known}
    made = []
    for operation in operations:
        before = unchanged.get(target(operation))
        same = before is not None and {**before, "reason": ""} == {**operation, "reason": ""}
        made.append({**operation, "reason": before["reason"] if before is not None and same else reason})
    return made
