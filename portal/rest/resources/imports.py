"""Imports: bringing documents of a source, watching how they are read, and stopping that."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from kernel import clock
from kernel.errors import Invalid, TooLarge
from portal.rest.context_filters import ImportFilters, ImportItemFilters
from portal.rest.fields import Input, Output, PersonRef, TenantRef, Text, Truth
from portal.rest.listing import Listing, Page, page_of
from portal.rest.operations import Resource, operation
from portal.rest.parsers import StrictJSONParser
from portal.rest.resources.sources import SourceRef
from portal.rest.uploads import DOCUMENTS, Uploaded, UploadedField, UploadParser
from portal.sources import repository_sources
from registry.context import clearance, queries
from registry.context.entries import Entry, limit_of, shown_path, too_large
from registry.context.models import Import, ImportItem, Source
from registry.context.services import imports as services
from registry.context.tasks import wake
from tenants import authority

MAX_LISTED: Final = 1_000
MAX_JSON: Final = 16_777_216


class ImportProgressOut(Output):
    """How many documents of an import are where. `unchanged` were as they had been read before."""

    waiting = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    total = serializers.IntegerField()


class ImportOut(Output):
    """One reading of a source."""

    uid = serializers.UUIDField()
    owner = TenantRef()
    source = SourceRef()  # type: ignore[assignment]  # a part of the answer, not where it comes from
    state = serializers.ChoiceField(choices=Import.State.choices)
    commit = serializers.CharField()
    is_staged = serializers.BooleanField(help_text="Whether its documents are known: a repository is fetched first.")
    fault = serializers.CharField(help_text="Why a repository could not be had.")
    progress = serializers.SerializerMethodField()
    began_by = PersonRef(allow_null=True)
    began_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField()

    @extend_schema_field(ImportProgressOut)
    def get_progress(self, row: Import) -> dict[str, int]:
        """Returns how far it is."""
        counts = self.context.get("progress") or queries.progress_of(self.context["principal"], [row])
        found: dict[str, int] = counts[row.pk]
        return found


class ImportItemOut(Output):
    """One document of an import, and why it could not be read."""

    path = serializers.CharField()
    state = serializers.ChoiceField(choices=ImportItem.State.choices)
    fault = serializers.CharField()
    chunks = serializers.IntegerField()
    attempts = serializers.IntegerField()
    is_removal = serializers.BooleanField(help_text="It is gone where it came from.")
    commit = serializers.CharField()
    changed_at = serializers.DateTimeField()


class BroughtDocument(Input):
    """A document as text. Its format is told by the ending of its path."""

    path = Text(max_length=500)
    text = Text(trim_whitespace=False, allow_blank=True)
    changed_at = serializers.DateTimeField(required=False, help_text="When it was changed where it comes from.")


class Bringing(Input):
    """What JSON and forms have in common."""

    whole = Truth(required=False, default=False, help_text="These are all that there are: what is missing is gone.")

    def validate_documents(self, documents: Sequence[Any]) -> Sequence[Any]:
        """Returns the documents, when each of them is there once."""
        paths = Counter(row.path if isinstance(row, Uploaded) else row["path"] for row in documents)
        if twice := [path for path, times in paths.items() if times > 1]:
            raise serializers.ValidationError(f"“{shown_path(twice[0])}” is there twice.")
        return documents


class NewImport(Bringing):
    """Documents to read, as text."""

    documents = serializers.ListField(child=BroughtDocument(), required=False, min_length=1, max_length=MAX_LISTED)


class UploadedImport(Bringing):
    """Documents to read, as files: texts, PDF, DOCX, or zip archives, which become their members."""

    documents = serializers.ListField(child=UploadedField(), min_length=1)


LISTING: Final = Listing(filters=ImportFilters, sorts={"newest": "-pk", "began": "began_at"})
ITEMS: Final = Listing(filters=ImportItemFilters, sorts={"order": "pk", "path": "path", "state": "state"})


class ImportResource(Resource):
    """Imports."""

    resource = "imports"

    @operation(summary="List imports", gives=ImportOut, listing=LISTING)
    def list(self) -> Page:
        """Imports of the sources that you see, newest first, with how far each is."""
        return _shown(self, queries.imports(self.principal))

    @operation(summary="Read an import", gives=ImportOut)
    def retrieve(self, uid: str) -> Import:
        """One import with how far it is."""
        return queries.import_by_uid(self.principal, uid)

    @operation(summary="List the documents of an import", gives=ImportItemOut, listing=ITEMS)
    def items(self, uid: str) -> Any:
        """What became of each, and why it failed. Without clearance for the source none is shown."""
        return clearance.readable_items(self.principal, queries.import_by_uid(self.principal, uid))

    @operation(summary="Pause an import", gives=ImportOut, conditional=True)
    def pause(self, uid: str) -> Import:
        """What is being read at this moment is read again once it goes on."""
        row = queries.import_by_uid(self.principal, uid)
        return services.pause_import(actor=self.principal, row=row, expected_version=self.expected(row))

    @operation(summary="Resume an import", gives=ImportOut, conditional=True)
    def resume(self, uid: str) -> Import:
        """It goes on where it was paused."""
        row = queries.import_by_uid(self.principal, uid)
        return _awake(services.resume_import(actor=self.principal, row=row, expected_version=self.expected(row)))

    @operation(summary="Retry an import", gives=ImportOut, conditional=True)
    def retry(self, uid: str) -> Import:
        """What failed is read again, where its bytes are still there: until the next import of the source."""
        row = queries.import_by_uid(self.principal, uid)
        return _awake(services.retry_import(actor=self.principal, row=row, expected_version=self.expected(row)))

    @operation(summary="Cancel an import", gives=ImportOut, conditional=True)
    def cancel(self, uid: str) -> Import:
        """What was read stays; what waits is dropped."""
        row = queries.import_by_uid(self.principal, uid)
        return services.cancel_import(actor=self.principal, row=row, expected_version=self.expected(row))


class SourceImportResource(Resource):
    """The imports of one source."""

    resource = "imports"
    max_body: ClassVar[int] = MAX_JSON
    parser_classes = [StrictJSONParser, UploadParser]

    @operation(summary="List the imports of a source", gives=ImportOut, listing=LISTING)
    def of_source(self, owner: str, slug: str) -> Page:
        """How it was read, newest first."""
        source = queries.source_by_ref(self.principal, owner, slug)
        return _shown(self, queries.imports(self.principal, source))

    @operation(
        summary="Begin an import",
        takes=NewImport,
        uploads=UploadedImport,
        gives=ImportOut,
        status=201,
        place=lambda row: f"context/imports/{row.uid}",
    )
    def begin(self, data: dict[str, Any], owner: str, slug: str) -> Import:
        """They are read in the background, and what is as it was is not read again. One import of a source at a time."""
        source = queries.source_by_ref(self.principal, owner, slug)
        if DOCUMENTS not in data:
            return self._fetch(source)
        entries = _entries(data[DOCUMENTS], clock.now())
        return _awake(
            services.begin_import(actor=self.principal, source=source, entries=entries, is_whole=data["whole"])
        )

    def _fetch(self, source: Source) -> Import:
        """A repository is fetched, so nothing is sent for it."""
        if source.kind == Source.Kind.GIT:
            return _awake(services.begin_fetch(actor=self.principal, source=source, sources=repository_sources()))
        authority.require_contributor(self.principal, source.owner, "import documents")
        raise Invalid("There is nothing to read.", errors={DOCUMENTS: ["Bring at least one document."]})


def _shown(view: Resource, rows: Any) -> Page:
    page = page_of(view.request, rows, LISTING)
    return Page(page.rows, page.next, {"progress": queries.progress_of(view.principal, page.rows)})


def _awake(row: Import) -> Import:
    wake(row)
    return row


def _entries(documents: Sequence[Any], now: datetime) -> Iterator[Entry]:
    """Yields documents one by one, so that of large ones not all are in memory."""
    for row in documents:
        if isinstance(row, Uploaded):
            yield Entry(path=row.path, content=row.read(), changed_at=now)
        else:
            content = row["text"].encode()
            if fault := too_large(row["path"], len(content)):
                path = shown_path(row["path"])
                raise TooLarge(f"“{path}”: {fault}", document=path, limit=limit_of(row["path"]))
            yield Entry(path=row["path"], content=content, changed_at=row.get("changed_at", now))
