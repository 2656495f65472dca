"""Gives every event its place in its stream's tree and signs the result. One sequencer works at a time.

Events commit in any order, so a lower id can appear after a higher one. Nothing may be skipped and the whole log cannot
be searched on every pass, so the sequencer keeps a low-water mark: every event up to it has its place, and no more can
come. The mark moves by fences. A fence is (the highest id handed out, the sequencer's own transaction number taken
after that). An event takes its transaction's number before its id (see the migration), so whoever holds an id up to the
fence has a lower number; once no transaction below the fence's number runs, all of those ids are visible or void.
"""

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError, connection, transaction

from audit import records
from audit.merkle import Tree, leaf_hash
from audit.models import Mark
from audit.notes import NoteError, Signer, open_checkpoint
from audit.records import Actor, Log
from audit.trees import load_tree
from kernel.clock import monotonic_ms, now

BATCH: Final = 1_000
SWEEP_BATCH: Final = 500
LOCK: Final = 0x48414E5345  # "HANSE"; an advisory lock for the length of one pass
SEQUENCED: Final = "sequenced"
SWEPT: Final = "swept"
POLL_SECONDS: Final = 0.25
SWEEP_SECONDS: Final = 30.0
MAX_BACKOFF_SECONDS: Final = 5.0
OUTCOME_LIMIT: Final = timedelta(minutes=10)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event without a place."""

    id: int
    stream: int
    leaf: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A stream's public id and what its last checkpoint says; size 0 and no note before the first."""

    uid: str
    size: int
    root: bytes
    note: str


@dataclass(slots=True)
class Grown:
    """What one pass adds to all trees, written with one statement a table."""

    leaves: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    tiles: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    checkpoints: list[tuple[int, int, bytes, str]] = field(default_factory=list)

    def write(self) -> None:
        _insert(_LEAVES, self.leaves)
        _insert(_TILES, self.tiles)
        _insert(_CHECKPOINTS, self.checkpoints)


@dataclass(slots=True)
class Sequencer:
    """Holds the right edges of the trees between passes; all of it can be rebuilt from the database."""

    signer: Signer
    batch: int = BATCH
    trees: dict[int, Tree] = field(default_factory=dict)
    fences: deque[tuple[int, int]] = field(default_factory=deque)
    halted: set[int] = field(default_factory=set)

    def run_once(self) -> int:
        """Returns how many events got a place; 0 too while another sequencer works. All of a pass commits, or none."""
        try:
            with transaction.atomic():
                return self._pass() if _take_lock() else 0
        except BaseException:
            self.forget()
            raise

    def forget(self) -> None:
        """Drops what is held in memory: after an error it may be ahead of the database."""
        self.trees.clear()
        self.fences.clear()
        self.halted.clear()

    def _pass(self) -> int:
        low = _read_mark(SEQUENCED)
        high = _one("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM audit_event_order")
        if low >= high:
            return 0
        passed = self._pass_fences(low, high)
        found = _find_waiting(low, self.batch, sorted(self.halted))
        self._place(found)
        if len(found) == self.batch:
            passed = min(passed, found[-1].id)
        if passed > low and not self.halted:
            _write_mark(SEQUENCED, passed)
        return len(found)

    def _pass_fences(self, low: int, high: int) -> int:
        """Returns the id up to which no event can still appear. Events must be read after this, in a new snapshot."""
        if not self.fences or self.fences[-1][0] < high:
            self.fences.append((high, _one("SELECT pg_current_xact_id()::text::bigint")))
        oldest = _one("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        passed = low
        while self.fences and self.fences[0][1] <= oldest:
            passed = max(passed, self.fences.popleft()[0])
        return passed

    def _place(self, found: Sequence[Waiting]) -> None:
        streams: dict[int, list[Waiting]] = defaultdict(list)
        for event in found:
            streams[event.stream].append(event)
        grown = Grown()
        for stream, head in _read_heads(list(streams)).items():
            tree = self._tree(stream, head)
            if tree is not None:
                self._grow(grown, stream, head.uid, tree, streams[stream])
        grown.write()

    def _tree(self, stream: int, head: Signed) -> Tree | None:
        """Returns the stream's tree if it is the one signed last. Otherwise the stream halts: nothing more is signed."""
        tree = self.trees.get(stream)
        if tree is not None and tree.size == head.size and (head.size == 0 or tree.root() == head.root):
            return tree
        try:
            tree = load_tree(stream, head.size)
            _check_signed(self.signer, head, tree)
        except ValueError:
            self.halted.add(stream)
            log.exception("audit stream %s does not match its last checkpoint; it is not sequenced any more", head.uid)
            return None
        self.trees[stream] = tree
        return tree

    def _grow(self, grown: Grown, stream: int, uid: str, tree: Tree, events: Sequence[Waiting]) -> None:
        for event in events:
            leaf = leaf_hash(event.leaf.encode())
            grown.leaves.append((event.id, stream, tree.size, leaf))
            grown.tiles += ((stream, tile.level, tile.index, tile.hashes) for tile in tree.append(leaf))
        root = tree.root()
        grown.checkpoints.append((stream, tree.size, root, self.signer.checkpoint(uid, tree.size, root)))


def sweep(*, limit: timedelta = OUTCOME_LIMIT, batch: int = SWEEP_BATCH) -> int:
    """Returns how many calls it recorded as unknown: their intent is older than `limit` and no outcome came."""
    cutoff = now() - limit
    with transaction.atomic(), connection.cursor() as cursor:
        if not _take_lock():
            return 0
        swept, low = _read_mark(SWEPT), _read_mark(SEQUENCED)
        cursor.execute(_LOST, {"swept": swept, "cutoff": cutoff, "batch": batch})
        rows = [_unknown_row(*lost) for lost in cursor.fetchall()]
        if rows:
            cursor.execute("SELECT audit_append(%s::jsonb)", [records.encode(rows)])
        if len(rows) < batch:
            cursor.execute(_FIRST_YOUNG, {"swept": swept, "cutoff": cutoff})
            (young,) = cursor.fetchone()
            reached = low if young is None else min(low, young - 1)
            if reached > swept:
                _write_mark(SWEPT, reached)
    return len(rows)


def run_until_idle(sequencer: Sequencer, *, limit: timedelta = OUTCOME_LIMIT) -> int:
    """Returns how many events got a place until none waited; the lost calls found meanwhile are among them."""
    placed = _drain(sequencer)
    while sweep(limit=limit) == SWEEP_BATCH:
        pass
    return placed + _drain(sequencer)


def _drain(sequencer: Sequencer) -> int:
    placed = 0
    while count := sequencer.run_once():
        placed += count
    return placed


def run(
    sequencer: Sequencer,
    stop: threading.Event,
    *,
    limit: timedelta = OUTCOME_LIMIT,
    poll: float = POLL_SECONDS,
    sweep_every: float = SWEEP_SECONDS,
) -> None:
    """Works until `stop` is set. Outlives the database: it drops the connection, waits a little longer each time, goes on."""
    failures, next_sweep = 0, monotonic_ms()
    while not stop.is_set():
        try:
            if monotonic_ms() >= next_sweep:
                sweep(limit=limit)
                next_sweep = monotonic_ms() + sweep_every * 1000
            placed = sequencer.run_once()
            failures = 0
            if placed < sequencer.batch:
                stop.wait(poll)
        except (DatabaseError, InterfaceError) as error:
            failures += 1
            log.warning("audit sequencer: %s; trying again", type(error).__name__)
            _drop_connection(sequencer)
            stop.wait(min(poll * 2**failures, MAX_BACKOFF_SECONDS))
    connection.close()


_LOST: Final = """
SELECT s.id, s.uid::text, s.scope, e.person::text, e.agent::text, e.delegation::text, e.call::text, e.verb, e.object
FROM audit_event e JOIN audit_stream s ON s.id = e.stream_id
WHERE e.kind = 'intent' AND e.id > %(swept)s AND e.at < %(cutoff)s
  AND NOT EXISTS (SELECT FROM audit_event o WHERE o.call = e.call AND o.kind IN ('outcome', 'unknown'))
ORDER BY e.id LIMIT %(batch)s
"""
_FIRST_YOUNG: Final = "SELECT min(id) FROM audit_event WHERE kind = 'intent' AND id > %(swept)s AND at >= %(cutoff)s"
_WAITING: Final = """
SELECT e.id, e.stream_id, e.leaf FROM audit_event e
WHERE e.id > %s AND e.stream_id <> ALL(%s::bigint[]) AND NOT EXISTS (SELECT FROM audit_leaf l WHERE l.event_id = e.id)
ORDER BY e.id LIMIT %s
"""
_HEADS: Final = """
SELECT s.id, s.uid::text, COALESCE(c.size, 0), c.root, COALESCE(c.note, '')
FROM audit_stream s LEFT JOIN LATERAL (
  SELECT size, root, note FROM audit_checkpoint WHERE stream_id = s.id ORDER BY size DESC LIMIT 1) c ON true
WHERE s.id = ANY(%s::bigint[])
"""
_LEAVES: Final = """
INSERT INTO audit_leaf (event_id, stream_id, index, hash)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bytea[])
"""
_TILES: Final = """
INSERT INTO audit_tile (stream_id, level, index, hashes)
SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::bigint[], %s::bytea[])
"""
_CHECKPOINTS: Final = """
INSERT INTO audit_checkpoint (stream_id, size, root, note, at)
SELECT *, now() FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[], %s::text[])
"""


def _unknown_row(
    stream: int,
    uid: str,
    scope: int,
    person: str | None,
    agent: str | None,
    delegation: str | None,
    call: str,
    verb: str,
    object: str,  # noqa: A002
) -> records.Row:
    return records.unknown(
        Log(stream, uid, scope), Actor(person, agent, delegation), call=call, verb=verb, object=object
    )


def _check_signed(signer: Signer, signed: Signed, tree: Tree) -> None:
    if not tree.size and not signed.note:
        return
    head = open_checkpoint(signed.note, signer.verifier())
    if (head.origin, head.size, head.root) != (signer.origin(signed.uid), tree.size, tree.root()):
        raise NoteError("the last checkpoint is not of this tree")


def _find_waiting(low: int, batch: int, halted: list[int]) -> list[Waiting]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [low, halted, batch])
        return [Waiting(*row) for row in cursor.fetchall()]


def _read_heads(streams: list[int]) -> dict[int, Signed]:
    if not streams:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_HEADS, [streams])
        return {key: Signed(uid, size, bytes(root or b""), note) for key, uid, size, root, note in cursor.fetchall()}


def _insert(sql: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(sql, [list(column) for column in zip(*rows, strict=True)])


def _take_lock() -> bool:
    return bool(_one(f"SELECT pg_try_advisory_xact_lock({LOCK})::int"))


def _one(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def _read_mark(name: str) -> int:
    return Mark.objects.filter(name=name).values_list("value", flat=True).first() or 0


def _write_mark(name: str, value: int) -> None:
    Mark.objects.update_or_create(name=name, defaults={"value": value})


def _drop_connection(sequencer: Sequencer) -> None:
    sequencer.forget()
    try:
        connection.close()
    except (DatabaseError, InterfaceError):
        connection.connection = None
