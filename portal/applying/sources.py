"""Makes sources of documents what a file says, and begins to read what differs. Workers do the reading."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kernel import clock
from kernel.errors import Invalid, NotFound
from portal.applying.comparing import Changes, differing, named
from portal.applying.files import Entry
from portal.sources import repository_sources
from registry.context import clearance, queries
from registry.context.comparing import compare
from registry.context.entries import Entry as Brought
from registry.context.models import Source
from registry.context.places import Gathered, gather
from registry.context.services.imports import begin_fetch, begin_import
from registry.context.services.sources import add_source, change_source
from tenants import queries as tenants
from tenants.models import Tenant
from tenants.principals import SYSTEM
from tenants.rules import Sensitivity

INLINE: Final = "documents"
PLACE: Final = "from"


@dataclass(frozen=True, slots=True)
class _Present:
    """A source in the words of a file."""

    name: str
    location: str
    branch: str
    sensitivity: str


def make_source(entry: Entry) -> Changes:
    """Yields what was made or changed of a source, and each document that is going to be read or removed."""
    said = entry.values
    owner = named("owner", tenants.tenant_by_slug, said["owner"])
    ref = f"{owner.slug}/{said['slug']}"
    try:
        source = queries.source_of(SYSTEM, owner.pk, said["slug"])
    except NotFound:
        source = _added(owner, said)
        yield f"+ source {ref}"
    if said.get("kind", source.kind) != source.kind:
        raise Invalid("The kind stays.", errors={"kind": [f"It is {source.kind}."]})
    wanted = {key: said[key] for key in ("name", "location", "branch", "sensitivity") if key in said}
    level = Sensitivity(source.sensitivity).name.lower()
    present = _Present(source.name, source.location, source.branch, level)
    if found := list(differing(present, wanted)):
        source = change_source(actor=SYSTEM, source=source, sources=repository_sources(), **_told(wanted))
        yield from (f"~ source {ref}: {one}" for one in found)
    if source.kind == Source.Kind.GIT and not source.commit and clearance.open_import(SYSTEM, source) is None:
        begin_fetch(actor=SYSTEM, source=source, sources=repository_sources())
        yield f"+ reading {ref}: {source.location}"
    if said.keys() & {INLINE, PLACE}:
        yield from (f"{sign} document {ref}/{path}" for sign, path in _brought(entry, source))


def _added(owner: Tenant, said: Mapping[str, Any]) -> Source:
    facts = {key: said[key] for key in ("name", "kind", "location", "branch", "sensitivity") if key in said}
    return add_source(actor=SYSTEM, owner=owner, slug=said["slug"], sources=repository_sources(), **_told(facts))


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    levels = {key: Sensitivity[value.upper()] for key, value in facts.items() if key == "sensitivity"}
    return {**facts, **levels}


def _brought(entry: Entry, source: Source) -> list[tuple[str, str]]:
    """Begins an import when anything differs. What a file names is all that there is, so what it leaves out goes."""
    there = _gathered(entry, source)
    found = compare(SYSTEM, source, there.entries, is_whole=there.is_whole)
    if found.faults:
        key = INLINE if INLINE in entry.values else PLACE
        raise Invalid("It cannot be read.", errors={key: [f"“{path}”: {fault}" for path, fault in found.faults]})
    if found.changes:
        again = _gathered(entry, source)  # not kept since the comparison: a folder may be larger than memory
        begin_import(actor=SYSTEM, source=source, entries=again.entries, commit=again.commit, is_whole=again.is_whole)
    return found.changes


def _gathered(entry: Entry, source: Source) -> Gathered:
    said = entry.values
    if INLINE in said and PLACE in said:
        raise Invalid("Its documents are here or elsewhere.", errors={PLACE: [f"Say either “{INLINE}” or “{PLACE}”."]})
    if INLINE in said:
        now = clock.now()
        rows = (Brought(path=row["path"], content=row["text"].encode(), changed_at=now) for row in said[INLINE])
        return Gathered(rows, is_whole=True)
    place = _place(entry)
    found = gather(place, source.commit)
    return Gathered(found.entries, found.commit, is_whole=found.is_whole or place.is_file())


def _place(entry: Entry) -> Path:
    """Returns where the documents are: beside the file or below the directory that is applied, never outside of it."""
    root = entry.root.resolve()
    place = (root / entry.file).parent.joinpath(entry.values[PLACE]).resolve()
    if not place.is_relative_to(root):
        raise Invalid("It leads elsewhere.", errors={PLACE: ["It leads out of the directory that is applied."]})
    if not place.exists():
        raise Invalid("There is nothing.", errors={PLACE: [f"There is nothing at “{entry.values[PLACE]}”."]})
    return place
