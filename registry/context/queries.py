"""Reads of sources, documents and imports, and the search, each already limited to the principal."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from kernel.errors import Invalid, Unavailable
from registry.context.embedding.provider import QUESTIONS, as_text, embedder
from registry.context.filling import has_vectors
from registry.context.identifiers import beginnings_in, steps_in
from registry.context.languages import SPOKEN
from registry.context.models import OPEN, Chunk, Document, Import, ImportItem, Source, SourceCredential
from registry.context.rereading import reread
from tenants.access import Viewer
from tenants.queries import one_of
from tenants.rules import Sensitivity

Mode = Literal["text", "vector", "hybrid"]
MODES: Final[tuple[Mode, ...]] = ("text", "vector", "hybrid")
MAX_QUESTION: Final = 1_000
MAX_HITS: Final = 50
_RANKED: Final = 100
"""How many hits of each search are fused."""
_SMOOTHING: Final = 60
"""The constant of reciprocal rank fusion. A rank counts as much as its score is near to the best of its search."""
_QUOTED: Final = re.compile(r'(-?)"([^"]*)"')
_EXCLUDED: Final = re.compile(r"(?:^|\s)-(\w[\w.-]*)")

_SEARCH: Final = """
WITH by_text AS MATERIALIZED ({text}), by_vector AS MATERIALIZED ({vector}),
fused AS (
  SELECT chunk, t.place AS text_place, v.place AS vector_place,
         coalesce(t.score / t.most / (%(smoothing)s + t.place), 0)
         + coalesce(v.score / v.most / (%(smoothing)s + v.place), 0) AS score
    FROM (SELECT *, nullif(max(score) OVER (), 0) AS most FROM by_text) t
    FULL JOIN (SELECT *, nullif(max(score) OVER (), 0) AS most FROM by_vector) v USING (chunk)
   ORDER BY score DESC, chunk LIMIT %(limit)s
)
SELECT c.uid, d.uid, d.title, d.path, d.commit, c.heading, c.text, c.line, c.page, c.marks, c.sensitivity, c.changed_at,
       c.language, s.slug, s.name, o.slug, o.name, o.tier, f.score, f.text_place, f.vector_place
  FROM fused f
  JOIN registry_chunk c ON c.id = f.chunk JOIN registry_document d ON d.id = c.document_id
  JOIN registry_source s ON s.id = c.source_id JOIN tenants_tenant o ON o.id = c.owner_id
 ORDER BY f.score DESC, f.chunk
"""
_TEXT: Final = """SELECT * FROM context_text(%(owners)s, %(languages)s, %(question)s, %(required)s, %(excluded)s,
  %(starts)s, %(sources)s, %(since)s, %(ceiling)s, %(ranked)s)"""
_VECTOR: Final = """SELECT * FROM context_vector(%(owners)s, %(vector)s::halfvec, %(model)s, %(sources)s, %(since)s,
  %(ceiling)s, %(ranked)s)"""
_NOTHING: Final = "SELECT NULL::bigint AS chunk, NULL::bigint AS place, NULL::float8 AS score WHERE false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is looked for, and among what. `owners` is a reach: only what the asker sees of it is searched."""

    text: str
    owners: frozenset[int]
    sources: frozenset[int] | None = None
    since: datetime | None = None
    ceiling: int = Sensitivity.CONFIDENTIAL
    mode: Mode = "hybrid"
    limit: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that was found: what it says, where it stands, whose it is, and how fresh."""

    chunk: UUID
    document: UUID
    title: str
    path: str
    commit: str
    heading: tuple[str, ...]
    text: str
    line: int
    page: int
    marks: tuple[str, ...]
    sensitivity: int
    changed_at: datetime
    language: str
    source: str
    source_name: str
    owner: str
    owner_name: str
    tier: str
    score: float
    text_place: int | None
    vector_place: int | None

    def as_json(self) -> dict[str, object]:
        """Returns the hit for machines."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return facts | {
            "chunk": str(self.chunk),
            "document": str(self.document),
            "heading": list(self.heading),
            "marks": list(self.marks),
            "changed_at": self.changed_at.isoformat(),
            "sensitivity": Sensitivity(self.sensitivity).name.lower(),
            "score": round(self.score, 6),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The hits, best first, and how they were found: `note` says what could not be done as it was asked."""

    hits: tuple[Hit, ...]
    mode: Mode
    note: str = ""
    facts: dict[str, object] = field(default_factory=dict)


def sources(principal: Viewer) -> QuerySet[Source]:
    """Returns visible sources with owner."""
    return Source.objects.visible_to(principal).select_related("owner").order_by("slug")


def source_of(principal: Viewer, owner_id: int, slug: str) -> Source:
    """Returns one visible source of an owner; one that is not visible does not exist."""
    return one_of(sources(principal), "source", owner=owner_id, slug=slug)


def source_by_ref(principal: Viewer, owner: str, slug: str) -> Source:
    """Returns one visible source by the slugs of its owner and its own."""
    return one_of(sources(principal), "source", owner__slug=owner, slug=slug)


def sources_to_refresh(principal: Viewer, before: datetime) -> QuerySet[Source]:
    """Returns visible repositories that were read once, and of which no reading began since."""
    lately = Import.objects.visible_to(principal).filter(Q(began_at__gte=before) | Q(state__in=OPEN))
    rows = sources(principal).filter(kind=Source.Kind.GIT, read_at__isnull=False)
    return rows.exclude(pk__in=lately.values("source"))


def credential_of(principal: Viewer, source: Source) -> SourceCredential | None:
    """Returns what is known of a source's credential: that there is one, whose, since when. Never what it is."""
    rows = SourceCredential.objects.visible_to(principal).filter(source=source)
    return rows.defer("sealed").select_related("created_by").first()


def with_counts(rows: QuerySet[Source]) -> QuerySet[Source]:
    """Returns the sources with how many documents each has, and how many of its passages are withheld."""
    return rows.annotate(
        documents_count=Count("documents"), withheld_count=Coalesce(Sum("documents__withheld_count"), 0)
    )


def source_by_uid(principal: Viewer, uid: str) -> Source:
    """Returns one visible source."""
    return one_of(sources(principal), "source", uid=uid)


def documents(principal: Viewer, source: Source | None = None) -> QuerySet[Document]:
    """Returns visible documents (of one source) with source and owner."""
    rows = Document.objects.visible_to(principal).select_related("source", "owner", "copy_of")
    return (rows if source is None else rows.filter(source=source)).order_by("path", "pk")


def document_by_uid(principal: Viewer, uid: str) -> Document:
    """Returns one visible document."""
    return one_of(documents(principal), "document", uid=uid)


def chunks_of(principal: Viewer, document: Document) -> QuerySet[Chunk]:
    """Returns the chunks of a visible document in their order; what is withheld has no text."""
    return Chunk.objects.visible_to(principal).filter(document=document.copy_of_id or document.pk).order_by("ordinal")


def ordinal_of(rows: QuerySet[Chunk], uid: str) -> int | None:
    """Returns the place of one of these passages, None when it is not among them."""
    try:
        return rows.filter(uid=uid).values_list("ordinal", flat=True).first() if uid else None
    except (ValidationError, ValueError):  # an id that is not one names nothing
        return None


def imports(principal: Viewer, source: Source | None = None) -> QuerySet[Import]:
    """Returns visible imports (of one source), newest first, with source and owner."""
    rows = Import.objects.visible_to(principal).select_related("source", "owner", "began_by").order_by("-id")
    return rows if source is None else rows.filter(source=source)


def with_progress(rows: QuerySet[Import]) -> QuerySet[Import]:
    """Returns the imports with `waiting`, `done`, `failed` and `cancelled` documents counted, in the same statement."""
    counts = {state: Count("items", filter=Q(items__state=state)) for state in ImportItem.State.values}
    return rows.annotate(**counts)


def import_by_uid(principal: Viewer, uid: str) -> Import:
    """Returns one visible import."""
    return one_of(imports(principal), "import", uid=uid)


def items_of(principal: Viewer, row: Import) -> QuerySet[ImportItem]:
    """Returns the items of a visible import, what failed first. Their bytes are not read."""
    rows = ImportItem.objects.visible_to(principal).filter(of=row).defer("content")
    return rows.annotate(is_failed=Q(state=ImportItem.State.FAILED)).order_by("-is_failed", "pk")


def copies_of(principal: Viewer, document: Document) -> QuerySet[Document]:
    """Returns the visible documents that say the same as this one: the one that is kept, and its copies."""
    kept = document.copy_of_id or document.pk
    return documents(principal).filter(Q(pk=kept) | Q(copy_of=kept)).exclude(pk=document.pk)


def progress_of(principal: Viewer, rows: Iterable[Import]) -> dict[int, dict[str, int]]:
    """Returns waiting, done, failed, cancelled and total documents by import, and chunks with and without a vector."""
    by_import: dict[int, dict[str, int]] = {
        row.pk: {"waiting": 0, "done": 0, "failed": 0, "cancelled": 0, "unchanged": row.unchanged} for row in rows
    }
    counted = ImportItem.objects.visible_to(principal).filter(of__in=by_import).order_by()
    for of, state, n in counted.values_list("of", "state").annotate(n=Count("pk")):
        by_import[of][state] = n
    return {pk: {**counts, "total": sum(counts.values())} for pk, counts in by_import.items()}


def unembedded(principal: Viewer, owners: Iterable[int] | None = None) -> int:
    """Returns how many visible chunks wait for a vector."""
    rows = Chunk.objects.visible_to(principal).filter(withheld=False, embedded_with="")
    return (rows if owners is None else rows.filter(owner__in=list(owners))).count()


def search(principal: Viewer, question: Question) -> Answer:
    """Returns the best chunks among what the principal sees of the question's owners. Hidden owners are not ranked.

    Without an embedding, or without pgvector, it goes by words alone and its note says so.
    """
    _check(question)
    visible = principal.access.visible
    owners = question.owners if visible is None else question.owners & visible
    mode, note, vector, model = _means(question)
    words = _words(question.text)
    values = {
        **words,
        "question": f"{words['question']} {steps_in(words['question'])}",
        "owners": sorted(owners),
        "languages": list(SPOKEN),
        "starts": beginnings_in(question.text),
        "sources": None if question.sources is None else sorted(question.sources),
        "since": question.since,
        "ceiling": int(question.ceiling),
        "ranked": _RANKED,
        "vector": vector,
        "model": model,
        "smoothing": _SMOOTHING,
        "limit": MAX_HITS,
    }
    statement = _SEARCH.format(
        text=_TEXT if mode != "vector" else _NOTHING, vector=_VECTOR if mode != "text" else _NOTHING
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        hits = [_hit(row) for row in cursor.fetchall()]
    return Answer(hits=_best(question, mode, words["question"], hits), mode=mode, note=note)


def _best(question: Question, mode: Mode, wanted: str, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Returns as many as were asked for. Where words count, the hits are read again for the words as they were written."""
    if mode == "vector":
        return tuple(hits[: question.limit])
    return tuple(replace(hit, score=score) for score, hit in reread(wanted, hits)[: question.limit])


def _check(question: Question) -> None:
    if not question.text.strip() or len(question.text) > MAX_QUESTION or "\0" in question.text:
        raise Invalid(
            "The question cannot be asked.", errors={"question": [f"1 to {MAX_QUESTION} characters of text."]}
        )
    if not 0 < question.limit <= MAX_HITS:
        raise Invalid("So many cannot be shown.", errors={"limit": [f"1 to {MAX_HITS}."]})
    if question.mode not in MODES:
        raise Invalid("There is no such search.", errors={"mode": [f"One of {', '.join(MODES)}."]})


def _means(question: Question) -> tuple[Mode, str, str | None, str]:
    """Returns how the search can be made now: its mode, what must be said of it, the question's vector and its model."""
    if question.mode == "text":
        return "text", "", None, ""
    chosen = embedder() if has_vectors() else None
    if chosen is None:
        return "text", "Found by words alone: this installation has no embedding, or no pgvector.", None, ""
    try:
        return question.mode, "", as_text(QUESTIONS.vector(chosen, question.text)), chosen.name
    except Unavailable as error:
        return "text", f"Found by words alone. {error.message}", None, ""


def _words(text: str) -> dict[str, Any]:
    """Returns the words that are looked for, and the phrases and words that must or must not be there."""
    quoted = _QUOTED.findall(text)
    bare = _QUOTED.sub(" ", text)
    excluded = [phrase for sign, phrase in quoted if sign] + _EXCLUDED.findall(bare)
    required = [phrase for sign, phrase in quoted if not sign]
    wanted = " ".join([_EXCLUDED.sub(" ", bare), *required])
    return {"question": wanted, "required": required, "excluded": excluded}


def _hit(row: Sequence[Any]) -> Hit:
    values = dict(zip(Hit.__slots__, row, strict=True))
    return Hit(
        **values
        | {"heading": tuple(values["heading"]), "marks": tuple(values["marks"]), "score": float(values["score"])}
    )
