"""Reading documents, embedding them, and searching 100,000 chunks: in an installation of its own, under the portal's role."""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import psutil
from django.db import connection
from dulwich import porcelain

from kernel import clock
from portal.bench import machine
from portal.bench.figures import Figure, Report
from portal.bench.installation import connect, installed, server_version
from portal.config import Config
from registry.context import queries
from registry.context.embedding.minilm import DIMENSIONS
from registry.context.embedding.provider import as_text, embedder
from registry.context.entries import Entry
from registry.context.filling import AT_ONCE, fill, fill_all
from registry.context.keeping import count_words
from registry.context.models import Source
from registry.context.places import from_checkout
from registry.context.services.imports import begin_import
from registry.context.services.sources import add_source
from registry.context.working import work_on
from tenants.access import Access
from tenants.models import Tenant
from tenants.principals import SYSTEM, Principal
from tenants.rules import Concern, Tier
from tenants.scope import ALL, tenant_scope
from tenants.services import create_tenant

DOCUMENTS: Final = 5_000
CHUNKS: Final = 100_000
TEAMS: Final = 20
QUESTIONS: Final = 400
LEAK_QUESTIONS: Final = 100_000
_WORDS: Final = 20_000
_SLICE: Final = 600.0


def measure(*, quick: bool = False) -> Report:
    """Returns the figures. Raises when something that was read cannot be found, or something else can."""
    documents, chunks, questions, asked = (
        (60, 2_000, 20, 500) if quick else (DOCUMENTS, CHUNKS, QUESTIONS, LEAK_QUESTIONS)
    )
    chance = random.Random(7)  # noqa: S311 - made-up text
    words = _vocabulary(chance)
    with installed() as config:
        connect(config, "app")
        owners = _owners()
        figures = [
            *_reading(owners[0], documents, chance, words),
            *_embedding(AT_ONCE if quick else AT_ONCE * 8),
            *_leaking(asked, chance, words),
            *_searching(config, owners, chunks, questions, chance, words),
        ]
        described = machine.describe(config.data, postgresql=server_version(config))
    notes = [
        f"{documents:,} Markdown documents in a git repository, {chunks:,} chunks of {len(owners)} owners, {questions} questions",
        "searches under the portal's database role, row level security in force; the hybrid one embeds its question",
    ]
    return Report(bench="context", machine=described, figures=figures, notes=notes)


def _owners() -> list[Tenant]:
    with tenant_scope(ALL):
        platform = create_tenant(actor=SYSTEM, tier=Tier.PLATFORM, slug="platform", name="Platform")
        domain = create_tenant(actor=SYSTEM, tier=Tier.DOMAIN, slug="domain", name="Domain", concern=Concern.TECHNICAL)
        teams = [create_tenant(actor=SYSTEM, tier=Tier.TEAM, slug=f"team-{n}", name=f"Team {n}") for n in range(TEAMS)]
    return [platform, domain, *teams]


# Reading


def _reading(owner: Tenant, documents: int, chance: random.Random, words: Sequence[str]) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        repository = porcelain.init(folder)
        for number in range(documents):
            Path(folder, f"{number:05}.md").write_text(_document(chance, words), encoding="utf-8")
        porcelain.add(repository)
        porcelain.commit(
            repository, message=b"Documents", author=b"Bench <bench@localhost>", committer=b"Bench <bench@localhost>"
        )
        with tenant_scope(ALL):
            source = add_source(actor=SYSTEM, owner=owner, slug="bench", name="Bench", kind=Source.Kind.GIT)
        taken = _timed(lambda: _import(source, from_checkout(repository).entries))
        yield Figure(
            name="Markdown documents read", value=documents / taken, unit="documents/s", target=20, at_most=False
        )
        commit = repository.head().decode()
        again = _timed(lambda: _import(source, from_checkout(repository).entries))
        yield Figure(name="the same again, every document compared", value=again, unit="s", target=20)
        again = _timed(lambda: _import(source, from_checkout(repository, commit).entries))
        yield Figure(name="the same again, by commit", value=again, unit="s", target=20)


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
    platform, domain, *teams = owners
    reach = [frozenset({platform.pk, domain.pk, team.pk}) for team in teams]
    cases: dict[str, tuple[Sequence[frozenset[int]], queries.Mode, float | None]] = {
        "text, all chunks visible": ([frozenset(owner.pk for owner in owners)], "text", 50),
        "hybrid, all chunks visible": ([frozenset(owner.pk for owner in owners)], "hybrid", 120),
        "text, a team's reach": (reach, "text", 50),
        "hybrid, a team's reach": (reach, "hybrid", 120),
    }
    for name, (reaches, mode, target) in cases.items():
        taken = []
        for number in range(questions):
            asked = " ".join(chance.choices(words, weights=_WEIGHTS, k=chance.randint(2, 9)))
            owners_asked = reaches[number % len(reaches)]
            question = queries.Question(text=asked, owners=owners_asked, mode=mode)
            taken.append(_timed(partial(_asked, question)) * 1000)
        yield Figure(name=f"{name}, p95", value=_p95(taken), unit="ms", target=target, digits=1)
        yield Figure(name=f"{name}, p50", value=statistics.median(taken), unit="ms", digits=1)


def _asked(question: queries.Question) -> queries.Answer:
    with tenant_scope(question.owners):
        return queries.search(SYSTEM, question)


def _fill_up(owners: Sequence[Tenant], chunks: int, chance: random.Random, words: Sequence[str], model: str) -> None:
    """Puts chunks straight into the table, because embedding so many takes hours: words by Zipf's law, vectors by chance."""
    vectors = [as_text([chance.gauss(0, 0.05) for _place in range(DIMENSIONS)]) for _n in range(500)]
    each = chunks // len(owners) + 1
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX chunk_words")
    for owner in owners:
        texts = [" ".join(chance.choices(words, weights=_WEIGHTS, k=chance.randint(60, 170))) for _n in range(each)]
        with tenant_scope(ALL), connection.cursor() as cursor:
            source = add_source(actor=SYSTEM, owner=owner, slug="many", name="Many")
            values: dict[str, int | str] = {"source": source.pk, "owner": owner.pk, "model": model}
            cursor.execute(_ADD_DOCUMENTS, {**values, "n": each // 20 + 1})
            cursor.execute(_ADD_CHUNKS, {**values, "texts": texts, "vectors": vectors})
            count_words(owner.pk)
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX chunk_words ON registry_chunk USING gin (tsv) WITH (fastupdate = off)")
        cursor.execute("ANALYZE registry_chunk, registry_document, registry_word")


_ADD_DOCUMENTS: Final = """
INSERT INTO registry_document (uid, source_id, owner_id, path, title, format, digest, reading, commit, language, sensitivity,
                               marks, chunk_count, withheld_count, changed_at, read_at)
SELECT gen_random_uuid(), %(source)s, %(owner)s, 'many/' || n || '.md', 'Document ' || n, 'markdown', md5(%(owner)s || '-' || n), 1, '',
       'english', 1, '{}', 20, 0, now(), now() FROM generate_series(1, %(n)s) n
"""
_ADD_CHUNKS: Final = """
INSERT INTO registry_chunk (uid, document_id, source_id, owner_id, key, digest, ordinal, heading, text, line, page, words, language,
                            sensitivity, changed_at, withheld, marks, tsv, embedded_with, embedding)
SELECT gen_random_uuid(), d.id, %(source)s, %(owner)s, md5('k' || n), md5('d' || n), n, ARRAY['Part ' || n], t.text, n, 0, 120, 'english',
       1, now(), false, '{}', context_tsv('english', 'Part', t.text, ''), %(model)s,
       (%(vectors)s::text[])[1 + n %% 500]::halfvec + (%(vectors)s::text[])[1 + (n * 7 + %(owner)s) %% 499]::halfvec
  FROM unnest(%(texts)s::text[]) WITH ORDINALITY t(text, n)
  JOIN registry_document d ON d.source_id = %(source)s AND d.path = 'many/' || ((n - 1) / 20 + 1) || '.md'
"""


# Leaking


def _leaking(questions: int, chance: random.Random, words: Sequence[str]) -> Iterator[Figure]:
    """Asks for everything there is as somebody who sees one of three teams, with words that all of them have."""
    common = words[:40]
    with tenant_scope(ALL):
        teams = [create_tenant(actor=SYSTEM, tier=Tier.TEAM, slug=f"leak-{n}", name=f"Leak {n}") for n in range(3)]
        sources = [add_source(actor=SYSTEM, owner=team, slug="leak", name="Leak") for team in teams]
    for source in sources:
        entries = [
            Entry(
                path=f"{n}.md",
                content=f"# {source.owner.slug}\n\n{' '.join(chance.choices(common, k=60))}\n".encode(),
                changed_at=clock.now(),
            )
            for n in range(20)
        ]
        _import(source, iter(entries))
    chosen = embedder()
    if chosen is not None:
        fill_all(chosen)
    everybody = frozenset(team.pk for team in teams)
    leaked = found = 0
    for number in range(questions):
        own = teams[number % 3]
        question = queries.Question(
            text=_generated(chance, common), owners=everybody, mode="text" if number % 100 else "hybrid", limit=50
        )
        viewer = Principal(person=None, access=Access(visible=frozenset({own.pk})))
        # One of the two lines at a time: the other is told that everything may be seen.
        with tenant_scope(everybody if number % 2 else [own.pk]):
            hits = queries.search(viewer if number % 2 else SYSTEM, question).hits
        found += bool(hits)
        leaked += sum(hit.owner != own.slug for hit in hits)
    if found < questions // 2:
        raise RuntimeError(f"only {found} of {questions} questions found anything, so they show little")
    yield Figure(name=f"chunks of another team in {questions:,} answers", value=leaked, unit="", target=0, digits=0)


def _generated(chance: random.Random, words: Sequence[str]) -> str:
    parts = chance.choices(words, k=chance.randint(1, 5))
    kind = chance.random()
    if kind < 0.1:
        parts[0] = f'"{parts[0]}"'
    elif kind < 0.2:
        parts.append(f"-{chance.choice(words)}")
    elif kind < 0.3:
        parts.append(f"leak-{chance.randint(0, 2)}")
    return " ".join(parts)


# Made-up text


def _vocabulary(chance: random.Random) -> list[str]:
    syllables = [first + last for first in "bdfgklmnprstvz" for last in ("a", "e", "i", "o", "u", "an", "er", "is")]
    words = dict.fromkeys("".join(chance.choices(syllables, k=chance.randint(2, 4))) for _n in range(_WORDS * 2))
    return list(words)[:_WORDS]


_WEIGHTS: Final = [1 / (place + 8) for place in range(_WORDS)]


def _document(chance: random.Random, words: Sequence[str]) -> str:
    """About 4,500 characters: a title, six sections, each with a heading and some paragraphs in English sentences."""
    parts = [f"# {' '.join(chance.choices(words, k=4))}"]
    for _section in range(6):
        parts.append(f"## {' '.join(chance.choices(words, k=3))}")
        sentences = [
            f"The {' '.join(chance.choices(words, weights=_WEIGHTS, k=8))} is in the {chance.choice(words)}."
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
