"""People: who they are, which roles they hold, whether they may sign in."""

from typing import Any

from rest_framework import serializers

from portal.rest import filters
from portal.rest.fields import ROLES, Input, Level, Output, TenantRef, Text, Truth
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from tenants import queries as tenants
from tenants import services
from tenants.models import Person
from tenants.rules import Sensitivity


class PersonOut(Output):
    """A person."""

    uid = serializers.UUIDField()
    handle = serializers.CharField()
    name = serializers.CharField()
    email = serializers.EmailField()
    clearance = Level(Sensitivity)
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    version = serializers.IntegerField()


class HeldRole(Output):
    """A role in a tenant."""

    tenant = TenantRef()
    role = serializers.ChoiceField(choices=ROLES)
    since = serializers.DateTimeField()


class PersonDetail(PersonOut):
    """A person with the roles that you see."""

    roles = HeldRole(many=True, source="seen_roles")
    version = serializers.IntegerField()


class NewPerson(Input):
    """A person to add. They hold no role yet and sign in through single sign-on, or with a password set for them."""

    email = serializers.EmailField(max_length=254)
    name = Text(max_length=120)
    handle = Text(max_length=48)
    clearance = Level(Sensitivity, required=False)


class PersonChange(Input):
    """Whether a person may sign in."""

    is_active = Truth()


class PersonResource(Resource):
    """People."""

    resource = "people"

    @operation(
        summary="List people",
        gives=PersonOut,
        listing=Listing(
            filters=filters.PersonFilters, sorts={"handle": "handle", "name": "name", "created": "created_at"}
        ),
    )
    def list(self) -> Any:
        """Yourself and all who hold a role in a tenant that you see."""
        return tenants.people(self.principal)

    @operation(
        summary="Add a person", takes=NewPerson, gives=PersonOut, status=201, place=lambda row: f"people/{row.handle}"
    )
    def create(self, data: dict[str, Any]) -> Person:
        """Platform admins add people; roles are given by who keeps a tenant."""
        return services.add_person(actor=self.principal, **data)

    @operation(summary="Read a person", gives=PersonDetail)
    def retrieve(self, handle: str) -> Person:
        """One person."""
        return self._with_roles(tenants.person_by_handle(self.principal, handle))

    @operation(summary="Switch a person on or off", takes=PersonChange, gives=PersonDetail, conditional=True)
    def partial_update(self, data: dict[str, Any], handle: str) -> Person:
        """Off, they cannot sign in, and every delegation of theirs stops at the next call."""
        person = tenants.person_by_handle(self.principal, handle)
        expected = self.expected(person)
        changed = services.set_person_active(
            actor=self.principal, person=person, active=data["is_active"], expected_version=expected
        )
        return self._with_roles(changed)

    def _with_roles(self, person: Person) -> Person:
        person.seen_roles = tenants.memberships(self.principal).filter(person=person)  # type: ignore[attr-defined]
        return person
