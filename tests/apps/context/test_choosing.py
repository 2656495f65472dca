"""What a search by words ranks: never so little that something demanded, rare, or everything at once is missed.

The bounds of `context_text` are made small here, so that a few chunks are as many as a hundred thousand.
"""

import re

import pytest
from django.db import connection

from registry.context import queries
from registry.context.models import Chunk
from tenants.principals import SYSTEM
from tenants.scope import tenant_scope
from tests.apps.context.bringing import ask, paths, read, source

pytestmark = pytest.mark.django_db

COMMON = ["gateway", "token", "policy", "tenant", "audit"]


def bounded(**bounds):
    """Makes the function anew with other bounds, for this test's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('context_text'::regproc)")
        text = cursor.fetchone()[0]
        for name, value in bounds.items():
            text, count = re.subn(rf"\b{name} CONSTANT integer := \d+", f"{name} CONSTANT integer := {value}", text)
            assert count == 1
        cursor.execute(text)


def document(*words, title="Page"):
    return f"# {title}\n\n{' '.join(words)}.\n"


def many(owner, count=20, **others):
    """Documents that all have the common words, each with a number of its own; and some that are named."""
    pages = {f"{n:02}.md": document(*COMMON, f"number{n}") for n in range(count)}
    read(source(owner), {**pages, **others})


def test_of_what_has_a_rare_word_nothing_is_left_out_however_frequent_the_others_are(cast):
    many(cast.team)
    bounded(enough=6, bound=8, few=2)
    for n in (0, 7, 19):
        assert paths(ask(cast.member, cast.team, f"gateway token number{n}", mode="text"))[0] == f"{n:02}.md"


def test_a_demanded_phrase_is_in_every_hit_and_no_hit_that_has_it_is_hidden(cast):
    many(cast.team, **{f"z{n}.md": document("the token gateway is shut", *COMMON, f"door{n}") for n in range(3)})
    bounded(enough=6, bound=8, few=2)
    for question in ('"token gateway"', '"token gateway" policy audit', '"token gateway" number7'):
        assert sorted(paths(ask(cast.member, cast.team, question, mode="text"))) == ["z0.md", "z1.md", "z2.md"]
    assert not ask(cast.member, cast.team, '"token gateway" -shut', mode="text").hits


def test_frequent_words_alone_find_what_has_them_together(cast):
    pages = {f"{n:02}.md": document("gateway", f"number{n}") for n in range(10)}
    pages |= {f"{n:02}.md": document("policy", f"number{n}") for n in range(10, 20)}
    read(source(cast.team), {**pages, "both.md": document("gateway and policy")})
    bounded(enough=6, bound=8, few=1)
    assert paths(ask(cast.member, cast.team, "policy gateway", mode="text")) == ["both.md"]


def test_frequent_words_that_are_never_together_still_find_something(cast):
    pages = {f"{n:02}.md": document("gateway" if n % 2 else "policy", f"number{n}") for n in range(20)}
    read(source(cast.team), pages)
    bounded(enough=6, bound=8, few=4)
    assert len(ask(cast.member, cast.team, "gateway policy", mode="text", limit=50).hits) >= 4


def test_what_others_have_does_not_count_as_frequent_and_is_not_chosen(cast):
    many(cast.rival)
    read(source(cast.team), {"own.md": document("gateway", "token")})
    bounded(enough=6, bound=8, few=2)
    everybody = frozenset({cast.team.pk, cast.rival.pk})
    assert paths(ask(cast.member, everybody, "gateway token", mode="text", limit=50)) == ["own.md"]


def test_words_that_were_not_counted_yet_are_found(cast):
    many(cast.team)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM registry_word")
    assert paths(ask(cast.member, cast.team, "number17", mode="text")) == ["17.md"]


def test_a_path_is_found_by_its_steps(cast):
    read(source(cast.team), {"a.md": document("the network of aws and its vpc"), "b.md": document("something else")})
    assert paths(ask(cast.member, cast.team, "modules/aws/network/vpc", mode="text")) == ["a.md"]


def test_within_the_bounds_the_order_is_that_of_everything_ranked(cast):
    """The slow reference: the same function with bounds that nothing reaches."""
    read(
        source(cast.team),
        {f"{n:02}.md": document(*(COMMON * 2)[n % 5 : n % 5 + 1 + n % 4], f"number{n % 6}") for n in range(30)},
    )
    questions = ["gateway", "number3 gateway", "token policy audit", "number1 number2", "tenant number5 token"]
    reach = frozenset({cast.team.pk})

    def answers():
        with tenant_scope(reach):
            found = [
                queries.search(SYSTEM, queries.Question(text=text, owners=reach, mode="text", limit=50))
                for text in questions
            ]
        return [[(hit.path, round(hit.score, 9)) for hit in answer.hits] for answer in found]

    bounded(enough=10**6, bound=10**6, few=10**6)
    everything = answers()
    assert all(everything)
    bounded(enough=60, bound=60, few=1)
    assert answers() == everything
    bounded(enough=6, bound=8, few=2)
    for few, all_of_them in zip(answers(), everything, strict=True):
        assert 0 < len(few) <= 8 + 6
        assert {path for path, _score in few} <= {path for path, _score in all_of_them}


def test_the_index_of_vectors_gives_what_one_by_one_gives_and_keeps_the_line(cast):
    read(source(cast.team), {f"{n}.md": document("gateway", f"number{n}") for n in range(9)})
    read(source(cast.rival), {f"r{n}.md": document("gateway", f"number{n}") for n in range(3)})
    team, rival = cast.team.pk, cast.rival.pk
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE registry_chunk SET embedded_with = 'all-MiniLM-L6-v2', embedding ="
            " (SELECT array_agg(sin(registry_chunk.id * i) ORDER BY i) FROM generate_series(1, 384) i)::real[]::halfvec"
        )
        one_by_one = nearest(cursor, "*", [team])
        cursor.execute("SELECT pg_get_functiondef('context_vector'::regproc)")
        text = cursor.fetchone()[0].replace("many CONSTANT integer := 20000", "many CONSTANT integer := 1")
        assert "many CONSTANT integer := 1;" in text
        cursor.execute(text)
        assert len(one_by_one) == 5
        assert nearest(cursor, "*", [team]) == one_by_one
        shown = {chunk for chunk, _score in nearest(cursor, f"{{{rival}}}", [team, rival])}
    with tenant_scope([rival]):
        assert shown == {row.pk for row in Chunk.objects.visible_to(SYSTEM).filter(owner=rival)}


def nearest(cursor, scope, owners):
    cursor.execute("SELECT set_config('hanse.scope', %s, true)", [scope])
    cursor.execute(
        "SELECT chunk, round(score::numeric, 5) FROM context_vector(%s, (SELECT array_agg(cos(i) ORDER BY i)"
        " FROM generate_series(1, 384) i)::real[]::halfvec, 'all-MiniLM-L6-v2', NULL, NULL, 3, 5)",
        [owners],
    )
    return cursor.fetchall()
