"""Gives chunks their vectors, some at a time. A chunk without one is found by its words all the while."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.db import connection

from registry.context.embedding.provider import Embedder, as_text
from registry.context.models import Chunk
from tenants.scope import ALL, tenant_scope

AT_ONCE: Final = 16
MAX_WORKERS: Final = 2
"""How many workers embed at the same time; the others stay free for what people wait for."""
_LONGEST: Final = 4_000
_PLACES: Final = 0x656D6264


def has_vectors() -> bool:
    """Tells whether the database can keep vectors: the extension is there and was prepared for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regproc('context_vector') IS NOT NULL")
        return bool(cursor.fetchone()[0])


def fill(embedder: Embedder) -> int:
    """Returns how many chunks got a vector now; 0 when none is left, or enough workers are at it.

    No transaction is open while a model works, which may take its time.
    """
    place = _take_place()
    if place is None:
        return 0
    try:
        with tenant_scope(ALL):
            waiting = Chunk.objects.filter(withheld=False, embedded_with="").only("id", "heading", "text")
            rows = list(waiting.order_by("id" if place == 0 else "-id")[:AT_ONCE])
        if rows:
            vectors = embedder.embed([text_of(row.heading, row.text) for row in rows])
            with tenant_scope(ALL):
                _write(embedder.name, [(row.pk, as_text(vector)) for row, vector in zip(rows, vectors, strict=True)])
        return len(rows)
    finally:
        _leave_place(place)


def fill_all(embedder: Embedder) -> None:
    """Embeds everything that waits, on as many cores as there are; for commands, whose caller waits for the end."""
    workers = min(os.cpu_count() or 1, MAX_WORKERS)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for done in [pool.submit(_fill_until_none_is_left, embedder) for _worker in range(workers)]:
            done.result()


def _fill_until_none_is_left(embedder: Embedder) -> None:
    try:
        while fill(embedder):
            pass
    finally:
        connection.close()


def text_of(heading: list[str], text: str) -> str:
    """Returns what is embedded of a chunk: its place, then its words."""
    place = " > ".join(heading)
    return f"{place}\n{text}"[:_LONGEST] if place else text[:_LONGEST]


def _take_place() -> int | None:
    """Returns the place that this worker has now. It is the connection's, so it is free when the worker dies."""
    with connection.cursor() as cursor:
        for place in range(MAX_WORKERS):
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_PLACES, place])
            if cursor.fetchone()[0]:
                return place
    return None


def _leave_place(place: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_PLACES, place])


def _write(name: str, vectors: list[tuple[int, str]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE registry_chunk SET embedding = %s::halfvec, embedded_with = %s WHERE id = %s AND embedded_with = ''",
            [(vector, name, pk) for pk, vector in vectors],
        )


def start_anew(name: str) -> int:
    """Returns how many vectors of other models were dropped, so that everything is embedded with this one."""
    with tenant_scope(ALL), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE registry_chunk SET embedding = NULL, embedded_with = '' WHERE embedded_with NOT IN (%s, '')", [name]
        )
        return int(cursor.rowcount)
