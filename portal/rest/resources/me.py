"""Yourself: who you are, what you hold and see, and your API keys."""

from typing import Any, cast

from rest_framework import serializers

from kernel.errors import Forbidden
from portal.rest import keys
from portal.rest.fields import SCOPES, Choice, Input, Level, Output, TenantRef, Text, Whole
from portal.rest.listing import Listing
from portal.rest.models import ApiKey
from portal.rest.operations import Resource, operation
from portal.rest.resources.people import HeldRole
from tenants import queries as tenants
from tenants.models import Person
from tenants.rules import Sensitivity


class KeyOut(Output):
    """An API key, without the key itself."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    scope = serializers.ChoiceField(choices=SCOPES)
    prefix = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class KeyShown(KeyOut):
    """An API key at the only moment when it is shown."""

    key = serializers.CharField()


class NewKey(Input):
    """A key to make. `read` admits no change."""

    name = Text(max_length=80)
    scope = Choice(choices=SCOPES, default="read")
    days = Whole(min_value=1, max_value=keys.MAX_DAYS, default=90)


class MeOut(Output):
    """Who is asking and what they reach."""

    uid = serializers.UUIDField()
    handle = serializers.CharField()
    name = serializers.CharField()
    email = serializers.EmailField()
    clearance = Level(Sensitivity)
    is_platform_admin = serializers.BooleanField()
    roles = HeldRole(many=True)
    sees = TenantRef(many=True, help_text="The tenants whose assets you see; at most 200 are named.")
    authenticated_by = serializers.ChoiceField(choices=["session", "api_key"])
    scope = serializers.ChoiceField(choices=SCOPES)


class MeResource(Resource):
    """Yourself."""

    resource = "me"

    @operation(summary="Read yourself", gives=MeOut)
    def retrieve(self) -> dict[str, Any]:
        """Who you are, which roles you hold, and what you see."""
        person, key = cast("Person", self.principal.person), self.request.auth
        return {
            **{name: getattr(person, name) for name in ("uid", "handle", "name", "email", "clearance")},
            "is_platform_admin": self.principal.access.is_platform_admin,
            "roles": tenants.memberships(self.principal).filter(person=person),
            "sees": tenants.tenants(self.principal)[:200],
            "authenticated_by": "api_key" if isinstance(key, ApiKey) else "session",
            "scope": key.scope if isinstance(key, ApiKey) else "write",
        }


class KeyResource(Resource):
    """Your API keys."""

    resource = "keys"

    @operation(summary="List your API keys", gives=KeyOut, listing=Listing(sorts={"newest": "-pk"}))
    def list(self) -> Any:
        """Your own, newest first, those revoked and expired too."""
        return keys.keys_of(self.principal)

    @operation(
        summary="Make an API key",
        takes=NewKey,
        gives=KeyShown,
        status=201,
        secret=True,
        place=lambda shown: f"me/keys/{shown['uid']}",
    )
    def create(self, data: dict[str, Any]) -> dict[str, Any]:
        """Shown once. Only a signed-in person makes one: a key cannot make keys that outlive it."""
        if isinstance(self.request.auth, ApiKey):
            raise Forbidden("A key makes no keys.", missing="a session", given_by="sign-in")
        key, secret = keys.create_key(actor=self.principal, **data)
        return {**KeyOut(key).data, "key": secret.reveal().decode()}

    @operation(summary="Revoke an API key", status=204)
    def destroy(self, uid: Any) -> None:
        """For good. The next request with it is refused."""
        keys.revoke_key(actor=self.principal, key=keys.key_by_uid(self.principal, uid))
