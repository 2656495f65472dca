"""What was removed is nowhere: every text of every table is looked through for a word that only it had."""

import pytest
from django.db import connection

from kernel.errors import Forbidden
from registry.context.models import Document
from registry.context.services.sources import remove_document, remove_source
from tests.apps.context.bringing import ask, embed_all, read, source

pytestmark = pytest.mark.django_db

CANARY = "qwxylozan"
TEXT = f"# Printing\n\nThe {CANARY} cuts each letter by hand, and nobody else in the house can do it.\n"


def traces():
    """Returns the tables in which some row has the word, in whatever column, vectors aside."""
    with connection.cursor() as cursor:
        tables = [name for name in connection.introspection.table_names(cursor) if not name.startswith("pgmq")]
        found = []
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE position('{CANARY}' IN t::text) > 0")
            if cursor.fetchone()[0]:
                found.append(table)
    return found


def vectors():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM registry_chunk WHERE embedding IS NOT NULL")
        return cursor.fetchone()[0]


def test_the_look_finds_what_is_there(cast):
    read(source(cast.team), {"a.md": TEXT})
    assert {"registry_chunk", "registry_word"} <= set(traces())


@pytest.mark.parametrize("whole", [False, True])
def test_nothing_is_left_of_what_was_removed(cast, whole):
    place = source(cast.team)
    row = read(place, {"a.md": TEXT, "bad.md": TEXT.encode("utf-16-le")[:-1] + b"\x00"})
    embed_all()
    assert vectors()
    assert ask(cast.member, cast.team, CANARY).hits
    if whole:
        remove_source(actor=cast.lead, source=place, reason="Asked for.")
    else:
        row.items.filter(path="bad.md").delete()
        remove_document(actor=cast.member, document=Document.objects.get(path="a.md"), reason="Asked for.")
    assert traces() == []
    assert vectors() == 0
    assert not ask(cast.member, cast.team, CANARY).hits


def test_who_may_remove(cast):
    place = source(cast.team)
    read(place, {"a.md": TEXT})
    document = Document.objects.get()
    for actor in (cast.reviewer, cast.outsider, cast.steward):
        with pytest.raises(Forbidden):
            remove_document(actor=actor, document=document, reason="x")
    for actor in (cast.member, cast.outsider):
        with pytest.raises(Forbidden):
            remove_source(actor=actor, source=place, reason="x")
