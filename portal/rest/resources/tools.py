"""Tools: what was approved, what the server shows, and the decision of a person between the two."""

from typing import Any

from rest_framework import serializers

from portal.rest import filters
from portal.rest.fields import Input, Level, Output, PersonRef, Reason, TenantRef, Text
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from registry import queries as registry
from registry import surfaces
from registry.models import Tool
from tenants.rules import Effect, Sensitivity


class ServerRef(Output):
    """Enough of a server to find it."""

    slug = serializers.CharField()
    name = serializers.CharField()


class ToolOut(Output):
    """A tool, without its definitions."""

    uid = serializers.UUIDField()
    server = ServerRef()
    owner = TenantRef()
    name = serializers.CharField()
    exposed_name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    effect = Level(Effect)
    sensitivity = Level(Sensitivity)
    state = serializers.ChoiceField(choices=Tool.State.choices)
    pin = serializers.CharField()
    seen_pin = serializers.CharField()
    faults = serializers.ListField(child=serializers.CharField())
    warnings = serializers.ListField(child=serializers.CharField())
    first_seen_at = serializers.DateTimeField()
    approved_by = PersonRef(allow_null=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField()


class ToolDetail(ToolOut):
    """A tool with what was approved and what the server showed last."""

    definition = serializers.JSONField(allow_null=True, help_text="As approved; what agents are shown.")
    seen = serializers.JSONField(allow_null=True, help_text="As the server showed it last.")
    version = serializers.IntegerField()


class Approval(Input):
    """The definition that was looked at, named by its pin, and what it may do."""

    seen_pin = Text(max_length=64)
    effect = Level(Effect)
    sensitivity = Level(Sensitivity)


class Classification(Input):
    """What a tool may do."""

    effect = Level(Effect)
    sensitivity = Level(Sensitivity)


class ToolResource(Resource):
    """Tools."""

    resource = "tools"
    LISTING = Listing(
        filters=filters.ToolFilters,
        sorts={"name": "name", "server": "server__slug", "state": "state", "first_seen": "first_seen_at"},
    )

    @operation(summary="List tools", gives=ToolOut, listing=LISTING)
    def list(self) -> Any:
        """Tools of the servers that you see, in every state."""
        return registry.tools(self.principal)

    @operation(summary="Read a tool", gives=ToolDetail)
    def retrieve(self, uid: str) -> Tool:
        """One tool with its definitions."""
        return registry.tool_by_uid(self.principal, uid)

    @operation(summary="Approve a tool", takes=Approval, gives=ToolDetail, conditional=True)
    def approve(self, data: dict[str, Any], uid: str) -> Tool:
        """Exactly the definition that you were shown: when the server shows another by now, nothing is approved."""
        tool = registry.tool_by_uid(self.principal, uid)
        return surfaces.approve_tool(actor=self.principal, tool=tool, expected_version=self.expected(tool), **data)

    @operation(summary="Reject a tool", takes=Reason, gives=ToolDetail, conditional=True)
    def reject(self, data: dict[str, Any], uid: str) -> Tool:
        """Hidden until somebody approves it."""
        tool = registry.tool_by_uid(self.principal, uid)
        return surfaces.reject_tool(actor=self.principal, tool=tool, expected_version=self.expected(tool), **data)

    @operation(summary="Classify a tool", takes=Classification, gives=ToolDetail, conditional=True)
    def classify(self, data: dict[str, Any], uid: str) -> Tool:
        """Another effect or sensitivity, which holds at the next call."""
        tool = registry.tool_by_uid(self.principal, uid)
        return surfaces.classify_tool(actor=self.principal, tool=tool, expected_version=self.expected(tool), **data)
