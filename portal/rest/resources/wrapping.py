"""HTTP APIs wrapped as servers: their documents, and which operations are tools."""

from typing import Any, ClassVar, Final

from django.conf import settings
from rest_framework import serializers
from rest_framework.response import Response

from portal.rest.fields import Input, Output, Text
from portal.rest.operations import Resource, operation
from portal.rest.preconditions import tag_of
from portal.rest.resources.servers import ServerOut
from registry import documents, rules, wrapping
from registry import queries as registry
from registry.addresses import AddressPolicy
from registry.models import ApiDocument, Server
from registry.openapi.reading import MAX_BYTES
from registry.wrapping import Choice
from tenants import queries as tenants

MAX_CHOSEN: Final = 2_000


def _names(most: int, longest: int) -> serializers.ListField:
    return serializers.ListField(child=Text(max_length=longest), max_length=most, required=False)


class Chosen(Input):
    """Which operations become tools: named (`GET /orders`), bearing a tag, or below a path.

    Without any of the three it is what the API has taken so far, and for a new API everything.
    """

    operations = _names(MAX_CHOSEN, 600)
    tags = _names(100, 60)
    paths = _names(100, 500)


class NewApi(Chosen):
    """An HTTP API to wrap. Without `url` it is the first address that the document names."""

    owner = Text(max_length=48)
    slug = Text(max_length=48)
    name = Text(max_length=120)
    summary = Text(max_length=400, required=False, allow_blank=True)
    url = Text(max_length=500, required=False, allow_blank=True)
    document = Text(trim_whitespace=False, help_text="OpenAPI 3.0 or 3.1 as text, JSON or YAML.")


class NewDocument(Chosen):
    """Another document, or without one another choice from the present one."""

    document = Text(trim_whitespace=False, required=False)


class OperationOut(Output):
    """One operation: taken or not, or left out and why."""

    key = serializers.CharField()
    name = serializers.CharField(help_text="The tool's name.")
    method = serializers.CharField()
    path = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    summary = serializers.CharField()
    taken = serializers.BooleanField()
    left_out = serializers.CharField(help_text="Why it cannot be a tool; empty when it can.")
    notes = serializers.ListField(child=serializers.CharField(), help_text="What of it is not passed on.")


class ProposalOut(Output):
    """A credential that the document asks for."""

    kind = serializers.CharField()
    header = serializers.CharField()
    said = serializers.CharField()


class DocumentOut(Output):
    """What an API's document describes."""

    title = serializers.CharField()
    api_version = serializers.CharField()
    digest = serializers.CharField()
    taken_at = serializers.DateTimeField()
    servers = serializers.ListField(child=serializers.CharField(), help_text="Addresses that it names; none is called.")
    credentials = ProposalOut(many=True)
    operations = OperationOut(many=True)
    version = serializers.IntegerField()


class ChangedOut(Output):
    """A tool that would change."""

    name = serializers.CharField()
    fields_changed = serializers.ListField(child=serializers.CharField())


class PreviewOut(Output):
    """What taking a document would do to the tools. Nothing was written."""

    added = serializers.ListField(child=serializers.CharField())
    changed = ChangedOut(many=True)
    gone = serializers.ListField(child=serializers.CharField())
    same = serializers.ListField(child=serializers.CharField())


class ApiResource(Resource):
    """HTTP APIs."""

    resource = "apis"
    max_body: ClassVar[int] = MAX_BYTES + MAX_BYTES // 2

    @operation(
        summary="Wrap an HTTP API", takes=NewApi, gives=ServerOut, status=201, place=lambda row: f"servers/{row.slug}"
    )
    def create(self, data: dict[str, Any]) -> Server:
        """A draft, as any server: its operations are tools that wait for approval, then it is probed and activated."""
        owner = self.named("owner", tenants.tenant_by_slug, data.pop("owner"))
        choice, addresses = _choice(data), AddressPolicy(settings.HANSE.upstream_allow)
        return wrapping.wrap_api(actor=self.principal, owner=owner, addresses=addresses, choice=choice, **data)


class DocumentResource(Resource):
    """The document of a wrapped API."""

    resource = "document"
    max_body: ClassVar[int] = MAX_BYTES + MAX_BYTES // 2

    @operation(summary="Read an API's operations", gives=DocumentOut)
    def retrieve(self, slug: str) -> Response:
        """Every operation of the present document: which are tools, and why others cannot be."""
        return _document(documents.document_of(self.principal, registry.server_by_slug(self.principal, slug)))

    @operation(summary="Take a document or another choice", takes=NewDocument, gives=DocumentOut, conditional=True)
    def update(self, data: dict[str, Any], slug: str) -> Response:
        """New and changed tools wait for approval, and what is no longer there leaves every surface."""
        server = registry.server_by_slug(self.principal, slug)
        expected = self.expected(documents.document_of(self.principal, server))
        choice = _choice(data)
        return _document(
            wrapping.take_document(
                actor=self.principal, server=server, choice=choice, expected_version=expected, **data
            )
        )

    @operation(summary="Preview a document or another choice", takes=NewDocument, gives=PreviewOut)
    def preview(self, data: dict[str, Any], slug: str) -> dict[str, Any]:
        """What taking it would do. Writes nothing."""
        server = registry.server_by_slug(self.principal, slug)
        kept = documents.document_of(self.principal, server)
        api = documents.described(data.get("document", kept.text))
        found = documents.preview(self.principal, server, _choice(data).or_present(kept, api).of(api))
        changed = [{"name": n, "fields_changed": rules.changed_fields(a, b)} for n, a, b in found.changed]
        return {"added": found.added, "changed": changed, "gone": found.gone, "same": found.same}


def _choice(data: dict[str, Any]) -> Choice:
    return Choice(*(tuple(data.pop(name, ())) for name in ("operations", "tags", "paths")))


def _document(kept: ApiDocument) -> Response:
    api, taken = documents.described(kept.text), set(kept.chosen)
    shown = {
        "title": api.title,
        "api_version": api.version,
        "digest": kept.digest,
        "taken_at": kept.taken_at,
        "servers": api.servers,
        "credentials": api.proposals,
        "operations": [_operation(found, taken) for found in api.operations],
        "version": kept.version,
    }
    data = DocumentOut(shown).data
    return Response(data, headers={"ETag": tag_of(kept.version, data)})


def _operation(found: Any, taken: set[str]) -> dict[str, Any]:
    names = ("key", "name", "method", "path", "tags", "summary", "left_out", "notes")
    return {**{name: getattr(found, name) for name in names}, "taken": found.key in taken}
