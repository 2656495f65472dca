"""Versions of a blueprint: proposed as a text, compared with another, published by somebody else."""

from typing import Any

from django import forms
from rest_framework import serializers

from blueprints.forks.diff import compare_two
from blueprints.models import Version
from blueprints.queries import library
from blueprints.services import publishing
from portal.rest import filters
from portal.rest.blueprint_fields import ContentChangeOut, VersionDetail, VersionOut, document_text
from portal.rest.fields import Input, OptionalReason, Output, Reason, Text
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation


class VersionProposal(Input):
    """A text for a next version. Its header names the owner and the blueprint of the address."""

    text = document_text(help_text="YAML, at most 256 KiB. `document.version` is above the head's.")
    note = Text(max_length=500, help_text="What changes and why, for who reviews it.")


class Against(forms.Form):
    """What a version is compared with."""

    against = forms.CharField(
        required=False,
        max_length=200,
        help_text="A number of the same blueprint, or a reference. Without it: the published version before.",
    )


class VersionDifferenceOut(Output):
    """What one version changes in another, by names: `base` is the other's side, `head` this one's."""

    against = serializers.CharField(allow_null=True, help_text="Null: it is the first, so there is nothing to compare.")
    version = serializers.CharField()
    changed = serializers.IntegerField(help_text="How many things: nodes, checks, grants, fields of a section.")
    changes = ContentChangeOut(many=True)


class VersionResource(Resource):
    """Versions."""

    resource = "versions"

    @operation(
        summary="List a blueprint's versions",
        gives=VersionOut,
        listing=Listing(filters=filters.VersionFilters, sorts={"newest": "-pk", "status": "status"}),
    )
    def list(self, namespace: str, name: str) -> Any:
        """Every version in every state, newest first."""
        blueprint = library.blueprint_by_ref(self.principal, namespace, name)
        return library.versions(self.principal).filter(blueprint=blueprint)

    @operation(
        summary="Propose a version",
        takes=VersionProposal,
        gives=VersionOut,
        status=201,
        place=lambda row: f"blueprints/{row.blueprint.ref}/versions/{row.semver}",
    )
    def create(self, data: dict[str, Any], namespace: str, name: str) -> Version:
        """It waits for review by somebody else. The first version of a name makes the blueprint, as a draft."""
        owner = library.owner_of(self.principal, namespace)
        return publishing.propose_version(actor=self.principal, owner=owner, name=name, **data)

    @operation(summary="Read a version", gives=VersionDetail)
    def retrieve(self, namespace: str, name: str, semver: str) -> Version:
        """The published version of this number with its contents, else what was proposed last under it."""
        return self._version(namespace, name, semver)

    @operation(summary="Compare a version", asks=Against, gives=VersionDifferenceOut)
    def diff(self, asked: dict[str, Any], namespace: str, name: str, semver: str) -> dict[str, Any]:
        """What it changes, by names and not by lines. The header is no content."""
        version = self._version(namespace, name, semver)
        other = self._other(version, asked["against"])
        if other is None:
            return {"against": None, "version": version.ref, "changed": 0, "changes": []}
        difference = compare_two(other.document, version.document)
        changes = [change.as_dict() for change in difference.changes]
        return {"against": other.ref, "version": version.ref, "changed": difference.behind, "changes": changes}

    @operation(summary="Publish a version", takes=OptionalReason, gives=VersionOut, conditional=True)
    def publish(self, data: dict[str, Any], namespace: str, name: str, semver: str) -> Version:
        """It is the head from now on: every fork is measured against it, and configurations follow."""
        version = self._version(namespace, name, semver)
        expected = self.expected(version)
        return publishing.publish_version(actor=self.principal, version=version, expected_version=expected, **data)

    @operation(summary="Reject a version", takes=Reason, gives=VersionOut, conditional=True)
    def reject(self, data: dict[str, Any], namespace: str, name: str, semver: str) -> Version:
        """Its number is free again."""
        version = self._version(namespace, name, semver)
        expected = self.expected(version)
        return publishing.reject_version(actor=self.principal, version=version, expected_version=expected, **data)

    @operation(summary="Withdraw a version", gives=VersionOut, conditional=True)
    def withdraw(self, namespace: str, name: str, semver: str) -> Version:
        """By who proposed it, or who keeps the owner."""
        version = self._version(namespace, name, semver)
        expected = self.expected(version)
        return publishing.withdraw_version(actor=self.principal, version=version, expected_version=expected)

    def _version(self, namespace: str, name: str, semver: str) -> Version:
        blueprint = library.blueprint_by_ref(self.principal, namespace, name)
        return library.version_of(self.principal, blueprint, semver)

    def _other(self, version: Version, against: str) -> Version | None:
        if not against:
            return library.version_before(self.principal, version)
        ref = against if "/" in against else f"{version.blueprint.ref}@{against}"
        found: Version = self.named("?against", library.version_by_ref, ref)
        return found
