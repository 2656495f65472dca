"""Gives chunks their vectors, some at a time. A chunk without one is found by its words all the while."""

from typing import Final

from django.db import connection, transaction

from registry.context.embedding.provider import Embedder, as_text
from registry.context.models import Chunk
from tenants.scope import ALL, tenant_scope

AT_ONCE: Final = 16
MAX_WORKERS: Final = 2
"""How many workers embed at the same time; the others stay free for what people wait for."""
_LONGEST: Final = 4_000


def has_vectors() -> bool:
    """Tells whether the database can keep vectors: the extension is there and was prepared for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regproc('context_vector') IS NOT NULL")
        return bool(cursor.fetchone()[0])


def fill(embedder: Embedder) -> int:
    """Returns how many chunks got a vector now; 0 when none is left, or enough workers are at it."""
    with tenant_scope(ALL), transaction.atomic():
        if not _has_place():
            return 0
        rows = list(
            Chunk.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(withheld=False, embedded_with="")
            .order_by("owner", "id")
            .only("id", "heading", "text")[:AT_ONCE]
        )
        if rows:
            vectors = embedder.embed([text_of(row.heading, row.text) for row in rows])
            _write(embedder.name, [(row.pk, as_text(vector)) for row, vector in zip(rows, vectors, strict=True)])
        return len(rows)


def text_of(heading: list[str], text: str) -> str:
    """Returns what is embedded of a chunk: its place, then its words."""
    place = " > ".join(heading)
    return f"{place}\n{text}"[:_LONGEST] if place else text[:_LONGEST]


def _has_place() -> bool:
    with connection.cursor() as cursor:
        for place in range(MAX_WORKERS):
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended('context embedding', %s))", [place])
            if cursor.fetchone()[0]:
                return True
    return False


def _write(name: str, vectors: list[tuple[int, str]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE registry_chunk SET embedding = %s::halfvec, embedded_with = %s WHERE id = %s",
            [(vector, name, pk) for pk, vector in vectors],
        )


def start_anew(name: str) -> int:
    """Returns how many vectors of other models were dropped, so that everything is embedded with this one."""
    with tenant_scope(ALL), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE registry_chunk SET embedding = NULL, embedded_with = '' WHERE embedded_with NOT IN (%s, '')", [name]
        )
        return int(cursor.rowcount)
