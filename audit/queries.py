"""Reads of the log. Each takes the scopes that the reader may see: `None` means all, an empty set means nothing."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import JSONObject, StrIndex, Substr, TruncHour

from audit.merkle import inclusion_proof as merkle_path
from audit.models import Checkpoint, Event, Leaf, Payload, Stream
from audit.proofs import Proof
from audit.records import Kind, commitment
from audit.trees import node_reader
from kernel.errors import Conflict, NotFound

Scopes = Collection[int] | None
ANSWERS: Final = (Kind.OUTCOME, Kind.UNKNOWN)
PAGE: Final = 50
MAX_PAGE: Final = 500
CHUNK: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to look for; every field left alone means any."""

    since: datetime | None = None
    until: datetime | None = None
    person: UUID | None = None
    agent: UUID | None = None
    text: str = ""
    verb: str = ""
    decision: str = ""
    result: str = ""
    kind: str = ""
    stream: UUID | None = None
    call: UUID | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A call or a change as the explorer lists it. `result` is that of the outcome, `unknown`, or empty while it runs."""

    id: int
    uid: UUID
    stream: UUID
    stream_name: str
    scope: int
    kind: str
    call: UUID | None
    at: datetime
    person: UUID | None
    agent: UUID | None
    delegation: UUID | None
    verb: str
    object: str
    decision: str
    reasons: tuple[str, ...]
    result: str
    ms: int | None
    index: int | None


@dataclass(frozen=True, slots=True)
class Opened:
    """What was said, next to the leaf's commitment to it. `matches` is None when the body was not kept."""

    part: str
    body: str | None
    matches: bool | None


@dataclass(frozen=True, slots=True)
class Detail:
    """One record: its leaf as it is in the tree, what was said (None once erased), its place, and its call's other records."""

    event: Event
    leaf: dict[str, object]
    payload: Opened | None
    index: int | None
    checkpoint: Checkpoint | None
    others: list[Event] = field(default_factory=list)


def calls_visible(
    scopes: Scopes, filters: Filters | None = None, *, before: int | None = None, limit: int = PAGE
) -> list[Row]:
    """Returns calls and changes, newest first, each with its outcome, in one query. Go on with `before=rows[-1].id`."""
    return rows_of(events_visible(scopes, filters, before=before, limit=limit))


def events_visible(
    scopes: Scopes, filters: Filters | None = None, *, before: int | None = None, limit: int = PAGE
) -> QuerySet[Event]:
    """Returns what `calls_visible` makes its rows of, for who reads it together with other things: see `rows_of`."""
    events = _filtered(_within(Event.objects.all(), scopes), filters or Filters())
    if before is not None:
        events = events.filter(id__lt=before)
    answer = _answers().values(json=JSONObject(result="result", leaf="leaf"))[:1]
    events = events.select_related("stream").annotate(answer=Subquery(answer), index=F("place__index"))
    return events.order_by("-id")[: max(1, min(limit, MAX_PAGE))]


def rows_of(events: Iterable[Event]) -> list[Row]:
    """Returns the events as the explorer lists them."""
    return [_row(event) for event in events]


def first_calls(scope: int) -> QuerySet[Event]:
    """Returns the first call of a scope that was allowed and ended well; nothing before there is one. See `rows_of`."""
    filters = Filters(kind=Kind.INTENT, result="ok")
    events = _filtered(Event.objects.filter(scope=scope), filters).select_related("stream")
    return events.annotate(index=F("place__index")).order_by("id")[:1]


def event_detail(uid: UUID, scopes: Scopes) -> Detail:
    """Returns one record. Raises `NotFound` alike for what is not there and what the reader may not see."""
    event = _within(Event.objects.select_related("stream"), scopes).filter(uid=uid).first()
    if event is None:
        raise NotFound("There is no such audit record.")
    leaf: dict[str, object] = orjson.loads(event.leaf)
    index = Leaf.objects.filter(event=event).values_list("index", flat=True).first()
    others = Event.objects.filter(call=event.call, scope=event.scope).exclude(pk=event.pk) if event.call else []
    checkpoint = None if index is None else _first_checkpoint_over(event.stream_id, index)
    return Detail(event, leaf, _opened(uid, leaf), index, checkpoint, list(others))


def inclusion_proof(uid: UUID, scopes: Scopes = None) -> Proof:
    """Returns the proof that a record is in its stream's tree, under the stream's latest checkpoint."""
    event = _within(Event.objects.all(), scopes).filter(uid=uid).first()
    if event is None:
        raise NotFound("There is no such audit record.")
    index = Leaf.objects.filter(event=event).values_list("index", flat=True).first()
    checkpoint = latest_checkpoint(event.stream_id)
    if index is None or checkpoint is None:
        raise Conflict("The record has no place in the tree yet; the sequencer gives it one within seconds.")
    path = merkle_path(node_reader(event.stream_id), index, checkpoint.size)
    return Proof(event.leaf.encode(), index, tuple(path), checkpoint.note)


def streams(scopes: Scopes) -> QuerySet[Stream]:
    """Returns the streams of the scopes, by name."""
    found = Stream.objects.all() if scopes is None else Stream.objects.filter(scope__in=list(scopes))
    return found.order_by("name", "id")


def latest_checkpoint(stream: int) -> Checkpoint | None:
    """Returns a stream's newest checkpoint; None before its first event was sequenced."""
    return Checkpoint.objects.filter(stream=stream).order_by("-size").first()


def entries(stream: int, size: int) -> Iterator[bytes]:
    """Yields the exact leaf bytes of the first `size` entries in order."""
    leaves = Leaf.objects.filter(stream=stream, index__lt=size).order_by("index").values_list("event__leaf", flat=True)
    for text in leaves.iterator(chunk_size=CHUNK):
        yield text.encode()


def _within(events: QuerySet[Event], scopes: Scopes) -> QuerySet[Event]:
    return events if scopes is None else events.filter(scope__in=list(scopes))


def _answers() -> QuerySet[Event]:
    """A late outcome says more than the sweeper's `unknown`, and comes first by name too."""
    return Event.objects.filter(call=OuterRef("call"), scope=OuterRef("scope"), kind__in=ANSWERS).order_by("kind", "id")


def _filtered(events: QuerySet[Event], filters: Filters) -> QuerySet[Event]:
    exact = {
        "at__gte": filters.since,
        "at__lt": filters.until,
        "person": filters.person,
        "agent": filters.agent,
        "verb": filters.verb,
        "decision": filters.decision,
        "kind": filters.kind,
        "stream__uid": filters.stream,
        "call": filters.call,
    }
    events = events.filter(**{name: value for name, value in exact.items() if value})
    if not filters.kind:
        events = events.exclude(kind__in=ANSWERS)
    if filters.text:
        events = events.filter(Q(object__icontains=filters.text) | Q(verb__icontains=filters.text))
    if filters.result:
        events = events.filter(Q(result=filters.result) | Exists(_answers().filter(result=filters.result)))
    return events


def _row(event: Event) -> Row:
    leaf = orjson.loads(event.leaf)
    answer: dict[str, str] = getattr(event, "answer", None) or {}
    told = orjson.loads(answer["leaf"]) if answer else leaf
    return Row(
        id=event.pk,
        uid=event.uid,
        stream=event.stream.uid,
        stream_name=event.stream.name,
        scope=event.scope,
        kind=event.kind,
        call=event.call,
        at=event.at,
        person=event.person,
        agent=event.agent,
        delegation=event.delegation,
        verb=event.verb,
        object=event.object,
        decision=event.decision,
        reasons=tuple(leaf.get("reasons", ())),
        result=answer.get("result", event.result),
        ms=told.get("ms"),
        index=getattr(event, "index", None),
    )


def _opened(uid: UUID, leaf: dict[str, object]) -> Opened | None:
    payload = Payload.objects.filter(event=uid).first()
    commitments = leaf.get("commitments")
    if payload is None or not isinstance(commitments, dict):
        return None
    part, promised = next(iter(commitments.items()))
    if payload.body is None:
        return Opened(part, None, None)
    return Opened(part, payload.body, commitment(bytes(payload.salt), payload.body.encode()) == promised)


def _first_checkpoint_over(stream: int, index: int) -> Checkpoint | None:
    return Checkpoint.objects.filter(stream=stream, size__gt=index).order_by("size").first()


def calls_by_server(scopes: Scopes, since: datetime) -> dict[str, int]:
    """Returns how many calls were tried on each server since a moment, by the part of the object before its slash."""
    return dict(server_calls(scopes, since))


def server_calls(scopes: Scopes, since: datetime, *, but: int | None = None) -> QuerySet[Event, tuple[str, int]]:
    """Returns the pairs of `calls_by_server`, to be read with others, without the calls of one scope."""
    events = _within(Event.objects.filter(kind__in=(Kind.INTENT, Kind.DENIED), at__gte=since), scopes)
    # Ids are UUIDv7, so the moment bounds them too, and their index spares a walk through the whole log.
    floor = UUID(int=int(since.timestamp() * 1000) << 80)
    server = Substr("object", 1, StrIndex("object", Value("/")) - 1)
    events = events.filter(uid__gte=floor) if but is None else events.filter(uid__gte=floor).exclude(scope=but)
    counted: QuerySet[Event, tuple[str, int]] = (
        events.annotate(server=server).order_by().values_list("server").annotate(n=Count("pk"))
    )
    return counted


def calls_by_hour(scopes: Scopes, server: str, since: datetime) -> QuerySet[Event, tuple[datetime, int]]:
    """Returns how many calls were tried on one server in each hour since a moment; hours without any are absent."""
    floor = UUID(int=int(since.timestamp() * 1000) << 80)
    events = Event.objects.filter(kind__in=(Kind.INTENT, Kind.DENIED), uid__gte=floor, at__gte=since)
    events = _within(events, scopes).filter(object__startswith=f"{server}/")
    counted: QuerySet[Event, tuple[datetime, int]] = (
        events.annotate(hour=TruncHour("at")).order_by().values_list("hour").annotate(n=Count("pk"))
    )
    return counted


def calls_since(scopes: Scopes, since: datetime) -> QuerySet[Event]:
    """Returns the calls that were tried since a moment; `CALL_FIGURES` counts them."""
    floor = UUID(int=int(since.timestamp() * 1000) << 80)
    return _within(Event.objects.filter(kind__in=(Kind.INTENT, Kind.DENIED), uid__gte=floor, at__gte=since), scopes)


CALL_FIGURES: Final = {"tried": Count("pk"), "denied": Count("pk", filter=Q(kind=Kind.DENIED))}
"""How many calls were tried and how many of them were denied."""
