"""A library of the size that we claim to serve, written as rows: 5,000 blueprints and 20,000 forks of 60 teams.

Every document is one of the shipped library under its own header, with the digest, the lock and the numbers that the
services would have stored: `check_rows` asks the pure functions whether that is so.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final

import psycopg
from django.db.models import Model

from blueprints.compiling import compile_blueprint
from blueprints.forks.baseline import weakenings
from blueprints.forks.derivation import derive
from blueprints.forks.diff import compare
from blueprints.format.reading import read_yaml
from blueprints.linting import lint
from blueprints.models import Blueprint, ChangeRequest, Fork, Version
from blueprints.versions import digest_of, namespace_of
from kernel import clock
from kernel.canonical import digest
from kernel.ids import new_uid
from portal.config import Config

LIBRARY: Final = Path(__file__).resolve().parents[2] / "blueprints" / "library"
FIRST, SECOND = "1.0.0", "1.1.0"
_REASON: Final = "Ours is different."
_REQUESTED_EVERY: Final = 25
Document = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How many of everything; `popular` forks are of one blueprint of the platform, the first."""

    blueprints: int = 5_000
    forks: int = 20_000
    popular: int = 1_000


@dataclass(frozen=True, slots=True)
class Owner:
    """A tenant as rows name it. `reach` are the numbers of the tenants whose blueprints a team can fork."""

    pk: int
    tier: str
    slug: str
    name: str
    reach: frozenset[int]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to fork a kind: on its first or second version, and against which head which numbers."""

    base: str
    operations: list[dict[str, Any]]
    document: Document
    numbers: Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A shipped blueprint, a second version of it, their locks, and ways to fork them."""

    documents: Mapping[str, Document]
    locks: Mapping[str, Document]
    variants: Sequence[Variant]


def make_workflows(config: Config, amount: Amount) -> None:
    """Fills an installation that has tenants and no blueprint yet, by a superuser: row level security knows no COPY."""
    kinds = [_kind_of(read_yaml(path.read_bytes()).value) for path in sorted(LIBRARY.glob("*.yaml"))]
    with psycopg.connect(config.dsn("superuser").replace("/postgres?", "/hanse?")) as admin:
        owners = list(_owners(admin))
        blueprints = [_blueprint(number, owners, kinds) for number in range(amount.blueprints)]
        _copy(admin, Blueprint, (row for row, _kind in blueprints))
        _copy(admin, Version, chain.from_iterable(_versions(row, kind, owners) for row, kind in blueprints))
        forks = list(_forks(amount, owners, blueprints))
        _copy(admin, Fork, forks)
        _copy(admin, ChangeRequest, _requests(forks, blueprints, owners))
        for model in (Blueprint, Fork):
            admin.execute(_history_of(model))
        admin.commit()
        admin.autocommit = True
        admin.execute("VACUUM ANALYZE")


def _kind_of(document: Document) -> Kind:
    documents = {FIRST: document, SECOND: _later(document)}
    locks = {number: compile_blueprint(one) for number, one in documents.items()}
    variants = [
        _variant(base, documents, change) for base in documents for change in (_nothing, _turns, _prompts, _own_check)
    ]
    return Kind(documents, locks, variants)


def _later(document: Document) -> Document:
    later = copy.deepcopy(document)
    for node in later["nodes"]:
        if node["kind"] == "agent":
            node["max_turns"] -= 1
    later["goal"]["statement"] += " Nothing else changes."
    return later


def _nothing(document: Document) -> None:
    """A fork that has changed nothing yet."""


def _turns(document: Document) -> None:
    """In conflict with the second version."""
    for node in document["nodes"]:
        if node["kind"] == "agent":
            node["max_turns"] -= 2


def _prompts(document: Document) -> None:
    for node in document["nodes"]:
        if node["kind"] == "agent":
            node["prompt"] += "\nKeep to the conventions of our team."


def _own_check(document: Document) -> None:
    _prompts(document)
    document["checks"].append(
        {"id": "ours", "title": "Our own check passes", "sensor": "computational", "command": ["make", "ours"]}
    )


def _variant(base: str, documents: Mapping[str, Document], change: Any) -> Variant:
    document = copy.deepcopy(documents[base])
    change(document)
    wrong = [one for one in lint(document) if one.severity == "error"] + list(weakenings(documents[base], document))
    if wrong:
        raise RuntimeError(f"{document['document']['name']} cannot be forked so: {wrong[0].message}")
    numbers = {}
    for head in documents:
        difference = compare(documents[base], documents[head], document)
        numbers[head] = (difference.behind, difference.drift, len(difference.conflicts))
    operations = [{**operation, "reason": _REASON} for operation in derive(documents[base], document)]
    return Variant(base, operations, document, numbers)


def _owners(admin: psycopg.Connection) -> Iterator[Owner]:
    rows = admin.execute(
        "SELECT t.id, t.tier, t.slug, t.name, array_remove(array_agg(m.domain_id), NULL) FROM tenants_tenant t"
        " LEFT JOIN tenants_domainmembership m ON m.team_id = t.id GROUP BY t.id ORDER BY t.id"
    ).fetchall()
    platform = next(row[0] for row in rows if row[1] == "platform")
    for pk, tier, slug, name, domains in rows:
        yield Owner(pk, tier, slug, name, frozenset({pk, platform, *domains}))


def _blueprint(number: int, owners: Sequence[Owner], kinds: Sequence[Kind]) -> tuple[Row, Kind]:
    """The first is the platform's; then owners take turns. Every third has a second version, which is its head."""
    kind, owner = kinds[number % len(kinds)], owners[number % len(owners)]
    header, at = kind.documents[FIRST]["document"], _moment(number)
    head = SECOND if number % 3 == 0 else FIRST
    row = {
        "id": number + 1,
        "uid": new_uid(),
        "owner_id": owner.pk,
        "name": f"{header['name']}-{number}"[:48],
        "title": f"{header['title']} {number}",
        "summary": header["summary"],
        "variant": header.get("variant", "any"),
        "pattern": kind.documents[FIRST]["pattern"],
        "tags": header.get("tags", []),
        "status": Blueprint.Status.ACTIVE,
        "status_reason": "",
        "head_id": _version_id(number + 1, head),
        "created_at": at,
        "changed_at": at + timedelta(days=head == SECOND),
        "version": 3 if head == SECOND else 2,
    }
    return row, kind


def _version_id(blueprint: int, number: str) -> int:
    return 2 * blueprint - (number == FIRST)


def _moment(number: int) -> datetime:
    return clock.now() - timedelta(days=60, minutes=-number)


def _header(row: Row, kind: Kind, owners: Sequence[Owner], number: str) -> Document:
    owner = owners[(row["id"] - 1) % len(owners)]
    own = {"namespace": namespace_of(owner.tier, owner.slug), "name": row["name"], "version": number}
    return {**kind.documents[number]["document"], **own, "title": row["title"], "owner": owner.slug}


def _versions(row: Row, kind: Kind, owners: Sequence[Owner]) -> Iterator[Row]:
    for number in (FIRST, SECOND):
        if number == SECOND and row["head_id"] != _version_id(row["id"], SECOND):
            continue
        header = _header(row, kind, owners, number)
        document = {**kind.documents[number], "document": header}
        yield {
            "id": _version_id(row["id"], number),
            "uid": new_uid(),
            "blueprint_id": row["id"],
            "owner_id": row["owner_id"],
            "semver": number,
            "digest": digest_of(document),
            "document": document,
            "text": json.dumps(document),
            "lock": _lock(kind.locks[number], document),
            "note": "Written for a bench.",
            "status": Version.Status.PUBLISHED,
            "proposed_at": row["created_at"],
            "decided_at": row["changed_at"],
            "decision_reason": "",
            "version": 2,
        }


def _lock(lock: Document, document: Document) -> Document:
    """A lock of the same content under another header: what is named in it and its digest are other ones."""
    header = document["document"]
    named = {"ref": f"{header['namespace']}/{header['name']}@{header['version']}", "digest": digest_of(document)}
    made = {name: value for name, value in {**lock, **named}.items() if name != "lock_digest"}
    return {**made, "lock_digest": f"sha256:{digest(made)}"}


def _forks(amount: Amount, owners: Sequence[Owner], blueprints: Sequence[tuple[Row, Kind]]) -> Iterator[Row]:
    teams = [owner for owner in owners if owner.tier == "team"]
    forkable = {team.pk: [one for one in blueprints if one[0]["owner_id"] in team.reach] for team in teams}
    for number in range(amount.forks):
        team = teams[number % len(teams)]
        offered = forkable[team.pk]
        row, kind = blueprints[0] if number < amount.popular else offered[(number // len(teams)) % len(offered)]
        yield _fork(number, team, row, kind, owners)


def _fork(number: int, team: Owner, row: Row, kind: Kind, owners: Sequence[Owner]) -> Row:
    head = SECOND if row["head_id"] == _version_id(row["id"], SECOND) else FIRST
    offered = [variant for variant in kind.variants if variant.base <= head]
    variant = offered[(number // 7) % len(offered)]
    own = {"namespace": namespace_of("team", team.slug), "name": f"fork-{number}", "version": "0.1.0"}
    header = {**_header(row, kind, owners, variant.base), **own, "owner": team.slug}
    document = {**variant.document, "document": header}
    behind, drift, conflicts = variant.numbers[head]
    return {
        "id": number + 1,
        "uid": new_uid(),
        "owner_id": team.pk,
        "blueprint_id": row["id"],
        "base_id": _version_id(row["id"], variant.base),
        "measured_id": row["head_id"],
        "name": own["name"],
        "title": row["title"],
        "mode": Fork.Mode.OVERLAY,
        "status": Fork.Status.ACTIVE,
        "status_reason": "",
        "operations": variant.operations,
        "document": document,
        "digest": digest_of(document),
        "behind": behind,
        "drift": drift,
        "conflicts": conflicts,
        "created_at": row["created_at"],
        "changed_at": row["created_at"] + timedelta(seconds=number),
        "version": 1,
    }


def _requests(forks: Iterable[Row], blueprints: Sequence[tuple[Row, Kind]], owners: Sequence[Owner]) -> Iterator[Row]:
    teams = {owner.pk: owner for owner in owners}
    asking = [fork for fork in forks if fork["operations"]][::_REQUESTED_EVERY]
    for number, fork in enumerate(asking):
        row, team = blueprints[fork["blueprint_id"] - 1][0], teams[fork["owner_id"]]
        yield {
            "id": number + 1,
            "uid": new_uid(),
            "owner_id": row["owner_id"],
            "blueprint_id": row["id"],
            "against_id": row["head_id"],
            "fork_uid": fork["uid"],
            "team_slug": team.slug,
            "team_name": team.name,
            "title": f"Take what {team.name} found",
            "note": "",
            "operations": fork["operations"][:1],
            "status": ChangeRequest.Status.OPEN,
            "opened_at": fork["changed_at"],
            "decision_reason": "",
            "version": 1,
        }


def _copy(admin: psycopg.Connection, model: type[Model], rows: Iterable[Row]) -> None:
    """Writes rows whose keys are columns; the table's sequence goes on behind them."""
    table, columns = model._meta.db_table, None
    iterator = iter(rows)
    first = next(iterator)
    columns = list(first)
    with admin.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copying:
        for row in chain([first], iterator):
            copying.write_row([_plain(name, row[name]) for name in columns])
    admin.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")  # noqa: S608 - names of our own models


def _plain(column: str, value: Any) -> Any:
    return json.dumps(value) if column in {"document", "lock", "operations"} else value


def _history_of(model: type[Model]) -> str:
    """What simple-history writes when a row is made."""
    table = model._meta.db_table
    history = table.replace("_", "_historical", 1)
    left_out = {"behind", "drift", "conflicts", "measured_id"} | ({"document"} if model is Fork else set())
    columns = [field.column for field in model._meta.concrete_fields if field.column not in left_out]
    named = ", ".join(f'"{column}"' for column in columns)
    return (
        f"INSERT INTO {history} ({named}, history_date, history_type, history_change_reason)"  # noqa: S608 - names of our own models
        f" SELECT {named}, created_at, '+', 'written for a bench' FROM {table}"
    )
