from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from audit import records, sequencer, services
from audit.models import Stream
from audit.notes import Signer
from audit.records import Actor, Log
from portal import dsn


@pytest.fixture
def signer() -> Signer:
    return Signer("hanse", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@pytest.fixture
def worker(signer) -> sequencer.Sequencer:
    return sequencer.Sequencer(signer)


@pytest.fixture
def scope() -> Callable[..., None]:
    """Returns a function that sets what the session may see until the transaction ends: `*`, `{1,2}` or nothing."""

    def choose(text: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('hanse.scope', %s, true)", [text])

    return choose


@pytest.fixture
def superuser_dsn(installation, django_db_setup) -> str:
    return dsn.with_database(installation.dsn("superuser"), str(connection.settings_dict["NAME"]))


@pytest.fixture
def tampered(superuser_dsn) -> Callable[..., None]:
    """Returns a function that runs SQL as a superuser with the triggers off: what the log must notice."""

    def tamper(sql: str, *values: object) -> None:
        with psycopg.connect(superuser_dsn, autocommit=True) as admin:
            admin.execute("SET session_replication_role = replica")
            assert admin.execute(sql, values).rowcount > 0

    return tamper


def log_of(stream: Stream) -> Log:
    return Log(stream.pk, str(stream.uid), stream.scope)


def actor() -> Actor:
    return Actor(str(uuid4()), str(uuid4()), str(uuid4()))


def intent(stream: Stream, **more: object) -> records.Row:
    given = {"call": str(uuid4()), "verb": "tools.call", "object": "git__status", "arguments": b'{"a":1}'} | more
    return records.intent(log_of(stream), actor(), **given)


def outcome(stream: Stream, call: object, **more: object) -> records.Row:
    given = {"verb": "tools.call", "object": "git__status", "result": "ok", "ms": 12, "body": b"done"} | more
    return records.outcome(log_of(stream), actor(), call=str(call), **given)


def append(*rows: records.Row) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_append(%s::jsonb)", [records.encode(rows)])


@pytest.fixture
def stream(db) -> Stream:
    return services.open_stream(scope=1, name="Ledger")


@pytest.fixture
def other(db) -> Stream:
    return services.open_stream(scope=2, name="Rival")


@pytest.fixture
def open_committed(transactional_db) -> Callable[[int], Stream]:
    return lambda scope: services.open_stream(scope=scope, name=f"Stream {scope}")


@contextmanager
def uncommitted(dsn: str, *rows: records.Row) -> Iterator[psycopg.Connection]:
    """Another session that has appended and not yet committed. Leaving commits, unless the test rolled back."""
    with psycopg.connect(dsn) as session:
        session.execute("SELECT audit_append(%s::jsonb)", [records.encode(rows)])
        yield session
