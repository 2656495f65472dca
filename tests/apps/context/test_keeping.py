"""What is kept of a document is a difference: what says the same keeps its row, its id and its vector."""

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.context.models import Chunk, Document
from registry.context.services.sources import remove_document, remove_source
from tests.apps.context.bringing import ask, embed_all, paths, read, source

pytestmark = pytest.mark.django_db

WORDS = "The ledger keeps what was paid and to whom and why it was paid and who allowed it in the end "


def text(*names):
    return "# Guide\n\n" + "".join(f"## {name}\n\n{(WORDS + name + ' ') * 3}\n\n" for name in names)


def vectors():
    with connection.cursor() as cursor:
        cursor.execute("SELECT uid, embedding::text FROM registry_chunk WHERE embedded_with <> ''")
        return dict(cursor.fetchall())


def test_a_section_between_others_leaves_them_and_their_vectors_alone(cast):
    place = source(cast.team)
    read(place, {"a.md": text("Alpha", "Gamma")})
    embed_all()
    before, uids = vectors(), set(Chunk.objects.values_list("uid", flat=True))
    read(place, {"a.md": text("Alpha", "Beta", "Gamma")})
    assert uids < set(Chunk.objects.values_list("uid", flat=True))
    assert vectors() == before
    headings = Chunk.objects.order_by("ordinal").values_list("heading", flat=True)
    assert [heading[-1] for heading in headings] == ["Alpha", "Beta", "Gamma"]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.permutations("ABCD"), after=st.permutations("ABCDE"), cut=st.integers(1, 5))
def test_reading_twice_is_reading_the_second(cast, before, after, cut):
    Document.objects.all().delete()
    place = source(cast.team, f"s{Document.objects.count()}-{abs(hash((tuple(before), tuple(after), cut))) % 10**9}")
    read(place, {"a.md": text(*before)})
    kept = dict(Chunk.objects.values_list("digest", "uid"))
    read(place, {"a.md": text(*after[:cut])})
    rows = list(Chunk.objects.order_by("ordinal"))
    assert [row.heading[-1] for row in rows] == list(after[:cut])
    assert [row.ordinal for row in rows] == list(range(cut))
    assert all(row.uid == kept[row.digest] for row in rows if row.digest in kept)


def test_a_copy_is_named_and_takes_over_when_its_original_goes(cast):
    first, second = source(cast.team, "one"), source(cast.team, "two")
    read(first, {"a.md": text("Alpha")})
    read(second, {"b.md": text("Alpha"), "c.md": text("Alpha")})
    original, copies = Document.objects.get(path="a.md"), Document.objects.exclude(path="a.md")
    assert {copy.copy_of for copy in copies} == {original}
    assert Chunk.objects.count() == 1
    uid = Chunk.objects.get().uid
    remove_document(actor=cast.lead, document=original, reason="It is old.")
    heir = Document.objects.get(copy_of=None)
    assert heir.path == "b.md"
    assert Document.objects.get(path="c.md").copy_of == heir
    assert (Chunk.objects.get().uid, Chunk.objects.get().source) == (uid, second)
    assert paths(ask(cast.member, cast.team, "alpha ledger")) == ["b.md"]


def test_a_copy_takes_over_when_its_original_says_something_else(cast):
    place = source(cast.team)
    read(place, {"a.md": text("Alpha"), "b.md": text("Alpha")})
    read(place, {"a.md": text("Other")})
    assert set(Document.objects.values_list("path", "copy_of")) == {("a.md", None), ("b.md", None)}
    assert sorted(Chunk.objects.values_list("document__path", "heading")) == [
        ("a.md", ["Guide", "Other"]),
        ("b.md", ["Guide", "Alpha"]),
    ]


def test_teams_never_share_a_copy(cast):
    read(source(cast.team), {"a.md": text("Alpha")})
    read(source(cast.rival), {"a.md": text("Alpha")})
    assert Document.objects.filter(copy_of=None).count() == 2


def test_a_source_goes_with_everything_and_its_copies_elsewhere_stay(cast):
    first, second = source(cast.team, "one"), source(cast.team, "two")
    read(first, {"a.md": text("Alpha"), "z.md": text("Zeta")})
    read(second, {"b.md": text("Alpha")})
    remove_source(actor=cast.lead, source=first, reason="It moved.")
    assert list(Document.objects.values_list("path", "copy_of")) == [("b.md", None)]
    assert paths(ask(cast.member, cast.team, "alpha")) == ["b.md"]
    assert not ask(cast.member, cast.team, "zeta").hits
