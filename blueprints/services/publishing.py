"""Versions: proposed by who works for the owner, published by somebody else who reviews, never changed."""

from typing import Any, Final

from django.db import IntegrityError, transaction

from blueprints import verbs
from blueprints.compiling import compile_blueprint
from blueprints.models import Blueprint, Version
from blueprints.services.following import follow_head
from blueprints.services.keeping import keep, log_act
from blueprints.services.soundness import read_sound
from blueprints.versions import digest_of, namespace_of, version_key
from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid
from tenants import authority
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.rules import Tier
from tenants.services import require_reason
from tenants.versions import check_version, lock

MAX_NOTE: Final = 500


@transaction.atomic
def propose_version(*, actor: Principal, owner: Tenant, text: str, note: str, name: str = "") -> Version:
    """Returns a version that waits for review. The first one makes the blueprint, as a draft.

    With `name` the header must name just this blueprint; without, it may name any of the owner's.
    """
    authority.require_contributor(actor, owner, "propose blueprints")
    _require_note(note)
    document = read_sound(text)
    _require_header(document, owner, name)
    blueprint = _blueprint_of(actor, owner, document)
    _require_newer(blueprint, document)
    version = _write(
        blueprint, document, text=text, note=note, proposed_by=actor.person, status=Version.Status.PROPOSED
    )
    log_act(owner.pk, actor, verbs.VERSION_PROPOSED, version.ref, digest=version.digest, note=note)
    return version


@transaction.atomic
def publish_version(
    *, actor: Principal, version: Version, reason: str = "", expected_version: int | None = None
) -> Version:
    """Returns the version published: the head from now on. Every fork is measured against it, configurations follow."""
    authority.require_reviewer(actor, version.owner, "publish versions")
    _require_other(actor, version)
    blueprint = lock(version.blueprint)
    version = _decide(actor, version, Version.Status.PUBLISHED, reason, expected_version)
    if blueprint.status == Blueprint.Status.DEPRECATED:
        raise Conflict("The blueprint is deprecated. Restore it first.")
    _require_newer(blueprint, version.document, own=version)
    move_head(actor, blueprint, version)
    log_act(version.owner_id, actor, verbs.VERSION_PUBLISHED, version.ref, digest=version.digest, reason=reason)
    return version


@transaction.atomic
def reject_version(*, actor: Principal, version: Version, reason: str, expected_version: int | None = None) -> Version:
    """Returns the version rejected; its number is free again."""
    authority.require_reviewer(actor, version.owner, "reject versions")
    require_reason(reason)
    version = _decide(actor, version, Version.Status.REJECTED, reason, expected_version)
    log_act(version.owner_id, actor, verbs.VERSION_REJECTED, version.ref, reason=reason)
    return version


@transaction.atomic
def withdraw_version(*, actor: Principal, version: Version, expected_version: int | None = None) -> Version:
    """Returns the version withdrawn, by who proposed it or keeps the owner."""
    if actor.person is None or actor.person.pk != version.proposed_by_id:
        authority.require_keeper(actor, version.owner, "withdraw versions")
    version = _decide(actor, version, Version.Status.WITHDRAWN, "", expected_version)
    log_act(version.owner_id, actor, verbs.VERSION_WITHDRAWN, version.ref)
    return version


@transaction.atomic
def deprecate_blueprint(
    *,
    actor: Principal,
    blueprint: Blueprint,
    reason: str,
    successor: Blueprint | None = None,
    expected_version: int | None = None,
) -> Blueprint:
    """Returns the blueprint deprecated: it takes no new forks, and those that it has are told where to go."""
    authority.require_keeper(actor, blueprint.owner, "deprecate blueprints")
    require_reason(reason)
    blueprint = lock(blueprint)
    check_version(blueprint, expected_version)
    if blueprint.status != Blueprint.Status.ACTIVE:
        raise Conflict("Only an active blueprint can be deprecated.", status=blueprint.status)
    if successor is not None:
        _require_successor(blueprint, successor)
    blueprint.status, blueprint.status_reason = Blueprint.Status.DEPRECATED, reason
    blueprint.successor = successor
    blueprint.version += 1
    keep(blueprint, actor, reason)
    named = successor.ref if successor else ""
    log_act(blueprint.owner_id, actor, verbs.BLUEPRINT_DEPRECATED, blueprint.ref, reason=reason, successor=named)
    return blueprint


@transaction.atomic
def restore_blueprint(*, actor: Principal, blueprint: Blueprint, expected_version: int | None = None) -> Blueprint:
    """Returns a deprecated blueprint active again."""
    authority.require_keeper(actor, blueprint.owner, "restore blueprints")
    blueprint = lock(blueprint)
    check_version(blueprint, expected_version)
    if blueprint.status != Blueprint.Status.DEPRECATED:
        raise Conflict("The blueprint is not deprecated.", status=blueprint.status)
    blueprint.status, blueprint.status_reason = Blueprint.Status.ACTIVE, ""
    blueprint.successor = None
    blueprint.version += 1
    keep(blueprint, actor, "restored")
    log_act(blueprint.owner_id, actor, verbs.BLUEPRINT_RESTORED, blueprint.ref)
    return blueprint


def write_published(
    actor: Principal, blueprint: Blueprint, document: dict[str, Any], *, text: str, note: str, author: Any
) -> Version:
    """Returns a published version of a locked blueprint, made of what `author` asked for and `actor` accepted."""
    _require_newer(blueprint, document)
    version = _write(
        blueprint,
        document,
        text=text,
        note=note,
        proposed_by=author,
        status=Version.Status.PUBLISHED,
        decided_by=actor.person,
        decided_at=clock.now(),
    )
    move_head(actor, blueprint, version)
    log_act(version.owner_id, actor, verbs.VERSION_PUBLISHED, version.ref, digest=version.digest, reason=note)
    return version


def move_head(actor: Principal, blueprint: Blueprint, version: Version) -> None:
    """Makes a version the head of its blueprint, which is described by it from now on; forks are measured anew."""
    header = version.document["document"]
    blueprint.head = version
    blueprint.title, blueprint.summary = header["title"], header["summary"]
    blueprint.variant, blueprint.tags = header.get("variant", "any"), header.get("tags", [])
    blueprint.pattern = version.document["pattern"]
    if blueprint.status == Blueprint.Status.DRAFT:
        blueprint.status = Blueprint.Status.ACTIVE
    blueprint.version += 1
    keep(blueprint, actor, f"published {version.semver}")
    version.blueprint = blueprint
    follow_head(blueprint)


def _require_note(text: str) -> None:
    if not text.strip() or len(text) > MAX_NOTE or "\0" in text:
        raise Invalid("Say what changes.", errors={"note": [f"1 to {MAX_NOTE} characters for who reviews it."]})


def _require_header(document: dict[str, Any], owner: Tenant, name: str) -> None:
    header = document["document"]
    wanted = {"namespace": namespace_of(owner.tier, owner.slug), "owner": owner.slug, "name": name or header["name"]}
    wrong = [f"`{field}` in the header must be {value!r}." for field, value in wanted.items() if header[field] != value]
    if wrong:
        raise Invalid("The header names another blueprint, or another owner.", errors={"text": wrong})


def _blueprint_of(actor: Principal, owner: Tenant, document: dict[str, Any]) -> Blueprint:
    header = document["document"]
    found = Blueprint.objects.select_for_update(of=("self",)).filter(owner=owner, name=header["name"]).first()
    if found is not None:
        found.owner = owner
        if found.status == Blueprint.Status.DEPRECATED:
            raise Conflict("The blueprint is deprecated. Restore it first.")
        return found
    made = Blueprint(
        owner=owner,
        name=header["name"],
        title=header["title"],
        summary=header["summary"],
        variant=header.get("variant", "any"),
        tags=header.get("tags", []),
        pattern=document["pattern"],
    )
    try:
        with transaction.atomic():
            keep(made, actor, "first proposed")
    except IntegrityError as error:
        raise Conflict("Somebody has just proposed a blueprint of this name. Try again.") from error
    return made


def _require_newer(blueprint: Blueprint, document: dict[str, Any], *, own: Version | None = None) -> None:
    """Raises unless the number is above the head's and nobody else uses it, and the content is not the head's."""
    semver = document["document"]["version"]
    head = blueprint.head
    if head is not None:
        if version_key(semver) <= version_key(head.semver):
            said = f"The head is {head.semver}; {semver} is not above it."
            raise Conflict(said, code="version_not_newer", head=head.semver)
        content = {name: value for name, value in document.items() if name != "document"}
        if content == {name: value for name, value in head.document.items() if name != "document"}:
            raise Conflict(f"This is what {head.semver} says already; only the header differs.", code="unchanged")
    waiting = Version.objects.filter(blueprint=blueprint, semver=semver, status=Version.Status.PROPOSED)
    if own is not None:
        waiting = waiting.exclude(pk=own.pk)
    if waiting.exists():
        raise Conflict(f"{semver} is proposed already and waits for review.", code="version_taken")


def _write(blueprint: Blueprint, document: dict[str, Any], **fields: Any) -> Version:
    return Version.objects.create(
        blueprint=blueprint,
        owner=blueprint.owner,
        semver=document["document"]["version"],
        digest=digest_of(document),
        document=document,
        lock=compile_blueprint(document),
        **fields,
    )


def _require_other(actor: Principal, version: Version) -> None:
    if actor.person is not None and actor.person.pk == version.proposed_by_id:
        raise Forbidden(
            "Nobody publishes what they proposed themselves.",
            missing="review by somebody else",
            given_by=authority.REVIEWER_OF_TIER[Tier(version.owner.tier)],
        )


def _decide(actor: Principal, version: Version, status: str, reason: str, expected: int | None) -> Version:
    version = lock(version)
    check_version(version, expected)
    if version.status != Version.Status.PROPOSED:
        raise Conflict("The version was decided on already.", status=version.status)
    version.status, version.decision_reason = status, reason[:200]
    version.decided_by, version.decided_at = actor.person, clock.now()
    version.version += 1
    version.save()
    return version


def _require_successor(blueprint: Blueprint, successor: Blueprint) -> None:
    if successor.pk == blueprint.pk or successor.status != Blueprint.Status.ACTIVE:
        raise Invalid("That cannot follow.", errors={"successor": ["Choose another active blueprint."]})
