"""Tool groups: named sets of tools that a delegation can grant."""

from typing import Any

from rest_framework import serializers

from kernel.errors import Invalid
from portal.rest import filters
from portal.rest.fields import Input, Output, TenantRef, Text
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from portal.rest.resources.tools import ServerRef
from registry import queries as registry
from registry import services
from registry.models import ToolGroup
from tenants import queries as tenants


class GroupOut(Output):
    """A tool group."""

    uid = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    owner = TenantRef()
    server = ServerRef(allow_null=True, help_text="The server whose own group this is, if any.")
    created_at = serializers.DateTimeField()
    version = serializers.IntegerField()


class GroupedTool(Output):
    """A tool in a group."""

    uid = serializers.UUIDField()
    exposed_name = serializers.CharField()


class GroupDetail(GroupOut):
    """A tool group with its tools."""

    tools = GroupedTool(many=True, source="seen_tools")
    version = serializers.IntegerField()


class NewGroup(Input):
    """A group to create, of tools of one owner."""

    owner = Text(max_length=48)
    slug = Text(max_length=48)
    name = Text(max_length=120)
    tools = serializers.ListField(child=serializers.UUIDField(), max_length=500)


class GroupChange(Input):
    """The tools that a group has from now on."""

    tools = serializers.ListField(child=serializers.UUIDField(), max_length=500)


class GroupResource(Resource):
    """Tool groups."""

    resource = "groups"

    @operation(
        summary="List tool groups",
        gives=GroupOut,
        listing=Listing(filters=filters.GroupFilters, sorts={"slug": "slug", "name": "name", "owner": "owner__slug"}),
    )
    def list(self) -> Any:
        """Groups that you see. Every server has one of its own slug with its approved tools."""
        return registry.tool_groups(self.principal)

    @operation(
        summary="Create a tool group",
        takes=NewGroup,
        gives=GroupDetail,
        status=201,
        place=lambda row: f"groups/{row.slug}",
    )
    def create(self, data: dict[str, Any]) -> Any:
        """Tools of one owner under one name."""
        owner = self.named("owner", tenants.tenant_by_slug, data.pop("owner"))
        tools = self._tools(data.pop("tools"))
        group = services.create_group(actor=self.principal, owner=owner, tools=tools, **data)
        return self._detail(group)

    @operation(summary="Read a tool group", gives=GroupDetail)
    def retrieve(self, slug: str) -> Any:
        """One group with its tools, as far as you see them."""
        return self._detail(registry.group_by_slug(self.principal, slug))

    @operation(summary="Change a tool group", takes=GroupChange, gives=GroupDetail, conditional=True)
    def partial_update(self, data: dict[str, Any], slug: str) -> Any:
        """It has exactly these tools then. A server's own group is kept by approvals, not by hand."""
        group = registry.group_by_slug(self.principal, slug)
        expected = self.expected(group)
        tools = self._tools(data["tools"])
        return self._detail(
            services.change_group(actor=self.principal, group=group, tools=tools, expected_version=expected)
        )

    def _tools(self, uids: Any) -> Any:
        found = list(registry.tools(self.principal).filter(uid__in=uids))
        if missing := {str(uid) for uid in uids} - {str(tool.uid) for tool in found}:
            sentences = [f"There is no tool {uid}, or you may not see it." for uid in sorted(missing)]
            raise Invalid("The input names something that is not there.", errors={"tools": sentences})
        return found

    def _detail(self, group: ToolGroup) -> Any:
        group.seen_tools = registry.tools(self.principal).filter(groups=group)  # type: ignore[attr-defined]
        return group
