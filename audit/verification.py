"""Recomputes a stream from its records alone and reports everything that differs from what was stored and signed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Final
from uuid import UUID

import orjson
from django.db.models import Max, Subquery
from django.db.models.functions import Coalesce

from audit.merkle import Tree, leaf_hash
from audit.models import Checkpoint, Event, Leaf, Payload, Stream, Tile
from audit.notes import Head, NoteError, Verifier, open_checkpoint
from audit.records import commitment
from kernel.clock import now, timestamp

GRACE: Final = timedelta(seconds=60)
CHUNK: Final = 2_000
MAX_FINDINGS: Final = 100
REPEATED: Final = ("kind", "verb", "object", "decision", "result")
REPEATED_IDS: Final = ("uid", "person", "agent", "delegation", "call")


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: what kind, where in the stream (None: not at one place), and a sentence."""

    what: str
    index: int | None
    text: str


@dataclass(slots=True)
class Report:
    """What was checked of a stream and what was found, in the order of the log; at most 100 findings are kept."""

    stream: Stream
    size: int = 0
    checkpoints: int = 0
    root: bytes = b""
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, what: str, index: int | None, text: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(what, index, text))


def verify_stream(
    stream: Stream, verifier: Verifier, *, grace: timedelta = GRACE, witnessed: Sequence[Head] = ()
) -> Report:
    """Returns the report of a stream. It trusts the verifier key and `witnessed` heads (kept outside) and nothing else.

    Without a head kept outside, somebody with the signing key and the whole database could still shorten the log.
    """
    report = Report(stream)
    origin = f"{verifier.name}/{stream.uid}"
    size = Checkpoint.objects.filter(stream=stream).aggregate(size=Max("size"))["size"] or 0
    heads = _signed_heads(report, size, origin, verifier)
    outside = {head.size: head for head in witnessed if head.origin == origin}
    _replay(report, size, heads, outside)
    _check_reach(report, outside)
    _check_surplus(report)
    _check_waiting(report, grace)
    return report


def _replay(report: Report, size: int, heads: Iterator[Head], outside: dict[int, Head]) -> None:
    """Walks the leaves once, and at each signed size compares the root."""
    tree = Tree()
    expected = 0
    head = next(heads, None)
    leaves = Leaf.objects.filter(stream=report.stream, index__lt=size).select_related("event").order_by("index")
    rows = leaves.iterator(chunk_size=CHUNK)
    while chunk := list(islice(rows, CHUNK)):
        payloads = Payload.objects.in_bulk([row.event.uid for row in chunk])
        for row in chunk:
            _check_leaf(report, expected, row, payloads.get(row.event.uid))
            expected = row.index + 1  # so that one gap is one finding
            _check_tiles(report, tree, leaf_hash(row.event.leaf.encode()))
            while head is not None and head.size <= tree.size:
                _check_root(report, tree, head, "checkpoint")
                head = next(heads, None)
            if tree.size in outside:
                _check_root(report, tree, outside[tree.size], "witnessed")
    report.size, report.root = tree.size, tree.root()
    if tree.size != size or head is not None:
        report.add("missing", tree.size, f"the log is signed up to {size} entries but holds {tree.size}")


def _check_leaf(report: Report, index: int, row: Leaf, payload: Payload | None) -> None:
    if row.index != index:
        report.add("gap", index, f"entry {index} is missing; the next one is {row.index}")
    if bytes(row.hash) != leaf_hash(row.event.leaf.encode()):
        report.add("leaf", row.index, f"entry {row.index} (record {row.event.uid}) is not what was hashed")
    for name in _different_columns(report.stream, row.event):
        report.add(
            "column", row.index, f"entry {row.index} (record {row.event.uid}): column {name} differs from the leaf"
        )
    if payload is not None and not _payload_holds(row.event, payload):
        report.add(
            "payload", row.index, f"entry {row.index} (record {row.event.uid}): the payload is not what was said"
        )


def _different_columns(stream: Stream, event: Event) -> Iterable[str]:
    leaf = _parse(event.leaf)
    if leaf is None:
        yield "leaf"
        return
    yield from (name for name in REPEATED if leaf.get(name, "") != getattr(event, name))
    yield from (name for name in REPEATED_IDS if leaf.get(name) != _text(getattr(event, name)))
    if leaf.get("at") != timestamp(event.at):
        yield "at"
    if leaf.get("stream") != str(stream.uid):
        yield "stream"
    if event.stream_id != stream.pk or event.scope != stream.scope:
        yield "scope"


def _payload_holds(event: Event, payload: Payload) -> bool:
    leaf = _parse(event.leaf) or {}
    commitments = leaf.get("commitments")
    if not isinstance(commitments, dict) or payload.scope != event.scope:
        return False
    said = None if payload.body is None else commitment(bytes(payload.salt), payload.body.encode())
    return said is None or said in commitments.values()


def _check_tiles(report: Report, tree: Tree, leaf: bytes) -> None:
    for tile in tree.append(leaf):
        stored = Tile.objects.filter(stream=report.stream, level=tile.level, index=tile.index).first()
        if stored is None or bytes(stored.hashes) != tile.hashes:
            report.add("tile", tree.size - 1, f"tile {tile.level}/{tile.index} is missing or differs from its entries")


def _check_root(report: Report, tree: Tree, head: Head, what: str) -> None:
    if head.size == tree.size and head.root != tree.root():
        report.add(what, head.size - 1, f"the first {head.size} entries are not those that were signed")


def _signed_heads(report: Report, size: int, origin: str, verifier: Verifier) -> Iterator[Head]:
    """Yields what each good checkpoint states, by size; reports the others."""
    checkpoints = Checkpoint.objects.filter(stream=report.stream, size__lte=size).order_by("size")
    for row in checkpoints.iterator(chunk_size=CHUNK):
        report.checkpoints += 1
        try:
            head = open_checkpoint(row.note, verifier)
        except NoteError as error:
            report.add("signature", row.size - 1, f"the checkpoint at size {row.size}: {error}")
            continue
        if (head.origin, head.size, head.root) != (origin, row.size, bytes(row.root)):
            report.add("checkpoint", row.size - 1, f"the checkpoint at size {row.size} does not say what was signed")
            continue
        yield head


def _check_reach(report: Report, outside: dict[int, Head]) -> None:
    for size in outside:
        if size > report.size:
            report.add("witnessed", report.size, f"a checkpoint kept outside has {size} entries, the log {report.size}")


def _check_surplus(report: Report) -> None:
    """A leaf and the checkpoint over it commit together, so one statement never sees the one without the other."""
    signed = Checkpoint.objects.filter(stream=report.stream).order_by("-size").values("size")[:1]
    loose = (
        Leaf.objects.filter(stream=report.stream, index__gte=Coalesce(Subquery(signed), 0)).order_by("index").first()
    )
    if loose is not None:
        report.add("unsigned", loose.index, f"entry {loose.index} is beyond the last checkpoint")


def _check_waiting(report: Report, grace: timedelta) -> None:
    late = Event.objects.filter(stream=report.stream, place__isnull=True, at__lt=now() - grace).order_by("id")
    for event in late[:MAX_FINDINGS]:
        report.add("waiting", None, f"record {event.uid} of {timestamp(event.at)} has no place in the tree yet")


def _parse(text: str) -> dict[str, object] | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
