"""Change requests: what a fork found useful goes up, decided by who owns the blueprint."""

from typing import Any

from rest_framework import serializers

from blueprints.forks.diff import compare_two
from blueprints.models import ChangeRequest
from blueprints.queries import forks as queries
from blueprints.queries import library
from blueprints.services import requests as services
from kernel.errors import Invalid
from portal.rest import filters
from portal.rest.blueprint_fields import PARTS, ChangeRequestOut, ContentChangeOut, LintFindingOut
from portal.rest.fields import Choice, Input, Output, Reason, Text
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation


class ChangeRequestDetail(ChangeRequestOut):
    """A change request with what it is about."""

    operations = serializers.ListField(child=serializers.DictField())
    fork = serializers.SerializerMethodField(help_text="`team.NAME/name`, if you see it.")
    version = serializers.IntegerField()

    def get_fork(self, request: ChangeRequest) -> str | None:
        """Returns the reference of the fork that it comes from."""
        found = queries.fork_by_uid(self.context["principal"], str(request.fork_uid))
        return found.ref if found else None


class Acceptance(Input):
    """Which part of the number the new version raises."""

    part = Choice(choices=PARTS, default="minor")
    reason = Text(max_length=200, required=False, allow_blank=True, default="")


class FitOut(Output):
    """What accepting a request would publish now."""

    fits = serializers.BooleanField(
        help_text="Whether the operations fit the head as it is, and what they make is sound."
    )
    detail = serializers.CharField(help_text="Why not.")
    findings = LintFindingOut(many=True)
    head = serializers.CharField(help_text="The reference of the head.")
    changed = serializers.IntegerField()
    changes = ContentChangeOut(many=True)
    document = serializers.DictField(allow_null=True)


class ChangeRequestResource(Resource):
    """Change requests."""

    resource = "change-requests"

    @operation(
        summary="List change requests",
        gives=ChangeRequestOut,
        listing=Listing(
            filters=filters.ChangeRequestFilters,
            sorts={
                "newest": "-pk",
                "title": "title",
                "owner": "owner__slug",
                "blueprint": "blueprint__name",
                "status": "status",
            },
        ),
    )
    def list(self) -> Any:
        """Requests to the owners that you see, newest first."""
        return queries.listed_requests(queries.requests(self.principal))

    @operation(summary="Read a change request", gives=ChangeRequestDetail)
    def retrieve(self, uid: str) -> ChangeRequest:
        """One request with its operations."""
        return queries.request_by_uid(self.principal, uid)

    @operation(summary="Preview a change request", gives=FitOut)
    def preview(self, uid: str) -> dict[str, Any]:
        """What it would make of the head as it is now. That it does not fit any more is no error."""
        request = queries.request_by_uid(self.principal, uid)
        blueprint = library.blueprint_by_ref(self.principal, request.blueprint.namespace, request.blueprint.name)
        request.blueprint, head = blueprint, library.version_by_ref(self.principal, blueprint.ref)
        shown: dict[str, Any] = {"fits": True, "detail": "", "findings": [], "head": head.ref}
        try:
            document = services.preview(request)
        except Invalid as misfit:
            findings = misfit.facts.get("findings", [])
            said = {"fits": False, "detail": misfit.message, "findings": findings}
            return {**shown, **said, "changed": 0, "changes": [], "document": None}
        difference = compare_two(head.document, document)
        changes = [change.as_dict() for change in difference.changes]
        return {**shown, "changed": difference.behind, "changes": changes, "document": document}

    @operation(summary="Accept a change request", takes=Acceptance, gives=ChangeRequestDetail, conditional=True)
    def accept(self, data: dict[str, Any], uid: str) -> ChangeRequest:
        """Publishes a version with its operations. Nobody accepts what they asked for themselves."""
        request = queries.request_by_uid(self.principal, uid)
        expected = self.expected(request)
        return services.accept_request(actor=self.principal, request=request, expected_version=expected, **data)

    @operation(summary="Decline a change request", takes=Reason, gives=ChangeRequestDetail, conditional=True)
    def decline(self, data: dict[str, Any], uid: str) -> ChangeRequest:
        """With the reason that its team reads."""
        request = queries.request_by_uid(self.principal, uid)
        expected = self.expected(request)
        return services.decline_request(actor=self.principal, request=request, expected_version=expected, **data)

    @operation(summary="Withdraw a change request", gives=ChangeRequestDetail, conditional=True)
    def withdraw(self, uid: str) -> ChangeRequest:
        """By who opened it."""
        request = queries.request_by_uid(self.principal, uid)
        return services.withdraw_request(actor=self.principal, request=request, expected_version=self.expected(request))
