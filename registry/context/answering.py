"""Answers to the tools that look: searches and documents, limited to what the call may be shown."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from kernel.errors import Invalid, NotFound
from registry.asking import Asking
from registry.context import precedence, queries
from registry.context.inbox import remembered_in
from registry.context.models import Chunk, Document
from registry.context.services.gaps import is_found, note_gap
from registry.context.services.memories import REMEMBERED, propose_memory
from registry.context.shapes import USUAL_HITS, USUAL_READ
from tenants.queries import tenants
from tenants.rules import Sensitivity, Tier

SCHEME: Final = "context://"
_URI: Final = re.compile(
    r"context://(?P<owner>[a-z0-9-]{1,48})/(?P<document>[0-9a-f-]{36})(?:#(?P<chunk>[0-9a-f-]{36}))?"
)
_BECAME: Final = {
    "waiting": "It waits for a reviewer of your team; nobody finds it before it was accepted.",
    "accepted": "Your team knows this already.",
    "rejected": "A reviewer of your team has rejected this.",
}
_LEFT_OUT: Final = "[A passage is left out here: something like a secret is in it.]"
_NOTHING: Final = "Nothing was found. It may be written down nowhere, or nowhere that this call may see."


def search(asking: Asking, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns hits of all tiers with provenance, and where they contradict each other."""
    among = _among(asking, arguments.get("tier"))
    answer = queries.search(
        asking.viewer,
        queries.Question(
            text=arguments["query"],
            owners=frozenset(among),
            sources=_sources(asking, among, arguments.get("source")),
            since=_day(arguments.get("since")),
            ceiling=asking.ceiling,
            limit=arguments.get("limit", USUAL_HITS),
        ),
    )
    if not is_found(arguments["query"], answer.hits):
        note_gap(asking=asking, question=arguments["query"])
    found = precedence.conflicts(answer.hits)
    hits = precedence.ordered(answer.hits, found)
    learned = _learned(asking, {hit.document for hit in hits if hit.source.startswith(REMEMBERED)})
    overruled = {answer.hits[row.loser].chunk: uri_of(answer.hits[row.winner]) for row in reversed(found)}
    return {
        "hits": [
            _shown(rank, hit, overruled.get(hit.chunk)) | learned.get(hit.document, {})
            for rank, hit in enumerate(hits, 1)
        ],
        "conflicts": [_conflict(row, answer.hits) for row in found],
        "searched": {
            "tiers": [tier.value for tier in Tier if tier in {row[1] for row in among.values()}],
            "owners": [slug for slug, _tier in among.values()],
            "mode": answer.mode,
            "ceiling": Sensitivity(asking.ceiling).name.lower(),
        },
        "note": answer.note if hits else f"{_NOTHING} {answer.note}".strip(),
    }


def read(asking: Asking, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a piece of a document, or of the section that the address names."""
    document, chunk = _named(asking, arguments["uri"])
    rows = queries.chunks_of(asking.viewer, document).filter(sensitivity__lte=asking.ceiling)
    offset, limit = arguments.get("offset", 0), arguments.get("limit", USUAL_READ)
    kept, total, withheld = [], 0, 0
    for row in _section(rows.only("uid", "heading", "text", "withheld").iterator(chunk_size=100), chunk):
        text = _LEFT_OUT if row.withheld else row.text
        withheld += row.withheld
        piece = f"\n\n{text}" if total else text
        kept.append(piece[max(0, offset - total) : max(0, offset + limit - total)])
        total += len(piece)
    if chunk is not None and not total:
        raise NotFound("There is no such section any more; read the document.")
    rest = {"next": offset + limit} if offset + limit < total else {}
    facts = {"text": "".join(kept), "offset": offset, "total": total, "withheld": withheld}
    learned = _learned(asking, {document.uid}).get(document.uid, {})
    return {**_described(document), **learned, **facts, **rest, "uri": arguments["uri"]}


def remember(asking: Asking, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what became of a statement that an agent proposes to its team: it waits, or was decided on before."""
    memory, is_new = propose_memory(
        asking=asking,
        statement=arguments["statement"],
        evidence=arguments.get("evidence", ""),
        tags=arguments.get("tags", ()),
    )
    why = {"reason": memory.reason} if memory.reason else {}
    facts = {"memory": str(memory.uid), "state": memory.state, "is_new": is_new, "note": _BECAME[memory.state]}
    return {**facts, "marks": list(memory.marks), **why}


def _learned(asking: Asking, documents: set[UUID]) -> dict[UUID, dict[str, Any]]:
    """Returns who learned what stands in some documents, for those that an agent's statement became."""
    return {
        uid: {
            "remembered": {
                "agent": row.agent.slug,
                "person": row.person.handle,
                "call": str(row.call),
                "accepted_by": row.decided_by.handle if row.decided_by else "",
                "evidence": row.evidence,
            }
        }
        for uid, row in (remembered_in(asking.viewer, documents) if documents else {}).items()
    }


def uri_of(hit: queries.Hit) -> str:
    """Returns the address under which a hit's section is read."""
    return f"{SCHEME}{hit.owner}/{hit.document}#{hit.chunk}"


def _among(asking: Asking, tier: str | None) -> dict[int, tuple[str, str]]:
    """Returns slug and tier of the owners that are searched, by id."""
    rows = tenants(asking.viewer)
    rows = rows if tier is None else rows.filter(tier=tier)
    return {pk: (slug, kind) for pk, slug, kind in rows.values_list("pk", "slug", "tier")}


def _sources(asking: Asking, among: Mapping[int, Any], slug: str | None) -> frozenset[int] | None:
    if slug is None:
        return None
    return frozenset(queries.sources(asking.viewer).filter(owner__in=among, slug=slug).values_list("pk", flat=True))


def _day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Invalid("There is no such day.", errors={"since": ["A day as 2026-11-25."]}) from None


def _shown(rank: int, hit: queries.Hit, overruled_by: str | None) -> dict[str, Any]:
    facts = hit.as_json()
    names = ("score", "text", "heading", "line", "page", "title", "tier", "owner", "owner_name", "source", "path")
    kept = {name: facts[name] for name in (*names, "commit", "changed_at", "sensitivity", "marks")}
    return {"rank": rank, "uri": uri_of(hit), **kept} | ({"overruled_by": overruled_by} if overruled_by else {})


def _conflict(row: precedence.Conflict, hits: Sequence[queries.Hit]) -> dict[str, Any]:
    winner, loser = hits[row.winner], hits[row.loser]
    return {
        "subject": row.subject,
        "winner": uri_of(winner),
        "winner_tier": winner.tier,
        "loser": uri_of(loser),
        "loser_tier": loser.tier,
        "likeness": row.likeness,
        "why": row.why,
    }


def _named(asking: Asking, uri: str) -> tuple[Document, UUID | None]:
    """Returns the document and the passage that an address names. What may not be shown is not there."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise Invalid("That is no address of a document.", errors={"uri": ["The `uri` of a hit of context.search."]})
    document = queries.document_by_uid(asking.viewer, match["document"])
    if document.sensitivity > asking.ceiling or document.owner.slug != match["owner"]:
        raise NotFound("There is no such document, or you may not see it.")
    try:
        return document, UUID(match["chunk"]) if match["chunk"] else None
    except ValueError:
        raise NotFound("There is no such section.") from None


def _section(rows: Iterator[Chunk], chunk: UUID | None) -> Iterator[Chunk]:
    """Yields all passages, or those that stand under the heading of one: before it, itself, and behind it."""
    if chunk is None:
        yield from rows
        return
    run: list[Chunk] = []
    is_it = False
    for row in rows:
        if run and row.heading != run[0].heading:
            if is_it:
                break
            run = []
        run.append(row)
        is_it = is_it or row.uid == chunk
    yield from run if is_it else []


def _described(document: Document) -> dict[str, Any]:
    return {
        "title": document.title,
        "tier": document.owner.tier,
        "owner": document.owner.slug,
        "owner_name": document.owner.name,
        "source": document.source.slug,
        "path": document.path,
        "commit": document.commit,
        "changed_at": document.changed_at.isoformat(),
        "sensitivity": Sensitivity(document.sensitivity).name.lower(),
        "marks": list(document.marks),
    }
