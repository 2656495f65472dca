"""Delegations: what a person lets an agent do for them. They only ever shrink. Tokens are minted from them."""

from typing import Any

from rest_framework import serializers

from kernel import clock
from kernel.errors import Invalid
from portal.keyring import token_issuer
from portal.rest import filters
from portal.rest.fields import AgentRef, Input, Level, OptionalReason, Output, PersonRef, TenantRef, Text, Whole
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from registry import queries as registry
from tenants import queries as tenants
from tenants.identity import delegation as delegations
from tenants.identity.tokens import DEFAULT_MINUTES, MAX_MINUTES, mint_token
from tenants.models import Delegation, Tenant
from tenants.principals import Principal
from tenants.rules import Effect, Sensitivity

STATES = ["live", "waiting", "expired", "revoked"]


class DelegationOut(Output):
    """A delegation."""

    uid = serializers.UUIDField()
    person = PersonRef()
    agent = AgentRef()
    team = TenantRef()
    purpose = serializers.CharField()
    tool_groups = serializers.ListField(child=serializers.CharField())
    effect_ceiling = Level(Effect)
    sensitivity_ceiling = Level(Sensitivity)
    parent = serializers.UUIDField(source="parent.uid", allow_null=True, default=None)  # type: ignore[assignment]
    depth = serializers.IntegerField()
    run = serializers.CharField()
    state = serializers.SerializerMethodField()
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_by = PersonRef(allow_null=True)
    revoked_reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    version = serializers.IntegerField()

    def get_state(self, row: Delegation) -> str:
        """Returns what it is at this moment: live, waiting, expired or revoked."""
        return row.state_at(clock.now())


class NewDelegation(Input):
    """A delegation of your own authority: nobody delegates for somebody else."""

    agent = Text(max_length=48)
    team = Text(max_length=48)
    tool_groups = serializers.ListField(child=Text(max_length=48), min_length=1, max_length=100)
    not_after = serializers.DateTimeField()
    effect_ceiling = Level(Effect, required=False)
    sensitivity_ceiling = Level(Sensitivity, required=False)
    purpose = Text(max_length=400, required=False, allow_blank=True)
    parent = serializers.UUIDField(  # type: ignore[assignment]
        required=False, help_text="The delegation that this one is cut from."
    )
    run = Text(max_length=64, required=False, allow_blank=True)


class Narrowing(Input):
    """What is left of a delegation; nothing can grow, and what is left out stays."""

    tool_groups = serializers.ListField(child=Text(max_length=48), min_length=1, max_length=100, required=False)
    not_after = serializers.DateTimeField(required=False)
    effect_ceiling = Level(Effect, required=False)
    sensitivity_ceiling = Level(Sensitivity, required=False)


class NewToken(Input):
    """How long a token holds, and to which exposed tool names it is narrowed."""

    minutes = Whole(min_value=1, max_value=MAX_MINUTES, default=DEFAULT_MINUTES)
    tools = serializers.ListField(child=Text(max_length=64), max_length=200, required=False, default=list)


class TokenOut(Output):
    """A token, shown once and kept nowhere."""

    token = serializers.CharField()
    resource = serializers.CharField(help_text="The only address it works at.")
    minutes = serializers.IntegerField()


class DelegationResource(Resource):
    """Delegations."""

    resource = "delegations"

    @operation(
        summary="List delegations",
        gives=DelegationOut,
        listing=Listing(
            filters=filters.DelegationFilters, sorts={"newest": "-pk", "ends": "not_after", "team": "team__slug"}
        ),
    )
    def list(self) -> Any:
        """Delegations in the teams that you see, newest first."""
        return tenants.delegations(self.principal)

    @operation(
        summary="Delegate to an agent",
        takes=NewDelegation,
        gives=DelegationOut,
        status=201,
        place=lambda row: f"delegations/{row.uid}",
    )
    def create(self, data: dict[str, Any]) -> Delegation:
        """What you have and no more: never above your role, your clearance, or the parent's ceilings."""
        agent = self.named("agent", tenants.agent_by_slug, data.pop("agent"))
        team = self.named("team", tenants.tenant_by_slug, data.pop("team"))
        _require_groups(self.principal, team, data["tool_groups"])
        if "parent" in data:
            data["parent"] = self.named("parent", tenants.delegation_by_uid, data["parent"])
        return delegations.delegate(actor=self.principal, agent=agent, team=team, **data)

    @operation(summary="Read a delegation", gives=DelegationOut)
    def retrieve(self, uid: str) -> Delegation:
        """One delegation."""
        return tenants.delegation_by_uid(self.principal, uid)

    @operation(summary="Narrow a delegation", takes=Narrowing, gives=DelegationOut, conditional=True)
    def partial_update(self, data: dict[str, Any], uid: str) -> Delegation:
        """It holds at the next call. Nothing can grow."""
        row = tenants.delegation_by_uid(self.principal, uid)
        expected = self.expected(row)
        return delegations.narrow_delegation(actor=self.principal, delegation=row, expected_version=expected, **data)

    @operation(summary="Revoke a delegation", takes=OptionalReason, gives=DelegationOut, conditional=True)
    def revoke(self, data: dict[str, Any], uid: str) -> Delegation:
        """For good, and all that was cut from it."""
        row = tenants.delegation_by_uid(self.principal, uid)
        expected = self.expected(row)
        return delegations.revoke_delegation(actor=self.principal, delegation=row, expected_version=expected, **data)

    @operation(summary="Mint a token", takes=NewToken, gives=TokenOut, status=201, secret=True)
    def tokens(self, data: dict[str, Any], uid: str) -> dict[str, Any]:
        """For the agent, in your name, for a few minutes. It is shown once; an idempotent repetition gets a 409."""
        row = tenants.delegation_by_uid(self.principal, uid)
        issuer = token_issuer()
        token = mint_token(actor=self.principal, delegation=row, issuer=issuer, **data)
        return {"token": token, "resource": issuer.resource_of(row.team.slug), "minutes": data["minutes"]}


def _require_groups(principal: Principal, team: Tenant, slugs: list[str]) -> None:
    """Raises for a group that is not in reach: whoever takes its name later would be given this authority."""
    found = registry.groups_in_reach(principal, team).filter(slug__in=slugs).values_list("slug", flat=True)
    if missing := sorted(set(slugs) - set(found)):
        raise Invalid(
            "A delegation names groups that are there.", errors={"tool_groups": [f"Not in reach: {missing[0]}."]}
        )
