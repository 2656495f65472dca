"""Asks for what other teams have, 100,000 times: in statements of many questions each, and as a search is made.

Each team's documents have words that all have and one word for each document that nobody else has. Every question names a
word that another team planted, or asks with the very vector of another team's chunk, so every one of them could leak.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from django.db import connection

from portal.bench.figures import Figure
from registry.context import queries
from registry.context.embedding.provider import embedder
from registry.context.languages import SPOKEN
from tenants.access import Access
from tenants.models import Tenant
from tenants.principals import SYSTEM, Principal
from tenants.scope import ALL, tenant_scope

_AT_ONCE: Final = 250
_SEARCHED: Final = 20
"""One question in so many is asked as a search is made, with its statement around both functions."""
_CONTROLLED: Final = 4
"""One planted word in so many is asked for by its owner, who must find it."""

_BY_TEXT: Final = """
SELECT q.n, t.chunk FROM jsonb_to_recordset(%(questions)s::jsonb)
       AS q(n int, question text, required text[], excluded text[], starts text[]),
       LATERAL context_text(%(owners)s, %(languages)s, q.question, q.required, q.excluded, q.starts, NULL, NULL, 3, 50) t
"""
_BY_VECTOR: Final = """
SELECT q.n, v.chunk FROM jsonb_to_recordset(%(questions)s::jsonb) AS q(n int, vector text),
       LATERAL context_vector(%(owners)s, q.vector::halfvec, %(model)s, NULL, NULL, 3, 50) v
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One team, its words that nobody else has, and its chunks with their vectors."""

    team: Tenant
    words: tuple[str, ...]
    chunks: frozenset[int]
    vectors: tuple[str, ...]


def word_of(team: int, document: int) -> str:
    """Returns the word that stands in one document only; a name in code, so that it is found by its beginning, too."""
    return f"planted{team}x{document}q"


def planted(teams: Sequence[Tenant], documents: int) -> list[Planted]:
    """Returns what stands in the teams' documents. They were read and embedded before."""
    found = []
    for number, team in enumerate(teams):
        with tenant_scope(ALL), connection.cursor() as cursor:
            cursor.execute("SELECT id, embedding::text FROM registry_chunk WHERE owner_id = %s ORDER BY id", [team.pk])
            rows = cursor.fetchall()
        found.append(
            Planted(
                team=team,
                words=tuple(word_of(number, document) for document in range(documents)),
                chunks=frozenset(pk for pk, _vector in rows),
                vectors=tuple(vector for _pk, vector in rows if vector is not None),
            )
        )
    return found


def leaks(rows: Sequence[Planted], questions: int, chance: random.Random, common: Sequence[str]) -> Iterator[Figure]:
    """Yields how many questions were asked and what they leaked. Raises when they show little: owners do not find, too."""
    _check_that_owners_find(rows)
    everybody = sorted(row.team.pk for row in rows)
    searched = questions // _SEARCHED
    by_vector = (questions - searched) // 3 if rows[0].vectors else 0
    leaked = found = 0
    for number in range(searched):
        leak, hits = _searched(rows, number, chance, common, frozenset(everybody))
        leaked, found = leaked + leak, found + hits
    for kind, count in (("text", questions - searched - by_vector), ("vector", by_vector)):
        for begin in range(0, count, _AT_ONCE):
            own = rows[(begin // _AT_ONCE) % len(rows)]
            others = [row for row in rows if row is not own]
            asked = [_asked(kind, n, others, chance, common) for n in range(min(_AT_ONCE, count - begin))]
            shown = _shown(kind, asked, own, everybody)
            leaked += sum(chunk not in own.chunks for _n, chunk in shown)
            found += len({n for n, _chunk in shown})
    if found < questions // 2:
        raise RuntimeError(f"only {found} of {questions} questions found anything, so they show little")
    yield Figure(name="questions for what others planted", value=questions, unit="", digits=0)
    yield Figure(name="of them, questions that found something of one's own", value=found, unit="", digits=0)
    yield Figure(name="chunks of another team in all answers", value=leaked, unit="", target=0, digits=0)


def _check_that_owners_find(rows: Sequence[Planted]) -> None:
    """The control: the same words, asked for by the team that has them, find its chunks."""
    for row in rows:
        with tenant_scope([row.team.pk]):
            for word in islice(row.words, 0, None, _CONTROLLED):
                question = queries.Question(text=word, owners=frozenset({row.team.pk}), mode="text")
                hits = queries.search(SYSTEM, question).hits
                if not hits or word not in hits[0].text:
                    raise RuntimeError(
                        f"{row.team.slug} does not find its own {word}, so nothing is shown by others not finding it"
                    )


def _searched(
    rows: Sequence[Planted], number: int, chance: random.Random, common: Sequence[str], everybody: frozenset[int]
) -> tuple[int, bool]:
    """Asks as a search is made, with one of the two lines at a time: the other is told that everything may be seen."""
    own = rows[number % len(rows)]
    other = rows[(number + 1 + number // 3 % (len(rows) - 1)) % len(rows)]
    # Few different words, so that most vectors are remembered and the time goes into searches.
    text = f"{chance.choice(common[:10])} {other.words[number % 5]}"
    question = queries.Question(text=text, owners=everybody, mode="hybrid" if number % 2 else "text", limit=50)
    viewer = Principal(person=None, access=Access(visible=frozenset({own.team.pk})))
    by_query = number % 4 < 2
    with tenant_scope(everybody if by_query else [own.team.pk]):
        hits = queries.search(viewer if by_query else SYSTEM, question).hits
    return sum(hit.owner != own.team.slug for hit in hits), bool(hits)


def _asked(
    kind: str, number: int, others: Sequence[Planted], chance: random.Random, common: Sequence[str]
) -> dict[str, Any]:
    other = chance.choice(others)
    if kind == "vector":
        return {"n": number, "vector": chance.choice(other.vectors)}
    word = chance.choice(other.words)
    parts = [*chance.choices(common, k=chance.randint(1, 4)), word]
    phrase, without, begun = chance.random() < 0.1, chance.random() < 0.1, chance.random() < 0.2
    return {
        "n": number,
        "question": " ".join(parts),
        "required": [chance.choice([parts[0], word])] if phrase else [],
        "excluded": [chance.choice(common)] if without else [],
        "starts": [word[:9]] if begun else [],
    }


def _shown(kind: str, asked: Sequence[dict[str, Any]], own: Planted, everybody: Sequence[int]) -> list[tuple[int, int]]:
    """Returns which chunks the functions gave out for which question. All teams are asked for; the scope is one's own."""
    chosen = embedder()
    values: dict[str, Any] = {
        "questions": json.dumps(asked),
        "owners": everybody,
        "languages": list(SPOKEN),
        "model": chosen.name if chosen else "",
    }
    with tenant_scope([own.team.pk]), connection.cursor() as cursor:
        cursor.execute(_BY_TEXT if kind == "text" else _BY_VECTOR, values)
        return [(int(number), int(chunk)) for number, chunk in cursor.fetchall()]
