"""Sources whose repository asks for credentials: who sets them, what they open, when they go, and that nothing tells them."""

import json
import logging

import pytest
from django.db import connection

from audit.models import Event, Payload
from kernel.errors import Forbidden, Invalid
from kernel.secrets import Secret
from registry.context import queries
from registry.context.fetching import fetch
from registry.context.models import Document, Import, SourceCredential
from registry.context.services.credentials import remove_source_credential, set_source_credential
from registry.context.services.imports import begin_fetch, retry_import
from registry.context.services.sources import add_source, change_source, remove_source
from registry.context.tasks import fetch_import
from registry.context.working import waiting_imports, work_on
from tenants.principals import SYSTEM
from tests.apps.classification.repositories import make_repository
from tests.git.private import TOKEN, basic, guarded, vault_at
from tests.git.serving import listed
from tests.security.leaks import finds

RIGHT = basic("x-access-token", TOKEN)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    top = tmp_path_factory.mktemp("private")
    return make_repository(top / "ledger", {"README.md": "# Ledger\n\nHow the ledger is kept.\n"})


@pytest.fixture
def kept(tmp_path):
    return vault_at(tmp_path)


@pytest.fixture
def door(place):
    with guarded(place, RIGHT) as door:
        yield door


@pytest.fixture
def sources(door, kept):
    return listed(door.port, vault=kept[0])


@pytest.fixture
def source(cast, door, sources):
    facts = {"slug": "ledger", "name": "Ledger", "kind": "git", "location": door.url}
    return add_source(actor=cast.member, owner=cast.team, sources=sources, **facts)


@pytest.fixture
def give(source, kept):
    def give(actor, token=TOKEN, **over):
        facts = {"source": source, "kind": "basic", "public_key": kept[1].public_key(), "key_id": "k1"}
        return set_source_credential(actor=actor, secret=Secret(token.encode()), **(facts | over))

    return give


def read(source, sources):
    row = begin_fetch(actor=SYSTEM, source=source, sources=sources)
    fetch(row.pk, sources)
    while work_on(row.pk, seconds=60):
        pass
    row.refresh_from_db()
    return row


def test_a_private_repository_is_read_once_its_credential_is_there(cast, source, sources, door, give):
    without = read(source, sources)
    assert without.state == "failed"
    assert "asks for credentials" in without.fault
    assert "add one" in without.fault
    assert waiting_imports(is_staged=False) == [], "nobody asks again by themselves"
    give(cast.member, token="wrong-token-of-somebody")
    wrong = read(source, sources)
    assert "refused the credential" in wrong.fault
    give(cast.member)
    assert read(source, sources).state == "done"
    assert list(Document.objects.values_list("path", flat=True)) == ["README.md"]
    assert len(door.seen) == 1 + 1 + 2, "each attempt asks once, and the good one twice"


def test_one_that_was_revoked_says_so_and_keeps_what_was_read(cast, source, sources, door, give):
    give(cast.member)
    read(source, sources)
    door.allowed.clear()
    row = read(source, sources)
    assert "Replace it" in row.fault
    assert Document.objects.count() == 1
    door.allowed.add(basic("x-access-token", "a-token-of-today"))
    give(cast.lead, token="a-token-of-today")
    retry_import(actor=cast.member, row=row)
    fetch(row.pk, sources)
    assert Import.objects.get(pk=row.pk).fault == ""


def test_who_may_change_a_source_sets_its_credential_and_nobody_reads_it(cast, source, give):
    for actor in (cast.reviewer, cast.steward, cast.outsider, cast.stranger):
        with pytest.raises(Forbidden):
            give(actor)
        with pytest.raises(Forbidden):
            remove_source_credential(actor=actor, source=source)
    give(cast.member)
    known = queries.credential_of(cast.reviewer, source)
    assert (known.kind, known.address, known.created_by) == ("basic", source.location, cast.member.person)
    assert "sealed" in known.get_deferred_fields()
    assert queries.credential_of(cast.outsider, source) is None
    remove_source_credential(actor=cast.member, source=source)
    assert queries.credential_of(cast.member, source) is None


def test_only_what_is_asked_over_the_network_takes_one(cast, give, place, sources):
    files = add_source(actor=SYSTEM, owner=cast.team, slug="files", name="Files")
    with pytest.raises(Invalid, match="Only a git repository"):
        give(SYSTEM, source=files)


def verbs():
    rows = Event.objects.filter(verb__startswith="registry.credential").order_by("pk")
    return [row.verb.rsplit(".", 1)[-1] for row in rows]


def test_another_address_drops_it_another_branch_keeps_it(cast, source, sources, door, give):
    give(cast.member)
    change_source(actor=cast.member, source=source, branch="main", sources=sources)
    change_source(actor=cast.member, source=source, name="Another name", sources=sources)
    assert SourceCredential.objects.exists()
    changed = change_source(actor=cast.member, source=source, location=f"{door.url}2", sources=sources)
    assert not SourceCredential.objects.exists()
    assert verbs() == ["set", "removed"]
    assert read(changed, sources).state == "failed"
    assert door.seen == [None], "the one before was for another address"


def test_it_goes_with_its_source(cast, source, give):
    give(cast.member)
    remove_source(actor=cast.lead, source=source, reason="Old.")
    assert not SourceCredential.objects.exists()
    assert verbs() == ["set", "removed"]


def test_a_row_that_is_moved_to_another_source_or_address_opens_nothing(cast, source, sources, door, give):
    """What somebody could do who writes rows, and not what a service does."""
    give(cast.member)
    facts = {"slug": "other", "name": "Other", "kind": "git", "location": door.url}
    other = add_source(actor=cast.member, owner=cast.team, sources=sources, **facts)
    SourceCredential.objects.update(source=other)
    assert "does not open" in read(other, sources).fault
    SourceCredential.objects.update(source=source)
    type(source).objects.filter(pk=source.pk).update(location=door.url.replace("/r", "/rr"))
    source.refresh_from_db()
    assert "does not open" in read(source, sources).fault
    assert door.seen == []


def test_the_secret_stands_in_no_row_no_record_no_task_and_no_log(
    cast, source, sources, door, give, caplog, monkeypatch
):
    asked = []
    monkeypatch.setattr(fetch_import, "delay", lambda *args, **kwargs: asked.append((args, kwargs)))
    with caplog.at_level(logging.DEBUG):
        for token in (TOKEN, "wrong-" + TOKEN):
            give(cast.member, token=token)
            read(source, sources)
        with pytest.raises(Invalid):
            give(cast.member, token=f"{TOKEN}\n", kind="bearer")
    said = caplog.text + "".join(repr(record.__dict__) for record in caplog.records) + json.dumps(asked, default=repr)
    assert not finds(said.encode(), TOKEN)
    assert Payload.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        tables = [name for (name,) in cursor.fetchall()]
        assert {"registry_sourcecredential", "audit_payload", "registry_import"} <= set(tables)
        for table in tables:
            cursor.execute(f"SELECT coalesce(string_agg(t::text, chr(10)), '') FROM \"{table}\" t")
            rows = cursor.fetchone()[0]
            assert not finds(rows.encode(), TOKEN), table
            assert TOKEN.encode().hex() not in rows, table
