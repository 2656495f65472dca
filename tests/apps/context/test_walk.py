"""The way of one document: brought, read, kept, found by who may see it, and by nobody else."""

from copy import deepcopy

import pytest

from kernel import clock
from registry.context import queries
from registry.context.embedding.provider import embedder
from registry.context.entries import Entry
from registry.context.filling import fill, has_vectors
from registry.context.services.imports import begin_import
from registry.context.services.sources import add_source
from registry.context.working import work_on
from tenants.queries import reach_of
from tenants.scope import tenant_scope
from tests.actors import make_cast

pytestmark = pytest.mark.django_db

KEYS = (
    b"# Rotating signing keys\n\nThe ledger signs every record. Keys are rotated each quarter by the platform team.\n"
)


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def cast(made, db):
    return deepcopy(made)


def entry(path, content):
    return Entry(path=path, content=content, changed_at=clock.now())


def bring(cast, owner, slug, **files):
    source = add_source(actor=cast.admin, owner=owner, slug=slug, name=slug)
    entries = [entry(path.replace("_", "."), content) for path, content in files.items()]
    row = begin_import(actor=cast.admin, source=source, entries=entries)
    assert not work_on(row.pk, seconds=20)
    return source


def ask(principal, team, text, **over):
    with tenant_scope(principal.access.scope):
        return queries.search(principal, queries.Question(text=text, owners=reach_of(team), **over))


@pytest.mark.parametrize("mode", queries.MODES)
def test_a_document_is_found_by_its_team_and_by_no_other(cast, mode):
    bring(cast, cast.team, "ops", keys_md=KEYS)
    if mode != "text":
        assert has_vectors()
        assert fill(embedder())
    hits = ask(cast.member, cast.team, "how often do we rotate the signing key", mode=mode).hits
    assert [(hit.path, hit.line, hit.tier, hit.owner) for hit in hits] == [("keys.md", 3, "team", "ledger")]
    for principal, team in [(cast.outsider, cast.rival), (cast.outsider, cast.team), (cast.stranger, cast.team)]:
        assert not ask(principal, team, "how often do we rotate the signing key", mode=mode).hits
