"""Writes to delegations: create, narrow, revoke. A delegation only ever shrinks."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from audit.services import record
from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid
from tenants import authority, verbs
from tenants.models import Agent, Delegation, Tenant
from tenants.principals import Principal
from tenants.rules import MAX_DELEGATION_DAYS, MAX_DEPTH, Effect, Sensitivity, role_effect
from tenants.services import require_reason
from tenants.versions import check_version, lock


@transaction.atomic
def delegate(
    *,
    actor: Principal,
    agent: Agent,
    team: Tenant,
    tool_groups: Sequence[str],
    not_after: datetime,
    effect_ceiling: Effect = Effect.READ,
    sensitivity_ceiling: Sensitivity = Sensitivity.INTERNAL,
    purpose: str = "",
    parent: Delegation | None = None,
    run: str = "",
) -> Delegation:
    """Returns a delegation of the actor's own authority: nobody delegates for somebody else.

    Its ceilings never pass the person's role and clearance at this moment, nor any facet of its parent.
    """
    authority.require_worker(actor, team, "delegate")
    person = actor.person
    if person is None:
        raise Forbidden("A person delegates, not the system.", missing="a person", given_by="sign-in")
    if agent.home_id != team.pk:
        raise Invalid("An agent acts in its home team.", errors={"agent": [f"{agent.slug} lives elsewhere."]})
    groups = sorted(set(tool_groups))
    _check_ceilings(actor, team, groups, effect_ceiling, sensitivity_ceiling, not_after)
    if parent is not None:
        parent = lock(parent)  # it may have been narrowed or revoked since the caller read it
        _check_within(parent, person.pk, team.pk, groups, effect_ceiling, sensitivity_ceiling, not_after)
    delegation = Delegation.objects.create(
        person=person,
        agent=agent,
        team=team,
        tool_groups=groups,
        effect_ceiling=effect_ceiling,
        sensitivity_ceiling=sensitivity_ceiling,
        purpose=purpose,
        parent=parent,
        depth=parent.depth + 1 if parent else 0,
        not_after=not_after,
        run=run,
    )
    _record(actor, delegation, verbs.DELEGATED, tool_groups=groups, effect=int(effect_ceiling))
    return delegation


@transaction.atomic
def narrow_delegation(
    *,
    actor: Principal,
    delegation: Delegation,
    tool_groups: Sequence[str] | None = None,
    effect_ceiling: Effect | None = None,
    sensitivity_ceiling: Sensitivity | None = None,
    not_after: datetime | None = None,
    expected_version: int | None = None,
) -> Delegation:
    """Returns the delegation with less in it. What is left out stays; nothing can grow; it holds at the next call."""
    authority.require_ender(actor, delegation, "narrow")
    delegation = lock(delegation)
    check_version(delegation, expected_version)
    if delegation.revoked_at is not None:
        raise Conflict("The delegation was revoked.")
    groups = sorted(set(tool_groups)) if tool_groups is not None else delegation.tool_groups
    effect = delegation.effect_ceiling if effect_ceiling is None else effect_ceiling
    sensitivity = delegation.sensitivity_ceiling if sensitivity_ceiling is None else sensitivity_ceiling
    until = not_after or delegation.not_after
    if until <= clock.now() and until != delegation.not_after:
        raise Invalid("That is over already.", errors={"not_after": ["Revoke it to end it now."]})
    _check_shrinks(delegation, groups, int(effect), int(sensitivity), until)
    delegation.tool_groups, delegation.effect_ceiling = groups, effect
    delegation.sensitivity_ceiling, delegation.not_after = sensitivity, until
    delegation.version += 1
    delegation.save()
    _record(actor, delegation, verbs.NARROWED, tool_groups=groups, effect=int(effect))
    return delegation


@transaction.atomic
def revoke_delegation(
    *, actor: Principal, delegation: Delegation, reason: str = "", expected_version: int | None = None
) -> Delegation:
    """Returns the delegation revoked, for good. All cut from it stop with it. Revoking twice changes nothing."""
    authority.require_ender(actor, delegation, "revoke")
    delegation = lock(delegation)
    check_version(delegation, expected_version)
    if reason:
        require_reason(reason)
    if delegation.revoked_at is None:
        delegation.revoked_at, delegation.revoked_by = clock.now(), actor.person
        delegation.revoked_reason = reason
        delegation.version += 1
        delegation.save()
        _record(actor, delegation, verbs.REVOKED, reason=reason)
    return delegation


def _check_ceilings(
    actor: Principal, team: Tenant, groups: list[str], effect: int, sensitivity: int, not_after: datetime
) -> None:
    errors: dict[str, list[str]] = {}
    present = clock.now()
    if not groups:
        errors["tool_groups"] = ["Name at least one tool group."]
    if effect > role_effect(actor.access.roles.get(team.pk, frozenset())):
        errors["effect_ceiling"] = ["This is more than your role in the team lets you do yourself."]
    if actor.person is not None and sensitivity > actor.person.clearance:
        errors["sensitivity_ceiling"] = ["This is above your own clearance."]
    if not present < not_after <= present + timedelta(days=MAX_DELEGATION_DAYS):
        errors["not_after"] = [f"Choose an end in the next {MAX_DELEGATION_DAYS} days."]
    if errors:
        raise Invalid("A delegation gives what you have and no more.", errors=errors)


def _check_within(
    parent: Delegation, person: int, team: int, groups: list[str], effect: int, sensitivity: int, not_after: datetime
) -> None:
    if parent.person_id != person or parent.team_id != team:
        raise Invalid("A child is of the same person and team.", errors={"parent": ["It is somebody else's."]})
    if parent.state_at(clock.now()) != "live":
        raise Conflict("The parent delegation does not hold any more.")
    if parent.depth + 1 > MAX_DEPTH:
        raise Invalid("Too deep.", errors={"parent": [f"At most {MAX_DEPTH} below one another."]})
    _check_shrinks(parent, groups, effect, sensitivity, not_after)


def _check_shrinks(outer: Delegation, groups: list[str], effect: int, sensitivity: int, until: datetime) -> None:
    errors: dict[str, list[str]] = {}
    if not groups or not set(groups) <= set(outer.tool_groups):
        errors["tool_groups"] = ["Only groups that are there already, and at least one."]
    if effect > outer.effect_ceiling:
        errors["effect_ceiling"] = ["It can only be lowered."]
    if sensitivity > outer.sensitivity_ceiling:
        errors["sensitivity_ceiling"] = ["It can only be lowered."]
    if until > outer.not_after:
        errors["not_after"] = ["It can only end earlier."]
    if errors:
        raise Invalid("A delegation only ever shrinks.", errors=errors)


def _record(actor: Principal, delegation: Delegation, verb: str, **facts: object) -> None:
    record(
        scope=delegation.team_id,
        verb=verb,
        person=actor.uid,
        agent=delegation.agent.uid,
        object=f"delegation:{delegation.uid}",
        facts=facts,
    )
