"""Which groups of the identity provider have which role in a tenant."""

from typing import Any

from rest_framework import serializers

from portal.rest import filters
from portal.rest.fields import ROLES, Choice, Input, Output, PersonRef, TenantRef, Text
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from tenants import queries as tenants
from tenants.identity import sign_in_groups
from tenants.models import SignInGroup
from tenants.rules import MAX_GROUP, Role


class SignInGroupOut(Output):
    """A rule: who signs in with this group has this role."""

    uid = serializers.UUIDField()
    group = serializers.CharField(source="name", help_text="As the identity provider calls it, letter by letter.")
    role = serializers.ChoiceField(choices=ROLES)
    tenant = TenantRef()
    made_by = PersonRef(allow_null=True, help_text="Gets nothing by this rule; null when the installation made it.")
    since = serializers.DateTimeField()


class NewSignInGroup(Input):
    """A group and the role that it gives."""

    group = Text(max_length=MAX_GROUP)
    role = Choice(choices=ROLES)


class SignInGroupResource(Resource):
    """Roles by group from sign-in. A rule is there or it is not, so making it twice makes it once."""

    resource = "sign-in-groups"

    @operation(
        summary="List the groups from sign-in that have a role",
        gives=SignInGroupOut,
        listing=Listing(filters=filters.SignInGroupFilters, sorts={"group": "name", "role": "role", "since": "since"}),
    )
    def list(self, slug: str) -> Any:
        """The rules of one tenant."""
        return tenants.sign_in_groups(self.principal, tenants.tenant_by_slug(self.principal, slug))

    @operation(
        summary="Give a role to a group from sign-in",
        takes=NewSignInGroup,
        gives=SignInGroupOut,
        status=201,
        place=lambda row: f"tenants/{row.tenant.slug}/sign-in-groups/{row.uid}",
    )
    def create(self, data: dict[str, Any], slug: str) -> SignInGroup:
        """Who may give the role by hand may. It works from each person's next sign-in at the identity provider on."""
        tenant = tenants.tenant_by_slug(self.principal, slug)
        role = Role(data["role"])
        return sign_in_groups.add_sign_in_group(actor=self.principal, tenant=tenant, name=data["group"], role=role)

    @operation(summary="Read the rule for a group from sign-in", gives=SignInGroupOut)
    def retrieve(self, slug: str, uid: str) -> SignInGroup:
        """One rule."""
        tenant = tenants.tenant_by_slug(self.principal, slug)
        return tenants.sign_in_group_by_uid(self.principal, tenant, uid)

    @operation(summary="Take a role from a group from sign-in", status=204)
    def destroy(self, slug: str, uid: str) -> None:
        """What it alone gave goes with it, at once."""
        tenant = tenants.tenant_by_slug(self.principal, slug)
        rule = tenants.sign_in_group_by_uid(self.principal, tenant, uid)
        sign_in_groups.remove_sign_in_group(actor=self.principal, rule=rule)
