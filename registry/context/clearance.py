"""What a person may read of the context that they see: nothing above their clearance, as in every call of theirs.

That there is a source, how large it is and how its imports went is seen by who sees its owner; what its documents say,
and how they are called, only by who is cleared for it.
"""

from collections.abc import Iterable

from django.db.models import Count, QuerySet

from registry.context import queries
from registry.context.models import OPEN, Chunk, Document, Import, ImportItem, Source
from tenants.principals import Principal
from tenants.queries import one_of


def readable_documents(principal: Principal, source: Source | None = None) -> QuerySet[Document]:
    """Returns visible documents (of one source) up to the principal's clearance, with source, owner and original."""
    return queries.documents(principal, source).filter(sensitivity__lte=principal.clearance)


def readable_document(principal: Principal, uid: str) -> Document:
    """Returns one document that the principal may read; one above their clearance does not exist."""
    return one_of(readable_documents(principal), "document", uid=uid)


def readable_chunks(principal: Principal, document: Document) -> QuerySet[Chunk]:
    """Returns the chunks of a document up to the clearance: the original of a copy may be more sensitive than it."""
    return queries.chunks_of(principal, document).filter(sensitivity__lte=principal.clearance).defer("tsv")


def readable_items(principal: Principal, row: Import) -> QuerySet[ImportItem]:
    """Returns the items of a visible import, none when its source is above the clearance: paths say something, too."""
    return queries.items_of(principal, row).filter(of__source__sensitivity__lte=principal.clearance)


def document_counts(principal: Principal, sources: Iterable[Source]) -> dict[int, int]:
    """Returns by source how many documents visible sources hold, whatever the clearance: one query."""
    rows = queries.documents(principal).filter(source__in=[row.pk for row in sources]).order_by()
    return dict(rows.values_list("source").annotate(n=Count("pk")))


def open_import(principal: Principal, source: Source) -> Import | None:
    """Returns the import that reads a visible source now, if there is one."""
    return queries.imports(principal, source).filter(state__in=OPEN).first()
