"""Bringing documents and asking for them, as short as tests want it."""

from datetime import UTC, datetime

from registry.context import queries
from registry.context.embedding.provider import embedder
from registry.context.entries import Entry
from registry.context.filling import fill
from registry.context.services.imports import begin_import
from registry.context.services.sources import add_source
from registry.context.working import work_on
from tenants.principals import SYSTEM
from tenants.queries import reach_of
from tenants.scope import tenant_scope

AT = datetime(2026, 3, 1, tzinfo=UTC)


def entry(path, content, **over):
    if isinstance(content, str):
        content = content.encode()
    return Entry(**{"path": path, "content": content, "changed_at": AT} | over)


def source(owner, slug="ops", **over):
    return add_source(actor=SYSTEM, owner=owner, slug=slug, name=slug, **over)


def begin(source, documents, **over):
    entries = [entry(path, content) for path, content in documents.items()]
    return begin_import(actor=SYSTEM, source=source, entries=entries, **over)


def read(source, documents, **over):
    """Returns the import, ended."""
    row = begin(source, documents, **over)
    while work_on(row.pk, seconds=60):
        pass
    row.refresh_from_db()
    return row


def embed_all():
    while fill(embedder()):
        pass


def ask(principal, owners, text, **over):
    """Returns the answer as this principal gets it: limited twice, as in every request."""
    reach = reach_of(owners) if not isinstance(owners, frozenset) else owners
    with tenant_scope(principal.access.scope):
        return queries.search(principal, queries.Question(text=text, owners=reach, **over))


def paths(answer):
    return [hit.path for hit in answer.hits]
