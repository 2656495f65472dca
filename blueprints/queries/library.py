"""Reads of blueprints and their versions."""

import re
from collections.abc import Iterable
from typing import Final

from django.db.models import Case, Count, Model, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from blueprints.format.schema import NAMESPACE, SEMVER, SLUG
from blueprints.models import Blueprint, Fork, Version
from kernel.errors import NotFound
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.queries import ids_in_reach, one_of, teams_in, tenants
from tenants.rules import Role, Tier

CONTENTS: Final = ("document", "text", "lock")
"""What of a version no list reads."""

_NAMED: Final = re.compile(rf"({NAMESPACE})/({SLUG})(?:@({SEMVER}))?")


def blueprints(principal: Principal) -> QuerySet[Blueprint]:
    """Returns visible blueprints with owner and head, without the heads' contents."""
    rows = Blueprint.objects.visible_to(principal).select_related("owner", "head")
    return rows.defer(*(f"head__{field}" for field in CONTENTS)).order_by("name")


def with_fork_counts(principal: Principal, rows: QuerySet[Blueprint]) -> QuerySet[Blueprint]:
    """Returns the blueprints with `fork_count`, of the forks that the principal sees, counted for the rows shown only."""
    held = Fork.objects.visible_to(principal).filter(blueprint=OuterRef("pk"), status=Fork.Status.ACTIVE)
    counted = held.order_by().values("blueprint").annotate(n=Count("pk")).values("n")
    return rows.annotate(fork_count=Coalesce(Subquery(counted), Value(0)))


def blueprint_by_ref(principal: Principal, namespace: str, name: str) -> Blueprint:
    """Returns one visible blueprint by namespace and name, with its head's content."""
    rows = Blueprint.objects.visible_to(principal).select_related("owner", "head")
    found = one_of(rows, "blueprint", owner_condition(namespace, "owner__"), name=name)
    hand_blueprint(found, found.head)
    return found


def hand_blueprint(blueprint: Blueprint, *versions: Version | None) -> None:
    """Hands a blueprint that was read with its owner to versions of it, so that nobody reads it again for each."""
    for version in versions:
        if version is not None and version.blueprint_id == blueprint.pk:
            version.blueprint = blueprint


def owner_of(principal: Principal, namespace: str) -> Tenant:
    """Returns the visible tenant that publishes in a namespace."""
    return one_of(tenants(principal), "tenant", owner_condition(namespace))


def owner_condition(namespace: str, prefix: str = "") -> Q:
    """Returns the condition that a tenant, found at `prefix`, publishes in this namespace; no other form names one."""
    if not re.fullmatch(NAMESPACE, namespace):
        return Q(pk__in=())
    tier, _, slug = namespace.partition(".")
    return Q(**{f"{prefix}tier": tier}) & (Q(**{f"{prefix}slug": slug}) if slug else Q())


def ref_condition(ref: str, prefix: str = "") -> Q | None:
    """Returns the condition that the blueprint found at `prefix` is the one of a reference without a version."""
    found = _NAMED.fullmatch(ref)
    if found is None or found[3]:
        return None
    return Q(**{f"{prefix}name": found[2]}) & owner_condition(found[1], f"{prefix}owner__")


def successor_of(principal: Principal, blueprint: Blueprint) -> Blueprint | None:
    """Returns what follows a blueprint that the principal was given, when they see it: another tenant may own it."""
    rows = Blueprint.objects.visible_to(principal).select_related("owner", "head")
    return rows.filter(pk=blueprint.successor_id).first() if blueprint.successor_id else None


def library_of(principal: Principal, team: Tenant) -> QuerySet[Blueprint]:
    """Returns what a team can fork from its first day: the active blueprints of platform, domains and itself."""
    return blueprints(principal).filter(owner__in=ids_in_reach(team), status=Blueprint.Status.ACTIVE)


def teams_in_reach(principal: Principal, blueprint: Blueprint) -> list[Tenant]:
    """Returns the visible teams that can fork a blueprint: its owner, those of the domain, or all below the platform."""
    owner = blueprint.owner
    return [owner] if owner.tier == Tier.TEAM else list(teams_in(principal, owner))


def versions(principal: Principal) -> QuerySet[Version]:
    """Returns visible versions, newest first, with who proposed and decided, without their contents."""
    people = ("proposed_by", "decided_by")
    rows = Version.objects.visible_to(principal).select_related("blueprint", "blueprint__owner", "owner", *people)
    return rows.defer(*CONTENTS).order_by("-id")


def version_of(principal: Principal, blueprint: Blueprint, semver: str) -> Version:
    """Returns the version of this number: the published one, else what was proposed last under it."""
    rows = Version.objects.visible_to(principal).filter(blueprint=blueprint, semver=semver)
    rows = rows.select_related("blueprint", "blueprint__owner", "owner", "proposed_by", "decided_by")
    found = rows.order_by(Case(When(status=Version.Status.PUBLISHED, then=0), default=1), "-id").first()
    if found is None:
        raise NotFound("There is no such version, or you may not see it.")
    return found


def version_by_ref(principal: Principal, ref: str) -> Version:
    """Returns the version of a reference `namespace/name@version`, or the head for one without a version."""
    blueprint, semver = _blueprint_and_number(principal, ref)
    if not semver:
        if blueprint.head is None:
            raise NotFound(f"{blueprint.ref} has no published version yet.")
        return version_of(principal, blueprint, blueprint.head.semver)
    return version_of(principal, blueprint, semver)


def blueprint_named(principal: Principal, ref: str) -> Blueprint:
    """Returns one visible blueprint by a reference without a version, `namespace/name`."""
    blueprint, semver = _blueprint_and_number(principal, ref)
    if semver:
        raise NotFound("That names a version. Leave out what stands behind the @.")
    return blueprint


def names_blueprint(ref: str) -> bool:
    """Tells whether a text is of the form of a reference, with or without a version."""
    return _NAMED.fullmatch(ref) is not None


def _blueprint_and_number(principal: Principal, ref: str) -> tuple[Blueprint, str]:
    found = _NAMED.fullmatch(ref)
    if found is None:
        raise NotFound("That is no reference such as platform/implement-ticket or team.mango/ours@1.2.0.")
    return blueprint_by_ref(principal, found[1], found[2]), found[3] or ""


def version_before(principal: Principal, version: Version) -> Version | None:
    """Returns the published version that a version is compared with: the newest one older than it, else the head."""
    rows = Version.objects.visible_to(principal).select_related("blueprint", "blueprint__owner")
    rows = rows.filter(blueprint=version.blueprint, status=Version.Status.PUBLISHED)
    return rows.filter(pk__lt=version.pk).order_by("-id").first()


def versions_waiting(principal: Principal) -> QuerySet[Version]:
    """Returns proposed versions that the principal may decide on: they review for the owner, and did not propose it."""
    rows = versions(principal).filter(status=Version.Status.PROPOSED)
    if principal.person is not None:
        rows = rows.exclude(proposed_by=principal.person)
    return rows if principal.access.is_platform_admin else rows.filter(owner__in=reviewed_by(principal))


def reviewed_by(principal: Principal) -> list[int]:
    """Returns the tenants for which a principal decides on what others propose."""
    roles = {Role.REVIEWER, Role.TEAM_LEAD, Role.DOMAIN_STEWARD, Role.PLATFORM_ADMIN}
    return [tenant for tenant, held in principal.access.roles.items() if held & roles]


def blueprint_history(blueprint: Blueprint) -> QuerySet[Model]:
    """Returns the changes of a blueprint that the principal was already given, newest first."""
    rows = blueprint.history.select_related("history_user", "head")
    return rows.defer(*(f"head__{field}" for field in CONTENTS)).order_by("-history_date")  # type: ignore[no-any-return]


def counts_by_status(principal: Principal) -> dict[str, int]:
    """Returns how many visible blueprints are in each status."""
    rows = Blueprint.objects.visible_to(principal).order_by()
    return dict(rows.values_list("status").annotate(n=Count("pk")))


def documents_of(versions: Iterable[Version]) -> dict[int, dict[str, object]]:
    """Returns the contents of versions that the principal was already given, by id: one query."""
    wanted = [version.pk for version in versions]
    return dict(Version.objects.filter(pk__in=wanted).values_list("pk", "document"))
