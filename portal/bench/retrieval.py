"""Scores the search on a set of documents and questions, in an installation of its own that is gone afterwards."""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final

from kernel import clock
from kernel.errors import Invalid
from portal.bench.installation import connect, installed
from registry.context import queries
from registry.context.embedding.provider import embedder
from registry.context.entries import Entry
from registry.context.filling import fill_all, has_vectors
from registry.context.scoring import CUT, Bm25, interval, ndcg
from registry.context.services.imports import begin_import
from registry.context.services.sources import add_source
from registry.context.working import work_on
from tenants.models import Tenant
from tenants.principals import SYSTEM
from tenants.rules import Sensitivity, Tier
from tenants.scope import ALL, tenant_scope
from tenants.services import create_tenant

Set = Mapping[str, Any]
_DIGITS: Final = 4
_SLICE: Final = 60.0


def check(found: object) -> Set:
    """Returns the set. Raises `Invalid` when it has another form."""
    if (
        not isinstance(found, dict)
        or not isinstance(found.get("documents"), list)
        or not isinstance(found.get("queries"), list)
    ):
        raise Invalid(
            'The file must hold {"documents": [{id, team, title, text}], "queries": [{team, text, relevant}]}.'
        )
    named = all(isinstance(row, dict) and {"id", "text"} <= row.keys() for row in found["documents"])
    asked = all(isinstance(row, dict) and {"text", "relevant"} <= row.keys() for row in found["queries"])
    if not named or not asked or not found["documents"] or not found["queries"]:
        raise Invalid("Each document needs id and text, each query text and relevant, and there must be some of both.")
    return found


def score(found: Set) -> dict[str, object]:
    """Returns nDCG@10 of each search and of BM25, with 95 % intervals, also of what hybrid is above the others."""
    with installed() as config, tenant_scope_of(found) as teams:
        connect(config, "app")
        ways: dict[str, list[list[str]]] = {mode: list(_rankings(found, teams, mode)) for mode in queries.MODES}
    ways["bm25"] = list(_bm25(found))
    scores = {
        way: [ndcg(ranking, set(query["relevant"])) for ranking, query in zip(rankings, found["queries"], strict=True)]
        for way, rankings in ways.items()
    }
    result: dict[str, object] = {way: _summary(values) for way, values in scores.items()}
    hybrid = scores["hybrid"]
    result["hybrid_above"] = {
        way: _summary([ours - theirs for ours, theirs in zip(hybrid, scores[way], strict=True)])
        for way in ("bm25", "text", "vector")
    }
    return result | {"documents": len(found["documents"]), "queries": len(found["queries"])}


@contextmanager
def tenant_scope_of(found: Set) -> Iterator[dict[str, Tenant]]:
    """Yields the teams of the set, each with its documents read and embedded."""
    with tenant_scope(ALL):
        platform = create_tenant(actor=SYSTEM, tier=Tier.PLATFORM, slug="platform", name="Platform")
        names = dict.fromkeys(str(row.get("team", "")) for row in [*found["documents"], *found["queries"]])
        teams = {
            name: create_tenant(actor=SYSTEM, tier=Tier.TEAM, slug=f"team-{number}", name=name[:120] or "Team")
            for number, name in enumerate(names)
        }
        imports = [
            _brought(team, [row for row in found["documents"] if str(row.get("team", "")) == name])
            for name, team in teams.items()
        ]
    for import_id in filter(None, imports):
        while work_on(import_id, seconds=_SLICE):
            pass
    chosen = embedder() if has_vectors() else None
    if chosen is not None:
        fill_all(chosen)
    yield {**teams, "": teams.get("", platform)}


def _brought(team: Tenant, rows: Sequence[Mapping[str, Any]]) -> int | None:
    if not rows:
        return None
    source = add_source(actor=SYSTEM, owner=team, slug="set", name="Set")
    present = clock.now()
    entries = [
        Entry(path=f"{number}.md", content=_content(row).encode("utf-8", "replace"), changed_at=present)
        for number, row in enumerate(rows)
    ]
    return begin_import(actor=SYSTEM, source=source, entries=entries).pk


def _content(row: Mapping[str, Any]) -> str:
    """The title comes as a front matter, as Markdown has it."""
    title = re.sub(r"\s+", " ", str(row.get("title") or "")).strip().replace('"', "'")
    return f'---\ntitle: "{title}"\n---\n{row["text"]}' if title else str(row["text"])


def _rankings(found: Set, teams: Mapping[str, Tenant], mode: queries.Mode) -> Iterator[list[str]]:
    """Yields for each question the documents in the order of their best chunk."""
    places = _places(found)
    for query in found["queries"]:
        name = str(query.get("team", ""))
        team = teams[name]
        question = queries.Question(
            text=str(query["text"])[: queries.MAX_QUESTION],
            owners=frozenset({team.pk}),
            mode=mode,
            limit=queries.MAX_HITS,
            ceiling=Sensitivity.RESTRICTED,
        )
        with tenant_scope([team.pk]):
            hits = queries.search(SYSTEM, question).hits
        yield list(dict.fromkeys(chain.from_iterable(places[name, hit.path] for hit in hits)))


def _places(found: Set) -> dict[tuple[str, str], list[str]]:
    """Returns the ids that stand behind each path: a text that a team has twice is kept once and found as both."""
    numbered: Counter[str] = Counter()
    alike: dict[tuple[str, str], list[str]] = {}
    places = {}
    for row in found["documents"]:
        name = str(row.get("team", ""))
        same = alike.setdefault((name, _content(row)), [])
        same.append(row["id"])
        places[name, f"{numbered[name]}.md"] = same
        numbered[name] += 1
    return places


def _bm25(found: Set) -> Iterator[list[str]]:
    by_team: dict[str, list[Mapping[str, Any]]] = {}
    for row in found["documents"]:
        by_team.setdefault(str(row.get("team", "")), []).append(row)
    indexes = {
        name: Bm25([f"{row.get('title') or ''} {row['text']}" for row in rows]) for name, rows in by_team.items()
    }
    for query in found["queries"]:
        name = str(query.get("team", ""))
        ranked = indexes[name].ranked(str(query["text"])) if name in indexes else []
        yield [by_team[name][place]["id"] for place in ranked[:CUT]]


def _summary(values: Sequence[float]) -> dict[str, object]:
    low, high = interval(values)
    return {
        f"ndcg@{CUT}": round(statistics.fmean(values), _DIGITS),
        "interval": [round(low, _DIGITS), round(high, _DIGITS)],
    }
