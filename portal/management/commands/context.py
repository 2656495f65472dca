"""`./manage.py context`: read documents into context, search them, and say how good the search is."""

import json
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel.errors import NotFound
from portal.bench import retrieval
from portal.bench.known_items import KINDS, known_items
from registry.context import queries
from registry.context.embedding.provider import embedder
from registry.context.filling import fill_all, has_vectors, start_anew
from registry.context.models import OPEN, Import, Source
from registry.context.places import Gathered, gather
from registry.context.services.imports import begin_import
from registry.context.services.sources import add_source
from registry.context.working import work_on
from tenants.models import Tenant
from tenants.principals import SYSTEM
from tenants.queries import reach_of, tenant_by_slug
from tenants.rules import Sensitivity, Tier
from tenants.scope import ALL, tenant_scope

_SLICE: Final = 20.0
_PAUSE: Final = 0.5


class Command(BaseCommand):
    """Ends with 0 when all is well, 1 when a document could not be read, 2 when nothing could be done."""

    help = "Read documents into the context of a team, domain or platform, search it, and measure the search."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the actions."""
        actions = parser.add_subparsers(dest="action", required=True)
        ingesting = actions.add_parser("ingest", help="read files, folders, archives and git checkouts")
        ingesting.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        ingesting.add_argument("--team", required=True, help="slug of the team, domain or platform that owns them")
        ingesting.add_argument("--source", default="", help="slug of the source (default: the name of the first path)")
        searching = actions.add_parser("search", help="ask what a team can find")
        searching.add_argument("question")
        searching.add_argument(
            "--team", required=True, help="slug of the team: its own, its domains' and the platform's"
        )
        searching.add_argument("--mode", choices=queries.MODES, default="hybrid")
        searching.add_argument("--limit", type=_limit, default=10, help=f"how many hits, 1 to {queries.MAX_HITS}")
        embedding = actions.add_parser("embed", help="embed what has no vector yet")
        embedding.add_argument("--anew", action="store_true", help="first drop the vectors of other models")
        evaluating = actions.add_parser("evaluate", help="score the search on a set; needs no running installation")
        evaluating.add_argument("file", type=Path, metavar="FILE", help="JSON with documents and queries")
        evaluating.add_argument(
            "--known-items", choices=KINDS, help="make the queries of headings; FILE holds teams with their documents"
        )
        evaluating.add_argument("--together", action="store_true", help="with --known-items: search all teams at once")
        for action in (ingesting, searching, evaluating):
            action.add_argument("--json", action="store_true", help="one JSON document for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        """Does one action."""
        action: Callable[[dict[str, Any]], None] = getattr(self, f"do_{options['action']}")
        action(options)

    def do_ingest(self, options: dict[str, Any]) -> None:
        """Reads every path into one source, here and now, and then embeds what is new."""
        row = _begun(options)
        while _is_open(row) and not work_on(row.pk, seconds=_SLICE):
            time.sleep(_PAUSE if _is_open(row) else 0)  # a worker of the installation has it
        chosen = embedder() if has_vectors() else None
        if chosen is not None:
            fill_all(chosen)
        self._report(row, options)

    def _report(self, row: Import, options: dict[str, Any]) -> None:
        with tenant_scope(ALL):
            counts = queries.progress_of(SYSTEM, [row])[row.pk]
            failed = list(queries.items_of(SYSTEM, row).filter(state="failed").values_list("path", "fault"))
            waiting = queries.unembedded(SYSTEM, [row.owner_id])
        if options["json"]:
            faults = [{"path": path, "fault": fault} for path, fault in failed]
            self.stdout.write(json.dumps({**counts, "without_vector": waiting, "faults": faults}, indent=2))
        else:
            self.stdout.write(", ".join(f"{name} {n}" for name, n in counts.items() if n or name == "total"))
            for path, fault in failed:
                self.stdout.write(f"  {path}: {fault}")
            if waiting:
                self.stdout.write(f"  {waiting} chunks have no vector and are found by their words alone")
        if failed:
            raise SystemExit(1)

    def do_search(self, options: dict[str, Any]) -> None:
        """Prints the hits."""
        with tenant_scope(ALL):
            team = tenant_by_slug(SYSTEM, options["team"])
            question = queries.Question(
                text=options["question"],
                owners=reach_of(team),
                mode=options["mode"],
                limit=options["limit"],
                ceiling=Sensitivity.RESTRICTED,
            )
            answer = queries.search(SYSTEM, question)
        if options["json"]:
            found = {"mode": answer.mode, "note": answer.note, "hits": [hit.as_json() for hit in answer.hits]}
            self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False))
        else:
            self.stdout.write("\n\n".join(map(_as_text, answer.hits)) or "Nothing was found.")
            if answer.note:
                self.stderr.write(answer.note)

    def do_embed(self, options: dict[str, Any]) -> None:
        """Embeds everything that waits."""
        chosen = embedder() if has_vectors() else None
        if chosen is None:
            raise CommandError("There is no embedding, or no pgvector in the database.", returncode=2)
        dropped = start_anew(chosen.name) if options["anew"] else 0
        fill_all(chosen)
        self.stdout.write(
            f"Every chunk that may be shown has a vector of {chosen.name}; {dropped} were of other models."
        )

    def do_evaluate(self, options: dict[str, Any]) -> None:
        """Prints the scores. The set is read in an installation of its own, which is gone afterwards."""
        try:
            found = json.loads(options["file"].read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CommandError(f"{options['file']} cannot be read: {error}", returncode=2) from error
        if options["known_items"]:
            found = known_items(found, options["known_items"], is_together=options["together"])
        scores = retrieval.score(retrieval.check(found))
        if options["json"]:
            self.stdout.write(json.dumps(scores, indent=2))
        else:
            for way, score in scores.items():
                self.stdout.write(f"{way}: {score}")


def _begun(options: dict[str, Any]) -> Import:
    with tenant_scope(ALL):
        owner = tenant_by_slug(SYSTEM, options["team"])
        first = options["paths"][0].resolve()
        slug = options["source"] or _slug_of(first.stem if first.is_file() else first.name)
        source = _source(owner, slug, str(first))
        places = [gather(path, source.commit if len(options["paths"]) == 1 else "") for path in options["paths"]]
        place = places[0] if len(places) == 1 else Gathered(entry for place in places for entry in place.entries)
        return begin_import(
            actor=SYSTEM, source=source, entries=place.entries, commit=place.commit, is_whole=place.is_whole
        )


def _source(owner: Tenant, slug: str, location: str) -> Source:
    try:
        return queries.source_of(SYSTEM, owner.pk, slug)
    except NotFound:
        return add_source(actor=SYSTEM, owner=owner, slug=slug, name=slug, location=location[:500])


def _is_open(row: Import) -> bool:
    with tenant_scope(ALL):
        return queries.import_by_uid(SYSTEM, str(row.uid)).state in OPEN


def _slug_of(name: str) -> str:
    words = "".join(
        character if character.isascii() and character.isalnum() else " " for character in name.lower()
    ).split()
    slug = "-".join(words)[:48].strip("-")
    if not slug:
        raise CommandError(f"{name!r} makes no slug: name the source with --source.", returncode=2)
    return slug


def _as_text(hit: queries.Hit) -> str:
    place = f"page {hit.page}" if hit.page else f"line {hit.line}" if hit.line else ""
    marks = f"  [{', '.join(hit.marks)}]" if hit.marks else ""
    where = " > ".join(hit.heading) or hit.title
    start = " ".join(hit.text.split())[:300]
    return f"{where}{marks}\n  {hit.owner}/{hit.source}/{hit.path} {place} ({Tier(hit.tier).value}, {hit.changed_at:%Y-%m-%d})\n  {start}"


def _limit(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= queries.MAX_HITS:
        raise ArgumentTypeError(f"1 to {queries.MAX_HITS}")
    return int(text)
