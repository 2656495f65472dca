"""Sources of documents: where they come from, and how sensitive they are."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from portal.rest.context_filters import Because, SourceFilters
from portal.rest.fields import Choice, Input, Level, Output, PersonRef, TenantRef, Text
from portal.rest.listing import Listing, Page, page_of
from portal.rest.operations import Resource, operation
from portal.sources import repository_sources
from registry.context import clearance, queries
from registry.context.models import Source
from registry.context.services.sources import add_source, change_source, remove_source
from tenants import queries as tenants
from tenants.rules import Sensitivity


class SourceRef(Output):
    """Enough of a source to find it, beside its owner."""

    slug = serializers.CharField()
    name = serializers.CharField()


class SourceOut(Output):
    """Where documents of one tenant come from."""

    uid = serializers.UUIDField()
    owner = TenantRef()
    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Source.Kind.choices)
    location = serializers.CharField(help_text="Of a repository its address, which is fetched; else for people.")
    branch = serializers.CharField(help_text="Of a repository; empty: the one that it shows itself.")
    sensitivity = Level(Sensitivity)
    commit = serializers.CharField(help_text="The commit that was read last, of a repository.")
    documents = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True, help_text="When an import of it ended last.")
    version = serializers.IntegerField()

    @extend_schema_field(serializers.IntegerField(min_value=0))
    def get_documents(self, row: Source) -> int:
        """Returns how many documents it holds."""
        counts: Mapping[int, int] | None = self.context.get("counts")
        if counts is None:
            counts = clearance.document_counts(self.context["principal"], [row])
        return counts.get(row.pk, 0)


class SourceDetail(SourceOut):
    """A source, with what reads it now."""

    created_by = PersonRef(allow_null=True)
    reading = serializers.SerializerMethodField()
    version = serializers.IntegerField()

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_reading(self, row: Source) -> str | None:
        """Returns the import that reads it now."""
        found = clearance.open_import(self.context["principal"], row)
        return str(found.uid) if found else None


class NewSource(Input):
    """A source to add. It has no documents yet: an import brings them."""

    owner = Text(max_length=48)
    slug = Text(max_length=48)
    name = Text(max_length=120)
    kind = Choice(choices=Source.Kind.choices, required=False)
    location = Text(max_length=500, required=False, allow_blank=True, help_text="A repository needs its address.")
    branch = Text(max_length=200, required=False, allow_blank=True)
    sensitivity = Level(Sensitivity, required=False)


class SourceChange(Input):
    """What of a source can change; what is left out stays."""

    name = Text(max_length=120, required=False)
    location = Text(max_length=500, required=False, allow_blank=True)
    branch = Text(max_length=200, required=False, allow_blank=True)
    sensitivity = Level(Sensitivity, required=False)


LISTING: Final = Listing(
    filters=SourceFilters, sorts={"slug": "slug", "name": "name", "owner": "owner__slug", "created": "created_at"}
)


class SourceResource(Resource):
    """Sources."""

    resource = "sources"

    @operation(summary="List sources", gives=SourceOut, listing=LISTING)
    def list(self) -> Page:
        """Sources that you see: those of your teams, of their domains and of the platform."""
        page = page_of(self.request, queries.sources(self.principal), LISTING)
        return Page(page.rows, page.next, {"counts": clearance.document_counts(self.principal, page.rows)})

    @operation(
        summary="Add a source",
        takes=NewSource,
        gives=SourceDetail,
        status=201,
        place=lambda row: f"context/sources/{row.owner.slug}/{row.slug}",
    )
    def create(self, data: dict[str, Any]) -> Source:
        """What it will hold is found by who sees its owner, up to its sensitivity."""
        owner = self.named("owner", tenants.tenant_by_slug, data.pop("owner"))
        return add_source(actor=self.principal, owner=owner, sources=repository_sources(), **data)

    @operation(summary="Read a source", gives=SourceDetail)
    def retrieve(self, owner: str, slug: str) -> Source:
        """One source."""
        return queries.source_by_ref(self.principal, owner, slug)

    @operation(summary="Change a source", takes=SourceChange, gives=SourceDetail, conditional=True)
    def partial_update(self, data: dict[str, Any], owner: str, slug: str) -> Source:
        """A new sensitivity holds for every document at once. Who keeps the owner may lower it."""
        source = queries.source_by_ref(self.principal, owner, slug)
        expected, sources = self.expected(source), repository_sources()
        return change_source(actor=self.principal, source=source, expected_version=expected, sources=sources, **data)

    @operation(summary="Remove a source", asks=Because, status=204, conditional=True)
    def destroy(self, asked: dict[str, Any], owner: str, slug: str) -> None:
        """With documents, chunks, vectors and imports. The log keeps that it was there, not what it said."""
        source = queries.source_by_ref(self.principal, owner, slug)
        expected = self.expected(source)
        remove_source(actor=self.principal, source=source, reason=asked["reason"], expected_version=expected)
