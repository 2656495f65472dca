"""Documents that were read, with where they come from, and the chunks that are searched."""

from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from portal.rest.context_filters import Because, DocumentFilters
from portal.rest.fields import AgentRef, Level, Output, PersonRef, TenantRef
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from portal.rest.resources.sources import SourceRef
from registry.context import clearance, queries
from registry.context.inbox import remembered_in
from registry.context.models import Chunk, Document
from registry.context.services.sources import remove_document
from tenants.rules import Sensitivity


class Marks(serializers.ListField):
    """What a reader should know of a text: that it seems to speak to an agent, or which kind of secret was found."""

    child = serializers.CharField()


class ContextDocumentOut(Output):
    """A document as it was read last."""

    uid = serializers.UUIDField()
    owner = TenantRef()
    source = SourceRef()  # type: ignore[assignment]  # a part of the answer, not where it comes from
    path = serializers.CharField()
    title = serializers.CharField()
    format = serializers.CharField()
    language = serializers.CharField()
    sensitivity = Level(Sensitivity)
    commit = serializers.CharField()
    digest = serializers.CharField(help_text="SHA-256 of its bytes.")
    marks = Marks()
    chunks = serializers.IntegerField(source="chunk_count")
    withheld = serializers.IntegerField(source="withheld_count", help_text="Chunks of which no text was kept.")
    copy_of = serializers.UUIDField(
        source="copy_of.uid",
        default=None,
        allow_null=True,
        help_text="The document of the same owner that has its chunks.",
    )
    changed_at = serializers.DateTimeField(help_text="Where it comes from, as far as that is known.")
    read_at = serializers.DateTimeField()


class RememberedOut(Output):
    """Who learned what a document says, in which call, and who accepted it."""

    memory = serializers.UUIDField(source="uid")
    agent = AgentRef()
    person = PersonRef()
    call = serializers.UUIDField()
    accepted_by = PersonRef(source="decided_by", allow_null=True)
    evidence = serializers.CharField()


class ContextDocumentDetail(ContextDocumentOut):
    """A document with its provenance."""

    remembered = serializers.SerializerMethodField()

    @extend_schema_field(RememberedOut(allow_null=True))
    def get_remembered(self, row: Document) -> Any:
        """Returns what an agent learned and this document says; nothing for one that was imported."""
        found = remembered_in(self.context["principal"], [row.uid]).get(row.uid)
        return RememberedOut(found).data if found else None


class ChunkOut(Output):
    """A part of a document that can be found. One that is withheld has neither text nor heading."""

    uid = serializers.UUIDField()
    ordinal = serializers.IntegerField()
    heading = serializers.ListField(child=serializers.CharField())
    text = serializers.SerializerMethodField()
    line = serializers.IntegerField(help_text="0: not known.")
    page = serializers.IntegerField(help_text="0: it has no pages.")
    words = serializers.IntegerField()
    sensitivity = Level(Sensitivity)
    marks = Marks()
    withheld = serializers.BooleanField()
    embedded = serializers.SerializerMethodField()

    def get_text(self, row: Chunk) -> str:
        """Returns the text; of what is withheld none is kept, and none would be shown."""
        return "" if row.withheld else row.text

    def get_embedded(self, row: Chunk) -> bool:
        """Returns whether it is found by its meaning, too."""
        return bool(row.embedded_with)


LISTING: Final = Listing(
    filters=DocumentFilters, sorts={"path": "path", "title": "title", "changed": "-changed_at", "read": "-read_at"}
)


class DocumentResource(Resource):
    """Documents. One above your clearance is not there for you."""

    resource = "context_documents"

    @operation(summary="List documents", gives=ContextDocumentOut, listing=LISTING)
    def list(self) -> Any:
        """Documents that you may read, of every source that you see."""
        return clearance.readable_documents(self.principal)

    @operation(summary="List the documents of a source", gives=ContextDocumentOut, listing=LISTING)
    def of_source(self, owner: str, slug: str) -> Any:
        """What was read of it, as far as you may read it."""
        return clearance.readable_documents(self.principal, queries.source_by_ref(self.principal, owner, slug))

    @operation(summary="Read a document", gives=ContextDocumentDetail)
    def retrieve(self, uid: UUID) -> Document:
        """One document: where it comes from, when it changed, what is marked and how much is withheld."""
        return clearance.readable_document(self.principal, str(uid))

    @operation(summary="Remove a document", asks=Because, status=204)
    def destroy(self, asked: dict[str, Any], uid: UUID) -> None:
        """With chunks and vectors. The next whole reading of its source brings it back, unless it is gone there."""
        document = clearance.readable_document(self.principal, str(uid))
        remove_document(actor=self.principal, document=document, reason=asked["reason"])

    @operation(summary="List the chunks of a document", gives=ChunkOut, listing=Listing(sorts={"order": "ordinal"}))
    def chunks(self, uid: UUID) -> Any:
        """What is searched, in the order of the document; a copy shows the chunks of its original."""
        return clearance.readable_chunks(self.principal, clearance.readable_document(self.principal, str(uid)))
