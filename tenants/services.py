"""Writes to tenants, people and roles: check permission, change, audit, return the object."""

from typing import Final

from django.db import IntegrityError, transaction
from django.utils.module_loading import import_string

from audit.services import open_stream, record
from kernel.errors import Conflict, Forbidden, Invalid
from kernel.ids import is_slug
from tenants import authority, founded, verbs
from tenants.models import DomainMembership, Membership, Person, Tenant
from tenants.principals import Principal
from tenants.rules import ROLES_OF_TIER, Role, Sensitivity, Tier, role_fits
from tenants.versions import check_version, lock

MAX_REASON: Final = 200


def require_slug(slug: str, field: str = "slug") -> None:
    """Raises unless the text can stand in a URL and in a tool name."""
    if not is_slug(slug):
        sentence = "Use 1 to 48 of a-z, 0-9 and hyphens, beginning and ending with a letter or digit."
        raise Invalid("The name cannot be used.", errors={field: [sentence]})


def require_reason(reason: str) -> None:
    """Raises unless there is a reason that fits where it is kept."""
    if not reason.strip():
        raise Invalid("Say why.", errors={"reason": ["A reason is required."]})
    if len(reason) > MAX_REASON or "\0" in reason:
        raise Invalid("Say it shorter.", errors={"reason": [f"At most {MAX_REASON} characters of text."]})


def require_fitting(role: Role, tenant: Tenant) -> None:
    """Raises unless the role exists in a tenant of this tier."""
    if not role_fits(role, tenant.tier):
        known = ", ".join(sorted(ROLES_OF_TIER[Tier(tenant.tier)]))
        raise Invalid("That role does not exist here.", errors={"role": [f"In a {tenant.tier}: {known}."]})


@transaction.atomic
def create_tenant(
    *,
    actor: Principal,
    tier: Tier,
    slug: str,
    name: str,
    concern: str = "",
    region: str = "",
    origin: str = "internal",
    summary: str = "",
    invented: bool = False,
) -> Tenant:
    """Returns a new node of the tier tree, with an audit stream of its own. Only platform admins make them."""
    authority.require_platform_admin(actor, "create tenants")
    require_slug(slug)
    if (tier == Tier.DOMAIN) != bool(concern):
        raise Invalid("A domain has a concern, and nothing else has.", errors={"concern": ["Required for a domain."]})
    try:
        with transaction.atomic():
            tenant = Tenant.objects.create(
                tier=tier,
                slug=slug,
                name=name,
                concern=concern,
                region=region,
                origin=origin,
                summary=summary,
                invented=invented,
            )
    except IntegrityError as error:
        raise Conflict(f"There is a tenant “{slug}” already.", slug=slug) from error
    open_stream(scope=tenant.pk, name=slug)
    _record(actor, tenant, verbs.TENANT_CREATED, slug, tier=tier, concern=concern)
    for step in founded.STEPS:
        import_string(step)(tenant)
    return tenant


@transaction.atomic
def change_tenant(
    *, actor: Principal, tenant: Tenant, name: str, summary: str, region: str, expected_version: int | None = None
) -> Tenant:
    """Returns the tenant with its descriptive fields changed; slug and tier never change."""
    authority.require_keeper(actor, tenant, "change the description")
    tenant = lock(tenant)
    check_version(tenant, expected_version)
    tenant.name, tenant.summary, tenant.region = name, summary, region
    tenant.version += 1
    tenant.full_clean(validate_unique=False, validate_constraints=False)
    tenant.save()
    _record(actor, tenant, verbs.TENANT_CHANGED, tenant.slug, name=name)
    return tenant


@transaction.atomic
def join_domain(*, actor: Principal, team: Tenant, domain: Tenant) -> DomainMembership:
    """Returns the link of a team to a domain; from then on the team inherits what the domain publishes."""
    if team.tier != Tier.TEAM or domain.tier != Tier.DOMAIN:
        raise Invalid("A team joins a domain.", errors={"domain": ["Choose a domain."]})
    authority.require_keeper(actor, domain, "admit a team")
    link, created = DomainMembership.objects.get_or_create(team=team, domain=domain)
    if created:
        _record(actor, team, verbs.DOMAIN_JOINED, domain.slug)
        _record(actor, domain, verbs.DOMAIN_JOINED, team.slug)
    return link


@transaction.atomic
def leave_domain(*, actor: Principal, team: Tenant, domain: Tenant) -> None:
    """Takes a team out of a domain: its agents lose the domain's tools at their next call."""
    authority.require_keeper(actor, domain, "release a team")
    deleted, _ = DomainMembership.objects.filter(team=team, domain=domain).delete()
    if deleted:
        _record(actor, team, verbs.DOMAIN_LEFT, domain.slug)
        _record(actor, domain, verbs.DOMAIN_LEFT, team.slug)


@transaction.atomic
def add_person(
    *,
    actor: Principal,
    email: str,
    name: str,
    handle: str,
    clearance: Sensitivity = Sensitivity.INTERNAL,
    password: str | None = None,
) -> Person:
    """Returns a new person without any role. Without a password only single sign-on lets them in."""
    authority.require_platform_admin(actor, "add people")
    require_slug(handle, "handle")
    person = Person(email=email.strip().lower(), name=name, handle=handle, clearance=clearance)
    person.set_password(password)
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError as error:
        raise Conflict("That address or handle is taken.", handle=handle) from error
    platform = Tenant.objects.get(tier=Tier.PLATFORM)
    _record(actor, platform, verbs.PERSON_ADDED, str(person.uid), clearance=int(clearance))
    return person


@transaction.atomic
def set_person_active(*, actor: Principal, person: Person, active: bool, expected_version: int | None = None) -> Person:
    """Returns the person switched on or off. Off, every delegation of theirs stops at the next call."""
    authority.require_platform_admin(actor, "switch people on or off")
    if actor.person == person:
        raise Forbidden(
            "Nobody switches themselves off.", missing="another platform admin", given_by="a platform admin"
        )
    platform = Tenant.objects.get(tier=Tier.PLATFORM)
    if not active:
        _require_another_admin(platform, person)
    person = lock(person)
    check_version(person, expected_version)
    person.is_active = active
    person.version += 1
    person.save(update_fields=["is_active", "version"])
    _record(actor, platform, verbs.PERSON_CHANGED, str(person.uid), active=active)
    return person


@transaction.atomic
def give_role(*, actor: Principal, person: Person, tenant: Tenant, role: Role) -> Membership:
    """Returns the membership. Roles are given by who keeps the tenant, and never to oneself."""
    authority.require_keeper(actor, tenant, "give roles")
    if actor.person is not None and actor.person == person:
        raise Forbidden(
            "Nobody gives themselves a role.",
            missing=f"{role} in {tenant.slug}",
            given_by=authority.GIVER_OF_TIER[Tier(tenant.tier)],
        )
    require_fitting(role, tenant)
    rows = Membership.objects.select_for_update()
    membership, is_new = rows.get_or_create(person=person, tenant=tenant, role=role)
    if not membership.by_hand:
        membership.by_hand = is_new = True
        membership.save(update_fields=["by_hand"])
    if is_new:
        _record(actor, tenant, verbs.ROLE_GIVEN, str(person.uid), role=role)
    return membership


@transaction.atomic
def take_role(*, actor: Principal, person: Person, tenant: Tenant, role: Role) -> None:
    """Takes away what a person gave; the role holds no longer at the next request and their agents' next call.

    What a group gave as well stays as long as the group does. A role that only groups gave goes with them.
    """
    if actor.person is None or actor.person != person:
        authority.require_keeper(actor, tenant, "take roles away")
    if role == Role.PLATFORM_ADMIN:
        _require_another_admin(tenant, person)
    held = Membership.objects.select_for_update().filter(tenant=tenant, role=role, person=person).first()
    if held is None:
        return
    names = ", ".join(f"“{name}”" for name in held.groups)
    if not held.by_hand:
        raise Conflict(f"The role comes by sign-in with {names}. It goes with the group, or with the rule for it.")
    if held.groups:
        held.by_hand = False
        held.save(update_fields=["by_hand"])
    else:
        held.delete()
    _record(actor, tenant, verbs.ROLE_TAKEN, str(person.uid), role=role, stays_by=held.groups)


def _require_another_admin(platform: Tenant, person: Person) -> None:
    """Raises unless somebody else could still sign in as platform admin. Two who leave at once wait for one another.

    Only those count to whom a person gave it: groups come and go at the provider, and nobody here is asked.
    """
    lock(platform)
    held = Membership.objects.filter(tenant=platform, role=Role.PLATFORM_ADMIN, by_hand=True)
    others = held.exclude(person=person).filter(person__is_active=True)
    if held.filter(person=person).exists() and not others.exists():
        raise Conflict("The last platform admin stays.")


def _record(actor: Principal, tenant: Tenant, verb: str, target: str, **facts: object) -> None:
    record(scope=tenant.pk, verb=verb, person=actor.uid, object=target, facts=facts)
