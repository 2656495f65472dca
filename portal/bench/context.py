"""Reading documents, embedding them, and searching 100,000 chunks: in an installation of its own, under the portal's role."""

import hashlib
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil
from django.db import connection
from dulwich import porcelain

from kernel import clock
from portal.bench import leaks, machine
from portal.bench.figures import Figure, Report
from portal.bench.installation import connect, installed, server_version
from portal.config import Config
from registry.context import queries
from registry.context.embedding.minilm import DIMENSIONS
from registry.context.embedding.provider import as_text, embedder
from registry.context.entries import Entry
from registry.context.filling import AT_ONCE, fill, fill_all, has_vectors
from registry.context.keeping import count_words
from registry.context.models import Source
from registry.context.places import from_checkout
from registry.context.reading.formats import VERSION
from registry.context.services.imports import begin_import
from registry.context.services.sources import add_source
from registry.context.working import work_on
from tenants.models import Tenant
from tenants.principals import SYSTEM
from tenants.rules import Concern, Tier
from tenants.scope import ALL, tenant_scope
from tenants.services import create_tenant

DOCUMENTS: Final = 5_000
READ: Final = 1_000
"""So many documents are read; the others are put in place as if they were, so that reading them again has 5,000 to compare."""
CHUNKS: Final = 100_000
DOMAINS: Final = 5
TEAMS: Final = 70
QUESTIONS: Final = 200
LEAK_QUESTIONS: Final = 100_000
_EMBEDDED: Final = 64
_TEXTS: Final = 10_000
_WORDS: Final = 20_000
_SLICE: Final = 600.0
_PLANTED: Final = 20
_COMPARED: Final = 50


def measure(*, quick: bool = False) -> Report:
    """Returns the figures. Raises when something that was read cannot be found, or something else can."""
    documents, read, chunks, questions, asked = (
        (40, 30, 2_000, 8, 300) if quick else (DOCUMENTS, READ, CHUNKS, QUESTIONS, LEAK_QUESTIONS)
    )
    chance = random.Random(7)  # noqa: S311 - made-up text
    words = _vocabulary(chance)
    with installed() as config:
        connect(config, "app")
        owners = _owners()
        # What is asked for others' words comes first: every chunk of it is embedded, and there are few as yet.
        figures = [
            *_leaking(asked, chance, words),
            *_reading(config, owners[0], documents, read, chance, words),
            *_embedding(AT_ONCE if quick else _EMBEDDED),
            *_searching(config, owners, chunks, questions, chance, words),
        ]
        described = machine.describe(config.data, postgresql=server_version(config))
    notes = [
        (
            f"{documents:,} Markdown documents in a git repository: {read:,} are read, the others put in place as if they were, for"
            " reading all again"
        ),
        (
            f"{chunks:,} chunks: a tenth of the platform's, a twenty-fifth of each of {DOMAINS} domains, the rest of {TEAMS} teams;"
            f" {min(_TEXTS, chunks):,} different texts of made-up words by Zipf's law, and made-up vectors, because embedding so many"
            " takes hours"
        ),
        f"a team's reach is the platform, two domains and itself; {questions} questions of 2 to 9 words for each case",
        "searches under the portal's database role, row level security in force; vector and hybrid embed their questions",
        (
            "questions for what others planted: a third by another team's vector, a twentieth as a search is made, the rest by text,"
            " many in one statement; each owner finds what it planted"
        ),
    ]
    return Report(bench="context", machine=described, figures=figures, notes=notes)


def _owners() -> list[Tenant]:
    with tenant_scope(ALL):
        platform = create_tenant(actor=SYSTEM, tier=Tier.PLATFORM, slug="platform", name="Platform")
        domains = [
            create_tenant(
                actor=SYSTEM, tier=Tier.DOMAIN, slug=f"domain-{n}", name=f"Domain {n}", concern=Concern.TECHNICAL
            )
            for n in range(DOMAINS)
        ]
        teams = [create_tenant(actor=SYSTEM, tier=Tier.TEAM, slug=f"team-{n}", name=f"Team {n}") for n in range(TEAMS)]
    return [platform, *domains, *teams]


# Reading


def _reading(
    config: Config, owner: Tenant, documents: int, read: int, chance: random.Random, words: Sequence[str]
) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        repository = porcelain.init(folder)
        texts = {f"{number:05}.md": _document(chance, words).encode() for number in range(documents)}
        for path, text in texts.items():
            Path(folder, path).write_bytes(text)
        porcelain.add(repository)
        porcelain.commit(
            repository, message=b"Documents", author=b"Bench <bench@localhost>", committer=b"Bench <bench@localhost>"
        )
        with tenant_scope(ALL):
            source = add_source(actor=SYSTEM, owner=owner, slug="bench", name="Bench")
        first = itertools.islice(from_checkout(repository).entries, read)
        taken = _timed(lambda: _import(source, first))
        yield Figure(name="Markdown documents read", value=read / taken, unit="documents/s", target=20, at_most=False)
        _put_in_place(config, source, texts)
        commit = repository.head().decode()
        again = _timed(lambda: _import(source, from_checkout(repository).entries))
        yield Figure(name="the same again, every document compared", value=again, unit="s", target=20)
        again = _timed(lambda: _import(source, from_checkout(repository, commit).entries))
        yield Figure(name="the same again, by commit", value=again, unit="s", target=20)


def _put_in_place(config: Config, source: Source, texts: dict[str, bytes]) -> None:
    """Notes the documents that were not read as read."""
    connect(config, "owner")
    values: dict[str, Any] = {
        "source": source.pk,
        "owner": source.owner_id,
        "reading": VERSION,
        "paths": list(texts),
        "digests": [hashlib.sha256(text).hexdigest() for text in texts.values()],
    }
    with tenant_scope(ALL), connection.cursor() as cursor:
        cursor.execute(_NOTE_DOCUMENTS, values)
    connect(config, "app")


_NOTE_DOCUMENTS: Final = """
INSERT INTO registry_document (uid, source_id, owner_id, path, title, format, digest, reading, commit, language, sensitivity,
                               marks, chunk_count, withheld_count, changed_at, read_at)
SELECT gen_random_uuid(), %(source)s, %(owner)s, t.path, '', 'markdown', t.digest, %(reading)s, '', 'english', 1, '{}', 0, 0, now(), now()
  FROM unnest(%(paths)s::text[], %(digests)s::text[]) t(path, digest)
ON CONFLICT DO NOTHING
"""


def _import(source: Source, entries: Iterator[Entry]) -> None:
    with tenant_scope(ALL):
        row = begin_import(actor=SYSTEM, source=source, entries=entries)
    while work_on(row.pk, seconds=_SLICE):
        pass
    with tenant_scope(ALL):
        if (counts := queries.progress_of(SYSTEM, [row])[row.pk])["failed"] or counts["waiting"]:
            raise RuntimeError(f"not everything was read: {counts}")


def _embedding(chunks: int) -> Iterator[Figure]:
    chosen = embedder()
    if chosen is None:
        raise RuntimeError("there is no embedding to be measured")
    process = psutil.Process()
    before = process.memory_info().rss
    chosen.embed(["so that loading is not measured"])
    begin, spent = time.perf_counter(), time.process_time()
    done = 0
    while done < chunks and (more := fill(chosen)):
        done += more
    spent, taken = time.process_time() - spent, time.perf_counter() - begin
    yield Figure(
        name="chunks embedded, of one core's time",
        value=done / spent * 60,
        unit="chunks/min",
        target=200,
        at_most=False,
        digits=0,
    )
    yield Figure(name="chunks embedded, by the clock", value=done / taken * 60, unit="chunks/min", digits=0)
    yield Figure(
        name="memory that the embedding adds (RSS)",
        value=(process.memory_info().rss - before) / 1e6,
        unit="MB",
        digits=0,
    )


# Searching


def _searching(
    config: Config, owners: Sequence[Tenant], chunks: int, questions: int, chance: random.Random, words: Sequence[str]
) -> Iterator[Figure]:
    chosen = embedder()
    connect(config, "owner")
    _fill_up(owners, chunks, chance, words, chosen.name if chosen else "")
    connect(config, "app")
    platform, domains, teams = owners[0], owners[1 : DOMAINS + 1], owners[DOMAINS + 1 :]
    everything = [frozenset(owner.pk for owner in owners)]
    reach = [
        frozenset({platform.pk, domains[n % DOMAINS].pk, domains[(n + 1) % DOMAINS].pk, team.pk})
        for n, team in enumerate(teams)
    ]
    targets: dict[queries.Mode, float | None] = {"text": 50, "vector": None, "hybrid": 120}
    for name, reaches in (("a team's reach", reach), ("all chunks visible", everything)):
        for mode, target in targets.items():
            taken = []
            for number in range(questions):
                asked = " ".join(chance.choices(words, cum_weights=_WEIGHTS, k=chance.randint(2, 9)))
                question = queries.Question(text=asked, owners=reaches[number % len(reaches)], mode=mode)
                taken.append(_timed(partial(_asked, question)) * 1000)
            yield Figure(name=f"{mode}, {name}, p95", value=_p95(taken), unit="ms", target=target, digits=1)
            yield Figure(name=f"{mode}, {name}, p50", value=statistics.median(taken), unit="ms", digits=1)
    if has_vectors() and chosen is not None:
        yield _nearest(config, sorted(everything[0]), chosen.name)


def _asked(question: queries.Question) -> queries.Answer:
    with tenant_scope(question.owners):
        return queries.search(SYSTEM, question)


def _nearest(config: Config, owners: list[int], model: str) -> Figure:
    """How many of the ten nearest chunks are found where an index gives them, for vectors of chunks moved a little."""
    connect(config, "owner")
    with tenant_scope(ALL), connection.cursor() as cursor:
        cursor.execute(_NEAREST, {"owners": owners, "model": model, "compared": _COMPARED})
        shared = float(cursor.fetchone()[0])
    return Figure(name="of the ten nearest of all chunks, found by the index", value=shared, unit="")


_NEAREST: Final = """
SELECT avg((SELECT count(*) FROM context_vector(%(owners)s, q.vector, %(model)s, NULL, NULL, 3, 10) n WHERE n.chunk = ANY(q.exact)) / 10.0)
  FROM (SELECT a.vector, ARRAY(SELECT c.id FROM registry_chunk c WHERE c.embedded_with = %(model)s AND NOT c.withheld
                                  AND c.owner_id = ANY(%(owners)s) ORDER BY c.embedding <=> a.vector LIMIT 10) AS exact
          FROM (SELECT x.embedding + y.embedding AS vector FROM registry_chunk x JOIN registry_chunk y ON y.id = x.id + 7
                 WHERE x.embedded_with = %(model)s AND y.embedded_with = %(model)s AND x.id %% 997 = 0 LIMIT %(compared)s) a) q
"""


def _fill_up(owners: Sequence[Tenant], chunks: int, chance: random.Random, words: Sequence[str], model: str) -> None:
    """Puts chunks straight into the table, because embedding so many takes hours: words by Zipf's law, vectors by chance."""
    texts = [
        " ".join(chance.choices(words, cum_weights=_WEIGHTS, k=chance.randint(60, 170)))
        for _n in range(min(_TEXTS, chunks))
    ]
    vectors = [as_text([chance.gauss(0, 0.05) for _place in range(DIMENSIONS)]) for _n in range(500)]
    shares = {Tier.PLATFORM: 0.1, Tier.DOMAIN: 0.04, Tier.TEAM: (0.9 - 0.04 * DOMAINS) / TEAMS}
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX chunk_words; DROP INDEX IF EXISTS chunk_near")
        cursor.execute(_ADD_TEXTS, {"texts": texts, "vectors": vectors})
        for owner in owners:
            with tenant_scope(ALL):
                source = add_source(actor=SYSTEM, owner=owner, slug="many", name="Many")
                n = round(chunks * shares[Tier(owner.tier)])
                values: dict[str, Any] = {
                    "source": source.pk,
                    "owner": owner.pk,
                    "model": model,
                    "n": n,
                    "most": len(texts),
                }
                cursor.execute(_ADD_DOCUMENTS, values)
                cursor.execute(_ADD_CHUNKS, values)
                count_words(owner.pk)
        cursor.execute("SET maintenance_work_mem = '512MB'")
        cursor.execute("CREATE INDEX chunk_words ON registry_chunk USING gin (tsv) WITH (fastupdate = off)")
        cursor.execute("SELECT context_prepare_vectors()")
        cursor.execute("VACUUM (ANALYZE) registry_chunk")
        cursor.execute("VACUUM (ANALYZE) registry_word")


_ADD_TEXTS: Final = """
CREATE TEMP TABLE texts AS SELECT t.n, t.text, context_tsv('english', 'Part', t.text, '') AS tsv
  FROM unnest(%(texts)s::text[]) WITH ORDINALITY t(text, n);
CREATE UNIQUE INDEX ON texts (n);
CREATE TEMP TABLE vectors AS SELECT v.n, v.vector::halfvec AS vector FROM unnest(%(vectors)s::text[]) WITH ORDINALITY v(vector, n);
CREATE UNIQUE INDEX ON vectors (n);
ANALYZE texts, vectors;
"""
_ADD_DOCUMENTS: Final = """
INSERT INTO registry_document (uid, source_id, owner_id, path, title, format, digest, reading, commit, language, sensitivity,
                               marks, chunk_count, withheld_count, changed_at, read_at)
SELECT gen_random_uuid(), %(source)s, %(owner)s, 'many/' || n || '.md', 'Document ' || n, 'markdown', md5(%(owner)s || '-' || n), 1, '',
       'english', 1, '{}', 20, 0, now(), now() FROM generate_series(1, %(n)s / 20 + 1) n
"""
_ADD_CHUNKS: Final = """
INSERT INTO registry_chunk (uid, document_id, source_id, owner_id, key, digest, ordinal, heading, text, line, page, words, language,
                            sensitivity, changed_at, withheld, marks, tsv, embedded_with, embedding)
SELECT gen_random_uuid(), d.id, %(source)s, %(owner)s, md5('k' || i), md5('d' || i), i, ARRAY['Part ' || i], t.text, i, 0, 120, 'english',
       1, now(), false, '{}', t.tsv, %(model)s, v.vector + w.vector
  FROM generate_series(1, %(n)s) i
  JOIN texts t ON t.n = 1 + (i * 7919 + %(owner)s * 104729) %% %(most)s
  JOIN vectors v ON v.n = 1 + i %% 500 JOIN vectors w ON w.n = 1 + (i * 7 + %(owner)s) %% 499
  JOIN registry_document d ON d.source_id = %(source)s AND d.path = 'many/' || ((i - 1) / 20 + 1) || '.md'
"""


# Leaking


def _leaking(questions: int, chance: random.Random, words: Sequence[str]) -> Iterator[Figure]:
    """Reads a few documents of three teams, each with words that all have and one of its own, and asks for the others'."""
    common = words[:40]
    with tenant_scope(ALL):
        teams = [create_tenant(actor=SYSTEM, tier=Tier.TEAM, slug=f"leak-{n}", name=f"Leak {n}") for n in range(3)]
        sources = [add_source(actor=SYSTEM, owner=team, slug="leak", name="Leak") for team in teams]
    for number, source in enumerate(sources):
        entries = [
            Entry(
                path=f"{n}.md",
                content=f"# Part\n\n{' '.join(chance.choices(common, k=60))} {leaks.word_of(number, n)}\n".encode(),
                changed_at=clock.now(),
            )
            for n in range(_PLANTED)
        ]
        _import(source, iter(entries))
    chosen = embedder()
    if chosen is not None:
        fill_all(chosen)
    yield from leaks.leaks(leaks.planted(teams, _PLANTED), questions, chance, common)


# Made-up text


def _vocabulary(chance: random.Random) -> list[str]:
    syllables = [first + last for first in "bdfgklmnprstvz" for last in ("a", "e", "i", "o", "u", "an", "er", "is")]
    words = dict.fromkeys("".join(chance.choices(syllables, k=chance.randint(2, 4))) for _n in range(_WORDS * 2))
    return list(words)[:_WORDS]


_WEIGHTS: Final = list(itertools.accumulate(1 / (place + 8) for place in range(_WORDS)))
"""Zipf's law, added up as `random.choices` wants it: adding 20,000 numbers for each word took hours."""


def _document(chance: random.Random, words: Sequence[str]) -> str:
    """About 4,500 characters: a title, six sections, each with a heading and some paragraphs in English sentences."""
    parts = [f"# {' '.join(chance.choices(words, k=4))}"]
    for _section in range(6):
        parts.append(f"## {' '.join(chance.choices(words, k=3))}")
        sentences = [
            f"The {' '.join(chance.choices(words, cum_weights=_WEIGHTS, k=8))} is in the {chance.choice(words)}."
            for _n in range(8)
        ]
        parts += [" ".join(sentences[:4]), " ".join(sentences[4:])]
    return "\n\n".join(parts) + "\n"


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[max(round(len(values) * 0.95) - 1, 0)]
