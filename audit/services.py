"""Writes to the log from inside the house. Calls through the gateway have their own way in, `audit_append`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from audit import records, verbs
from audit.models import Event, Payload, Stream
from audit.records import Actor, Log
from kernel.canonical import canonical_json
from kernel.errors import NotFound

EVENT_FIELDS = ("kind", "call", "person", "agent", "delegation", "verb", "object", "decision", "result", "leaf")


def open_stream(*, scope: int, name: str, kind: str = "tenant") -> Stream:
    """Returns the stream of a scope, making it if there is none. Its name is the one it was opened with."""
    stream, _created = Stream.objects.get_or_create(scope=scope, defaults={"name": name, "kind": kind})
    return stream


@transaction.atomic
def record(
    *,
    scope: int,
    verb: str,
    person: UUID | None,
    agent: UUID | None = None,
    object: str,  # noqa: A002
    facts: Mapping[str, object] | None = None,
    reasons: Sequence[str] = (),
) -> Event:
    """Returns the event of a change, written in the caller's transaction: both happen or neither.

    `facts` is kept apart from the tree, so it can be erased; the leaf holds only a salted commitment to it.
    """
    stream = Stream.objects.filter(scope=scope).first()
    if stream is None:
        raise NotFound("There is no audit stream for this scope, so nothing can be recorded or changed there.")
    row = records.change(
        Log(stream.pk, str(stream.uid), scope),
        Actor(_text(person), _text(agent)),
        verb=verbs.require(verb),
        object=object,
        facts=canonical_json(dict(facts or {})),
        reasons=reasons,
    )
    return _write(stream, row)


@transaction.atomic
def erase_payload(*, uid: UUID, person: UUID, reason: str) -> Event:
    """Returns the event that records the erasing. The leaf and every proof stay as they were; what was said is gone."""
    event = Event.objects.filter(uid=uid).first()
    if event is None:
        raise NotFound("There is no such audit record.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_erase(%s)", [uid])
        (erased,) = cursor.fetchone()
    if not erased:
        raise NotFound("This record has no payload, or it was erased before.")
    return record(
        scope=event.scope, verb="audit.erase_payload", person=person, object=str(uid), facts={}, reasons=[reason]
    )


def _write(stream: Stream, row: records.Row) -> Event:
    values = {name: row[name] for name in EVENT_FIELDS}
    event = Event(
        uid=UUID(str(row["uid"])),
        stream=stream,
        scope=stream.scope,
        at=datetime.fromisoformat(str(row["at"])),
        **values,
    )
    event.save(force_insert=True)
    event.refresh_from_db()
    body = str(row["body"])
    Payload.objects.create(event=event.uid, scope=stream.scope, salt=bytes.fromhex(str(row["salt"])), body=body)
    return event


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
