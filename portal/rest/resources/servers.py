"""MCP servers: their life, their probes, who can call them, and their write-only credential."""

from typing import Any

from django.conf import settings
from django.db import transaction
from rest_framework import serializers
from rest_framework.response import Response

from kernel.errors import NotFound
from kernel.secrets import Secret
from portal.keyring import sealing_key
from portal.rest import filters
from portal.rest.fields import (
    CREDENTIAL_KINDS,
    VERDICTS,
    AgentRef,
    Choice,
    Input,
    Output,
    PersonRef,
    Reason,
    TenantRef,
    Text,
)
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from portal.rest.preconditions import require_absent_or_match, tag_of
from portal.rest.resources.tools import ToolOut, ToolResource
from registry import callers, services
from registry import queries as registry
from registry.addresses import AddressPolicy
from registry.models import Server
from registry.tasks import probe_server
from tenants import authority
from tenants import queries as tenants


class ServerOut(Output):
    """An MCP server."""

    uid = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    summary = serializers.CharField()
    owner = TenantRef()
    transport = serializers.ChoiceField(choices=Server.Transport.choices)
    url = serializers.CharField()
    command = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(choices=Server.Status.choices)
    status_reason = serializers.CharField()
    protocol = serializers.CharField()
    created_at = serializers.DateTimeField()
    probed_at = serializers.DateTimeField(allow_null=True)
    probe_ok = serializers.BooleanField(allow_null=True)
    tools_changed_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField()


class NewServer(Input):
    """A server to register: a URL, or a command (platform admins only)."""

    owner = Text(max_length=48)
    slug = Text(max_length=48)
    name = Text(max_length=120)
    summary = Text(max_length=400, required=False, allow_blank=True)
    url = Text(max_length=500, required=False, allow_blank=True)
    command = serializers.ListField(child=Text(max_length=500, trim_whitespace=False), max_length=32, required=False)


class ServerChange(Input):
    """What of a server can change; what is left out stays."""

    name = Text(max_length=120, required=False)
    summary = Text(max_length=400, required=False, allow_blank=True)
    url = Text(max_length=500, required=False)
    command = serializers.ListField(child=Text(max_length=500, trim_whitespace=False), max_length=32, required=False)


class CredentialOut(Output):
    """What is known of a credential: never what it is."""

    uid = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=CREDENTIAL_KINDS)
    header = serializers.CharField()
    origin = serializers.CharField()
    key_id = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = PersonRef(allow_null=True)


class NewCredential(Input):
    """A credential to seal for the gateway. For `basic`, the value is base64 of user:password."""

    kind = Choice(choices=CREDENTIAL_KINDS)
    header = Text(max_length=64, required=False, allow_blank=True, default="")
    value = Text(max_length=8192, trim_whitespace=False, write_only=True)


class ProbeOut(Output):
    """One look at a server."""

    at = serializers.DateTimeField()
    ok = serializers.BooleanField()
    protocol = serializers.CharField()
    tools = serializers.IntegerField()
    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    missing = serializers.IntegerField()
    error = serializers.CharField()
    duration_ms = serializers.IntegerField()


class ProbeAsked(Output):
    """A probe that was asked for; its result stands among the probes when it is there."""

    server = serializers.CharField()
    probes = serializers.CharField(help_text="Where the result will be.")


class ChangeOut(Output):
    """One change in the history of a server."""

    at = serializers.DateTimeField(source="history_date")
    by = PersonRef(source="history_user", allow_null=True)
    reason = serializers.CharField(source="history_change_reason", allow_null=True)
    status = serializers.ChoiceField(choices=Server.Status.choices)
    name = serializers.CharField()
    url = serializers.CharField()
    version = serializers.IntegerField()


class RefusedTool(Output):
    """A tool that a delegation does not open, and every reason that stands against it."""

    tool = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())


class CallerOut(Output):
    """A delegation and what it opens on this server."""

    delegation = serializers.UUIDField()
    person = PersonRef()
    agent = AgentRef()
    team = TenantRef()
    allowed = serializers.ListField(child=serializers.CharField())
    refused = RefusedTool(many=True)


class CallersOut(Output):
    """Who can call a server."""

    callers = CallerOut(many=True)


class ContractFindingOut(Output):
    """One thing that is not as it should be, and what mends it. `place` is the tool, or empty for the server."""

    severity = serializers.ChoiceField(choices=["error", "warning"])
    code = serializers.CharField()
    place = serializers.CharField()
    message = serializers.CharField()
    remedy = serializers.CharField()


class ClauseOut(Output):
    """One part of the owner's contract."""

    key = serializers.CharField()
    title = serializers.CharField()
    verdict = serializers.ChoiceField(choices=VERDICTS)
    findings = ContractFindingOut(many=True)


class ContractOut(Output):
    """The owner's contract as the last probe saw it."""

    clauses = ClauseOut(many=True)


LISTING = Listing(
    filters=filters.ServerFilters,
    sorts={"slug": "slug", "name": "name", "owner": "owner__slug", "status": "status", "created": "created_at"},
)


class ServerResource(Resource):
    """Servers."""

    resource = "servers"

    @operation(summary="List servers", gives=ServerOut, listing=LISTING)
    def list(self) -> Any:
        """Servers that you see: those of your teams, of their domains and of the platform."""
        return registry.servers(self.principal)

    @operation(
        summary="Register a server",
        takes=NewServer,
        gives=ServerOut,
        status=201,
        place=lambda row: f"servers/{row.slug}",
    )
    def create(self, data: dict[str, Any]) -> Server:
        """A draft: nothing of it is served before it was probed, its tools approved and it was activated."""
        owner = self.named("owner", tenants.tenant_by_slug, data.pop("owner"))
        return services.register_server(actor=self.principal, owner=owner, addresses=_addresses(), **data)

    @operation(summary="Read a server", gives=ServerOut)
    def retrieve(self, slug: str) -> Server:
        """One server."""
        return registry.server_by_slug(self.principal, slug)

    @operation(summary="Change a server", takes=ServerChange, gives=ServerOut, conditional=True)
    def partial_update(self, data: dict[str, Any], slug: str) -> Server:
        """A new target makes it a draft again and drops its credential, which was bound to the old one."""
        server = registry.server_by_slug(self.principal, slug)
        expected = self.expected(server)
        return services.change_server(
            actor=self.principal, server=server, addresses=_addresses(), expected_version=expected, **data
        )

    @operation(summary="Ask for a probe", gives=ProbeAsked, status=202)
    def probe(self, slug: str) -> dict[str, str]:
        """Looks at the server in the background: whether it answers, and which tools it shows."""
        server = registry.server_by_slug(self.principal, slug)
        authority.require_contributor(self.principal, server.owner, "probe servers")
        transaction.on_commit(lambda: probe_server.delay(server.pk))
        return {"server": slug, "probes": f"/api/v1/servers/{slug}/probes"}

    @operation(summary="Activate a server", gives=ServerOut, conditional=True)
    def activate(self, slug: str) -> Server:
        """From now on its approved tools are served. It must have answered its last probe."""
        server = registry.server_by_slug(self.principal, slug)
        return services.activate_server(actor=self.principal, server=server, expected_version=self.expected(server))

    @operation(summary="Quarantine a server", takes=Reason, gives=ServerOut, conditional=True)
    def quarantine(self, data: dict[str, Any], slug: str) -> Server:
        """None of its tools is served until it is activated again."""
        server = registry.server_by_slug(self.principal, slug)
        expected = self.expected(server)
        return services.quarantine_server(actor=self.principal, server=server, expected_version=expected, **data)

    @operation(summary="Retire a server", takes=Reason, gives=ServerOut, conditional=True)
    def retire(self, data: dict[str, Any], slug: str) -> Server:
        """For good. It stays in the catalog for those who look for it, and in the log."""
        server = registry.server_by_slug(self.principal, slug)
        expected = self.expected(server)
        return services.retire_server(actor=self.principal, server=server, expected_version=expected, **data)

    @operation(summary="List a server's tools", gives=ToolOut, listing=ToolResource.LISTING)
    def tools(self, slug: str) -> Any:
        """Its tools in every state."""
        server = registry.server_by_slug(self.principal, slug)
        return registry.tools(self.principal).filter(server=server)

    @operation(summary="List a server's probes", gives=ProbeOut, listing=Listing(sorts={"at": "-at"}))
    def probes(self, slug: str) -> Any:
        """The last looks at it, newest first."""
        return registry.probes(self.principal, registry.server_by_slug(self.principal, slug))

    @operation(summary="List a server's changes", gives=ChangeOut, listing=Listing(sorts={"at": "-history_date"}))
    def changes(self, slug: str) -> Any:
        """Its history, newest first."""
        return registry.server_history(registry.server_by_slug(self.principal, slug))

    @operation(summary="Read who can call a server", gives=CallersOut)
    def callers(self, slug: str) -> dict[str, Any]:
        """Answered by the rules that decide each call, as far as you see people and agents."""
        server = registry.server_by_slug(self.principal, slug)
        return {"callers": [_caller(found) for found in callers.callers_of(self.principal, server)]}

    @operation(summary="Check the owner's contract", gives=ContractOut)
    def contract(self, slug: str) -> dict[str, Any]:
        """What the last probe found against protocol, names, sizes, credential, annotations and descriptions."""
        return {"clauses": registry.contract_of(self.principal, registry.server_by_slug(self.principal, slug))}


class CredentialResource(Resource):
    """The credential of a server: it goes in and never comes out."""

    resource = "credential"

    @operation(summary="Read what is known of a credential", gives=CredentialOut)
    def retrieve(self, slug: str) -> Response:
        """That there is one, of which kind, for which origin, since when. Never what it is."""
        found = registry.credential_of(self.principal, registry.server_by_slug(self.principal, slug))
        if found is None:
            raise NotFound("There is no credential.")
        return _credential(found)

    @operation(summary="Set a credential", takes=NewCredential, gives=CredentialOut, conditional=True, creatable=True)
    def update(self, data: dict[str, Any], slug: str) -> Response:
        """Seals it for the gateway and this origin. `If-None-Match: *` for the first one, then `If-Match`."""
        server = registry.server_by_slug(self.principal, slug)
        present = registry.credential_of(self.principal, server)
        require_absent_or_match(self.request, str(present.uid) if present else None)
        key, value = sealing_key(), Secret(data.pop("value").encode())
        return _credential(
            services.set_credential(
                actor=self.principal, server=server, value=value, public_key=key.public, key_id=key.key_id, **data
            )
        )

    @operation(summary="Remove a credential", status=204, conditional=True)
    def destroy(self, slug: str) -> None:
        """Calls go upstream without one from now on."""
        server = registry.server_by_slug(self.principal, slug)
        present = registry.credential_of(self.principal, server)
        if present is None:
            raise NotFound("There is no credential.")
        require_absent_or_match(self.request, str(present.uid))
        services.remove_credential(actor=self.principal, server=server)


def _credential(found: Any) -> Response:
    data = CredentialOut(found).data
    return Response(data, headers={"ETag": tag_of(str(found.uid), data)})


def _caller(found: callers.Caller) -> dict[str, Any]:
    return {
        "delegation": found.delegation.uid,
        "person": found.delegation.person,
        "agent": found.delegation.agent,
        "team": found.delegation.team,
        "allowed": [tool.name for tool in found.allowed],
        "refused": [{"tool": tool.name, "reasons": list(reasons)} for tool, reasons in found.refused],
    }


def _addresses() -> AddressPolicy:
    return AddressPolicy(settings.HANSE.upstream_allow)
