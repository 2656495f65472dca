"""Roles by group from sign-in: rules of each tenant, settled for a person whenever the identity provider vouches for them."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from audit.services import record
from kernel.errors import Invalid
from tenants import authority, verbs
from tenants.models import Membership, Person, SignInGroup, Tenant
from tenants.principals import Principal
from tenants.rules import MAX_GROUP, Role, is_group_name
from tenants.services import require_fitting


@transaction.atomic
def add_sign_in_group(*, actor: Principal, tenant: Tenant, name: str, role: Role) -> SignInGroup:
    """Returns the rule. It gives the role to others from their next sign-in on, and never to who made it.

    Who may not give the role by hand may not give it by group; a rule that stands already stays as it is.
    """
    authority.require_keeper(actor, tenant, "give roles by group")
    require_fitting(role, tenant)
    if not is_group_name(name := name.strip()):
        sentence = f"1 to {MAX_GROUP} printable characters, as the provider calls the group."
        raise Invalid("That names no group.", errors={"group": [sentence]})
    made = {"made_by": actor.person}
    rule, is_new = SignInGroup.objects.get_or_create(tenant=tenant, name=name, role=role, defaults=made)
    if is_new:
        facts = {"group": name, "role": role}
        record(scope=tenant.pk, verb=verbs.GROUP_ADDED, person=actor.uid, object=str(rule.uid), facts=facts)
    return rule


@transaction.atomic
def remove_sign_in_group(*, actor: Principal, rule: SignInGroup) -> None:
    """Takes the rule away, and with it at once every role that it alone gave."""
    authority.require_keeper(actor, rule.tenant, "take roles from a group")
    # A sign-in holds the rules that it goes by. Who waited here sees what it gave.
    found = SignInGroup.objects.select_for_update(of=("self",)).filter(pk=rule.pk).first()
    if found is None:
        return
    found.delete()
    facts = {"group": rule.name, "role": rule.role}
    record(scope=rule.tenant_id, verb=verbs.GROUP_REMOVED, person=actor.uid, object=str(rule.uid), facts=facts)
    given = _held().filter(tenant=rule.tenant, role=rule.role, groups__contains=[rule.name])
    for membership in given:
        _settle(membership, [name for name in membership.groups if name != rule.name], by=actor.uid)


@transaction.atomic
def settle_groups(*, person: Person, groups: Collection[str]) -> None:
    """Makes a person's roles by group those that the rules give to exactly these groups; roles by hand stay.

    The installation acts here by itself, on the word of the identity provider: the caller has the groups from its
    verified answer, and looks at every tenant, because a rule may stand anywhere.
    """
    # Two sign-ins of one person wait for one another; so do a sign-in and the end of a rule that it goes by.
    Person.objects.select_for_update(no_key=True).get(pk=person.pk)
    wanted = _wanted(person, groups)
    for membership in _held().filter(person=person).exclude(groups=[]):
        _settle(membership, wanted.pop((membership.tenant_id, membership.role), []), by=None)
    rows = Membership.objects.select_for_update(of=("self",))
    for (tenant, role), names in wanted.items():
        ground = {"by_hand": False, "groups": names}
        membership, is_new = rows.get_or_create(person=person, tenant_id=tenant, role=role, defaults=ground)
        if is_new:
            _record(membership, verbs.GROUP_GAVE, names, by=None)
        else:
            _settle(membership, names, by=None)


def _wanted(person: Person, groups: Collection[str]) -> dict[tuple[int, str], list[str]]:
    """Returns by tenant and role which of the groups give it, sorted; the rules that say so are held until the end."""
    rules = SignInGroup.objects.select_for_update(of=("self",), no_key=True).filter(name__in=groups)
    wanted: dict[tuple[int, str], list[str]] = {}
    for rule in rules.order_by("pk"):
        if rule.made_by_id != person.pk:
            wanted.setdefault((rule.tenant_id, rule.role), []).append(rule.name)
    return {key: sorted(names) for key, names in wanted.items()}


def _held() -> QuerySet[Membership]:
    return Membership.objects.select_for_update(of=("self",)).select_related("person").order_by("pk")


def _settle(membership: Membership, names: list[str], *, by: UUID | None) -> None:
    """Makes these the groups that give a role. Without any it ends, unless somebody gave it by hand as well."""
    before = membership.groups
    if names == before:
        return
    if names or membership.by_hand:
        membership.groups = names
        membership.save(update_fields=["groups"])
    else:
        membership.delete()
    if names and not before:
        _record(membership, verbs.GROUP_GAVE, names, by=by)
    elif before and not names:
        _record(membership, verbs.GROUP_TOOK, before, by=by)


def _record(membership: Membership, verb: str, names: Sequence[str], *, by: UUID | None) -> None:
    facts = {"role": membership.role, "groups": list(names), "by_hand": membership.by_hand}
    record(scope=membership.tenant_id, verb=verb, person=by, object=str(membership.person.uid), facts=facts)
