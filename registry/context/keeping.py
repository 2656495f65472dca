"""Keeps what was read of a document: the difference to what is there, in the caller's transaction."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.postgres.search import SearchVectorField
from django.db import connection
from django.db.models import CharField, Func, Value
from django.db.models.functions import Cast, Concat

from kernel import clock
from registry.context.chunking import Piece, chunk
from registry.context.identifiers import parts_of
from registry.context.languages import language_of
from registry.context.models import Chunk, Document, Source
from registry.context.reading.formats import VERSION
from registry.context.reading.sections import Reading, Unreadable
from registry.context.screening import SECRET, is_secret, screen

MAX_CHUNKS: Final = 5_000
_MAX_TITLE: Final = 200
_CHANGING: Final = ["key", "ordinal", "line", "page", "changed_at", "sensitivity", "source_id", "marks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What is known of a document beside its sections."""

    path: str
    format: str
    digest: str
    commit: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be kept: everything that costs time was done before the transaction."""

    title: str
    language: str
    pieces: tuple[Piece, ...]
    marks: tuple[tuple[str, ...], ...]


def digest_of(content: bytes) -> str:
    """Returns the digest by which documents are told apart."""
    return hashlib.sha256(content).hexdigest()


def prepare(path: str, reading: Reading) -> Prepared:
    """Returns a reading cut and screened. Raises `Unreadable` when there is nothing in it, or too much."""
    whole = "\n\n".join(block.text for section in reading.sections for block in section.blocks)
    if not whole.strip():
        raise Unreadable("There is no text in it.")
    if is_secret(screen(path)):
        raise Unreadable("Something like a secret is in its name, so it is not read.")
    language = language_of(whole)
    pieces = chunk(reading, language)
    if len(pieces) > MAX_CHUNKS:
        raise Unreadable(f"It has {len(pieces):,} chunks; a document may have {MAX_CHUNKS:,}.")
    marks = [screen("\n".join([*piece.heading, piece.text])) for piece in pieces]
    # A secret that was cut in two is found in the whole only: then nothing of the document is shown.
    cut = {mark for mark in screen(whole) if mark.startswith(SECRET)} - {mark for found in marks for mark in found}
    title = "" if is_secret(screen(reading.title)) else reading.title[:_MAX_TITLE]
    return Prepared(title, language, tuple(pieces), tuple(tuple(sorted({*found, *cut})) for found in marks))


def keep(source: Source, brought: Brought, prepared: Prepared) -> Document:
    """Returns the document with exactly these chunks. What did not change keeps its row, its id and its vector."""
    _one_at_a_time(source.owner_id, brought.digest)
    document = Document.objects.select_for_update().filter(source=source, path=brought.path).first()
    if document is None:
        document = Document(source=source, owner_id=source.owner_id, path=brought.path)
    elif document.digest != brought.digest:
        hand_over(document)
    original = Document.objects.filter(owner_id=source.owner_id, digest=brought.digest, copy_of=None).first()
    is_copy = original is not None and original.pk != document.pk
    _describe(document, source, brought, prepared)
    document.copy_of = original if is_copy else None
    document.chunk_count = 0 if is_copy else len(prepared.pieces)
    document.withheld_count = 0 if is_copy else sum(is_secret(marks) for marks in prepared.marks)
    document.save()
    _keep_chunks(document, Prepared("", "", (), ()) if is_copy else prepared)
    return document


def forget(documents: Iterable[Document]) -> int:
    """Returns how many chunks were removed with these documents. A copy that stays takes over what it was a copy of."""
    removed = 0
    for document in documents:
        hand_over(document)
        removed += Chunk.objects.filter(document=document).delete()[0]
        document.delete()
    return removed


def hand_over(document: Document) -> None:
    """Gives a document's chunks to its first copy, if it has one, because the document is about to say something else."""
    copies = list(Document.objects.select_for_update().filter(copy_of=document).order_by("pk"))
    if not copies:
        return
    heir, others = copies[0], copies[1:]
    # The heir takes the place under the constraint, so the document leaves it first.
    Document.objects.filter(pk=document.pk).update(digest=f"{document.digest[:32]}-{document.pk}"[:64])
    Chunk.objects.filter(document=document).update(
        document=heir, source=heir.source_id, changed_at=heir.changed_at, sensitivity=heir.sensitivity
    )
    heir.copy_of, heir.chunk_count, heir.withheld_count = None, document.chunk_count, document.withheld_count
    heir.save(update_fields=["copy_of", "chunk_count", "withheld_count"])
    Document.objects.filter(pk__in=[copy.pk for copy in others]).update(copy_of=heir)


def count_words(owner_id: int) -> None:
    """Counts an owner's words anew. Until then a new word counts as rare and a removed one as it did."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT context_count_words(%s)", [owner_id])


def _one_at_a_time(owner_id: int, digest: str) -> None:
    """Two imports that bring the same document at once do not both become its original."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [digest, owner_id])


def _describe(document: Document, source: Source, brought: Brought, prepared: Prepared) -> None:
    document.title, document.language = prepared.title, prepared.language
    document.format, document.digest, document.commit = brought.format, brought.digest, brought.commit
    document.changed_at, document.read_at, document.reading = brought.changed_at, clock.now(), VERSION
    document.sensitivity = source.sensitivity
    document.marks = sorted({mark for marks in prepared.marks for mark in marks})


def _keep_chunks(document: Document, prepared: Prepared) -> None:
    wanted = list(zip(prepared.pieces, prepared.marks, strict=True))
    rows = list(Chunk.objects.filter(document=document).defer("text", "tsv"))
    matched = _matched(rows, wanted)
    stay = {row.pk for row in matched if row is not None}
    Chunk.objects.filter(document=document).exclude(pk__in=stay).delete()
    changed, moved, added = [], [], []
    for ordinal, ((piece, marks), row) in enumerate(zip(wanted, matched, strict=True)):
        if row is None:
            added.append(_new(document, ordinal, piece, marks))
            continue
        if row.key != piece.key:
            moved.append(row.pk)
        if _place(row, document, ordinal, piece, marks):
            changed.append(row)
    # Two chunks may change places, and a place is taken once: so they leave theirs before they take another.
    Chunk.objects.filter(pk__in=moved).update(key=Concat(Value("~"), Cast("pk", CharField())))
    Chunk.objects.bulk_update(changed, _CHANGING, batch_size=500)
    Chunk.objects.bulk_create(added, batch_size=200)


def _matched(rows: Sequence[Chunk], wanted: Sequence[tuple[Piece, tuple[str, ...]]]) -> list[Chunk | None]:
    """Returns for each piece the row that says the same: the one in its place, else one that moved."""
    by_key = {row.key: row for row in rows}
    found: list[Chunk | None] = [
        row if (row := by_key.get(piece.key)) and _says(row, piece, marks) else None for piece, marks in wanted
    ]
    taken = {row.pk for row in found if row is not None}
    free = {row.digest: row for row in rows if row.pk not in taken}
    for place, (piece, marks) in enumerate(wanted):
        row = free.get(piece.digest)
        if found[place] is None and row is not None and _says(row, piece, marks):
            found[place] = free.pop(piece.digest)
    return found


def _says(row: Chunk, piece: Piece, marks: Sequence[str]) -> bool:
    return row.digest == piece.digest and row.withheld == is_secret(marks)


def _place(row: Chunk, document: Document, ordinal: int, piece: Piece, marks: Sequence[str]) -> bool:
    """Tells whether the row had to be changed to say where its words stand now."""
    before = [getattr(row, name) for name in _CHANGING]
    row.key, row.ordinal, row.line, row.page, row.marks = piece.key, ordinal, piece.line, piece.page, list(marks)
    row.changed_at, row.sensitivity, row.source_id = document.changed_at, document.sensitivity, document.source_id
    return before != [getattr(row, name) for name in _CHANGING]


def _new(document: Document, ordinal: int, piece: Piece, marks: Sequence[str]) -> Chunk:
    """What is withheld is not kept at all: its place and its mark tell its owner where to look."""
    withheld = is_secret(marks)
    heading, text = ([], "") if withheld else (list(piece.heading), piece.text)
    words = [document.language, " / ".join(heading) or document.title, text, parts_of(text)]
    return Chunk(
        document=document,
        source_id=document.source_id,
        owner_id=document.owner_id,
        key=piece.key,
        digest=piece.digest,
        ordinal=ordinal,
        heading=heading,
        text=text,
        line=piece.line,
        page=piece.page,
        words=piece.words,
        language=document.language,
        sensitivity=document.sensitivity,
        changed_at=document.changed_at,
        withheld=withheld,
        marks=list(marks),
        tsv=Func(
            *map(Value, words if not withheld else ["simple", "", "", ""]),
            function="context_tsv",
            output_field=SearchVectorField(),
        ),
    )
