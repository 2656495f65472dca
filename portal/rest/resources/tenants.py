"""The tier tree: tenants, which domains a team is in, and the roles that people hold."""

from typing import Any

from rest_framework import serializers

from kernel.errors import NotFound
from portal.rest import filters
from portal.rest.fields import (
    CONCERNS,
    NEW_TIERS,
    ORIGINS,
    ROLES,
    TIERS,
    Choice,
    Input,
    Output,
    PersonRef,
    TenantRef,
    Text,
)
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from tenants import queries as tenants
from tenants import services
from tenants.models import Membership, Tenant
from tenants.rules import Role, Tier


class TenantOut(Output):
    """A tenant: the platform, a domain or a team."""

    uid = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    tier = serializers.ChoiceField(choices=TIERS)
    concern = serializers.ChoiceField(choices=CONCERNS, allow_blank=True)
    region = serializers.CharField()
    origin = serializers.ChoiceField(choices=ORIGINS)
    summary = serializers.CharField()
    invented = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    version = serializers.IntegerField()


class TenantDetail(TenantOut):
    """A tenant with its neighbours in the tree, as far as you see them."""

    domains = TenantRef(many=True, source="seen_domains")
    teams = TenantRef(many=True, source="seen_teams")
    version = serializers.IntegerField()


class NewTenant(Input):
    """A tenant to create. A domain, and nothing else, has a concern."""

    tier = Choice(choices=NEW_TIERS)
    slug = Text(max_length=48)
    name = Text(max_length=120)
    concern = Choice(choices=CONCERNS, required=False)
    region = Text(max_length=48, required=False, allow_blank=True)
    origin = Choice(choices=ORIGINS, required=False)
    summary = Text(max_length=400, required=False, allow_blank=True)


class TenantChange(Input):
    """What of a tenant can change; what is left out stays."""

    name = Text(max_length=120, required=False)
    summary = Text(max_length=400, required=False, allow_blank=True)
    region = Text(max_length=48, required=False, allow_blank=True)


class MembershipOut(Output):
    """A role that a person holds in a tenant."""

    person = PersonRef()
    tenant = TenantRef()
    role = serializers.ChoiceField(choices=ROLES)
    since = serializers.DateTimeField()
    by_hand = serializers.BooleanField(help_text="Whether a person gave it.")
    groups = serializers.ListField(
        child=serializers.CharField(), help_text="The groups from sign-in that give it, as of the last sign-in."
    )


class TenantResource(Resource):
    """Tenants."""

    resource = "tenants"

    @operation(
        summary="List tenants",
        gives=TenantOut,
        listing=Listing(
            filters=filters.TenantFilters,
            sorts={"slug": "slug", "name": "name", "tier": "tier", "created": "created_at"},
        ),
    )
    def list(self) -> Any:
        """Tenants that you see: the platform, your teams, their domains; of a domain's steward also its teams."""
        return tenants.tenants(self.principal)

    @operation(
        summary="Create a tenant", takes=NewTenant, gives=TenantOut, status=201, place=lambda row: f"tenants/{row.slug}"
    )
    def create(self, data: dict[str, Any]) -> Tenant:
        """A domain or a team, with an audit log of its own."""
        tier = Tier(data.pop("tier"))
        return services.create_tenant(actor=self.principal, tier=tier, **data)

    @operation(summary="Read a tenant", gives=TenantDetail)
    def retrieve(self, slug: str) -> Tenant:
        """One tenant."""
        return self._with_neighbours(tenants.tenant_by_slug(self.principal, slug))

    @operation(summary="Change a tenant", takes=TenantChange, gives=TenantDetail, conditional=True)
    def partial_update(self, data: dict[str, Any], slug: str) -> Tenant:
        """Its description; slug and tier never change."""
        tenant = tenants.tenant_by_slug(self.principal, slug)
        expected = self.expected(tenant)
        wanted = {name: data.get(name, getattr(tenant, name)) for name in ("name", "summary", "region")}
        changed = services.change_tenant(actor=self.principal, tenant=tenant, expected_version=expected, **wanted)
        return self._with_neighbours(changed)

    @operation(summary="Join a domain", status=204)
    def join(self, slug: str, domain: str) -> None:
        """The team inherits what the domain publishes from now on. Who keeps the domain admits."""
        team = tenants.tenant_by_slug(self.principal, slug)
        services.join_domain(actor=self.principal, team=team, domain=tenants.tenant_by_slug(self.principal, domain))

    @operation(summary="Leave a domain", status=204)
    def leave(self, slug: str, domain: str) -> None:
        """The team's agents lose the domain's tools at their next call."""
        team = tenants.tenant_by_slug(self.principal, slug)
        services.leave_domain(actor=self.principal, team=team, domain=tenants.tenant_by_slug(self.principal, domain))

    def _with_neighbours(self, tenant: Tenant) -> Tenant:
        below = tenant.tier != Tier.TEAM
        tenant.seen_domains = [] if below else tenants.domains_of(self.principal, tenant)  # type: ignore[attr-defined]
        tenant.seen_teams = tenants.teams_in(self.principal, tenant) if below else []  # type: ignore[attr-defined]
        return tenant


class MemberResource(Resource):
    """Roles in a tenant. A role is there or it is not, so giving it twice gives it once."""

    resource = "members"

    @operation(
        summary="List the roles in a tenant",
        gives=MembershipOut,
        listing=Listing(
            filters=filters.MembershipFilters, sorts={"person": "person__handle", "role": "role", "since": "since"}
        ),
    )
    def list(self, slug: str) -> Any:
        """Who holds which role."""
        return tenants.memberships(self.principal, tenants.tenant_by_slug(self.principal, slug))

    @operation(summary="Give a role", gives=MembershipOut)
    def give(self, slug: str, handle: str, role: str) -> Membership:
        """Who keeps the tenant gives roles, and nobody to themselves."""
        tenant = tenants.tenant_by_slug(self.principal, slug)
        wanted = _role(role)
        person = tenants.person_to_admit(self.principal, tenant, handle)
        return services.give_role(actor=self.principal, person=person, tenant=tenant, role=wanted)

    @operation(summary="Take a role away", status=204)
    def take(self, slug: str, handle: str, role: str) -> None:
        """What a person gave goes at once, for their agents at the next call. What a group gives as well stays."""
        tenant = tenants.tenant_by_slug(self.principal, slug)
        person = tenants.person_by_handle(self.principal, handle)
        services.take_role(actor=self.principal, person=person, tenant=tenant, role=_role(role))


def _role(name: str) -> Role:
    if name not in list(Role):
        raise NotFound("There is no such role.")
    return Role(name)
