"""What the database itself refuses: changing the log, writing past the functions, seeing outside the scope."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from psycopg.errors import InsufficientPrivilege, RestrictViolation

from audit import services
from audit.models import Checkpoint, Event, Leaf, Payload, Stream, Tile

from .conftest import append, intent

COLUMN = {
    "audit_stream": "name",
    "audit_event": "leaf",
    "audit_payload": "body",
    "audit_leaf": "hash",
    "audit_tile": "hashes",
    "audit_checkpoint": "note",
}
FROZEN = [Stream, Event, Leaf, Tile, Checkpoint]


@pytest.fixture
def one_of_each(stream, worker):
    append(*(intent(stream) for _ in range(257)))
    worker.run_once()
    run("SET CONSTRAINTS ALL IMMEDIATE")  # TRUNCATE waits for no deferred check
    for table in COLUMN:
        run(f"ALTER TABLE {table} ENABLE TRIGGER audit_no_truncate")  # the test run switches it off to clean up
    assert all(model.objects.exists() for model in [*FROZEN, Payload])


def run(sql, *values):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def refused(cause, sql, *values):
    with pytest.raises(DatabaseError) as caught:
        run(sql, *values)
    assert isinstance(caught.value.__cause__, cause), caught.value


@pytest.mark.parametrize("model", FROZEN)
def test_not_even_the_owner_changes_or_removes_a_row(one_of_each, model):
    table = model._meta.db_table
    refused(RestrictViolation, f"UPDATE {table} SET {COLUMN[table]} = {COLUMN[table]}")
    refused(RestrictViolation, f"DELETE FROM {table}")
    refused(RestrictViolation, f"TRUNCATE {table} CASCADE")


def test_a_payload_is_never_rewritten(one_of_each):
    refused(RestrictViolation, "UPDATE audit_payload SET body = 'x'")
    refused(RestrictViolation, "TRUNCATE audit_payload")


@pytest.mark.parametrize("role", ["hanse_app", "hanse_gateway", "hanse_audit"])
@pytest.mark.parametrize("table", COLUMN)
def test_no_role_may_change_or_remove(one_of_each, as_role, scope, role, table):
    scope("*")
    with as_role(role):
        refused(InsufficientPrivilege, f"UPDATE {table} SET {COLUMN[table]} = {COLUMN[table]}")
        refused(InsufficientPrivilege, f"DELETE FROM {table}")
        refused(InsufficientPrivilege, f"TRUNCATE {table}")


@pytest.mark.parametrize("table", COLUMN)
def test_the_gateway_reads_nothing(one_of_each, as_role, table):
    with as_role("hanse_gateway"):
        refused(InsufficientPrivilege, f"SELECT * FROM {table}")


def test_the_gateway_appends_by_the_function_alone(stream, as_role):
    with as_role("hanse_gateway"):
        append(intent(stream))
        refused(
            InsufficientPrivilege, "INSERT INTO audit_payload (event, scope, salt) VALUES (gen_random_uuid(), 1, '')"
        )
    assert Event.objects.get().kind == "intent"
    assert Payload.objects.get().body == '{"a":1}'


def test_the_portal_cannot_append_calls(stream, as_role, scope):
    scope("*")
    with as_role("hanse_app"):
        refused(InsufficientPrivilege, "SELECT audit_append('[]'::jsonb)")


@pytest.mark.parametrize(
    "wrong", [{"scope": 2}, {"stream": 999}, {"kind": "change"}, {"kind": "rumour"}, {"uid": None}]
)
def test_one_wrong_row_refuses_the_whole_batch(stream, wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        append(intent(stream), intent(stream) | wrong)
    assert not Event.objects.exists()
    assert not Payload.objects.exists()


def test_the_same_record_twice_is_refused(stream):
    row = intent(stream)
    with pytest.raises(IntegrityError), transaction.atomic():
        append(row, row)


def test_a_batch_keeps_its_order(stream):
    rows = [intent(stream) for _ in range(50)]
    append(*rows)
    assert [str(event.uid) for event in Event.objects.order_by("id")] == [row["uid"] for row in rows]


def test_a_leaf_longer_than_a_bundle_holds_is_refused(stream):
    with pytest.raises(IntegrityError), transaction.atomic():
        append(intent(stream) | {"leaf": "x" * 65_536})


TABLES = ["audit_stream", "audit_event", "audit_payload", "audit_leaf", "audit_checkpoint"]


@pytest.fixture
def two_streams(stream, other, worker):
    append(intent(stream), intent(other))
    worker.run_once()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    ("text", "seen"), [(None, 0), ("", 0), ("{}", 0), ("{9}", 0), ("{1}", 1), ("{1,2}", 2), ("*", 2)]
)
def test_the_portal_sees_what_its_scope_holds(two_streams, as_role, scope, table, text, seen):
    if text is not None:
        scope(text)
    with as_role("hanse_app"):
        assert run(f"SELECT count(*) FROM {table}") == [(seen,)]


def test_the_scope_is_read_once_a_query(two_streams, as_role, scope):
    scope("{1}")
    with as_role("hanse_app"):
        plan = "\n".join(line for (line,) in run("EXPLAIN SELECT * FROM audit_event"))
    assert "(InitPlan 1).col1" in plan
    assert "((InitPlan 2).col1)" in plan
    assert "current_setting" not in plan


def test_the_portal_writes_only_changes_in_its_scope_and_stream(two_streams, stream, other, as_role, scope):
    columns = "uid, stream_id, scope, kind, at, verb, object, decision, result, leaf"
    insert = (
        f"INSERT INTO audit_event ({columns}) VALUES (gen_random_uuid(), %s, %s, %s, now(), 'v', 'o', '', '', '{{}}')"
    )
    scope("{1}")
    with as_role("hanse_app"):
        assert run(insert, stream.pk, 1, "change") == 1
        refused(InsufficientPrivilege, insert, stream.pk, 1, "intent")
        refused(InsufficientPrivilege, insert, other.pk, 2, "change")
        refused(InsufficientPrivilege, insert, other.pk, 1, "change")
        refused(
            InsufficientPrivilege, insert.replace("(uid", "(id, uid").replace("(gen", "(1, gen"), stream.pk, 1, "change"
        )


def test_the_portal_erases_only_in_its_scope(two_streams, as_role, scope):
    there = Event.objects.get(scope=2).uid
    scope("{1}")
    with as_role("hanse_app"):
        assert run("SELECT audit_erase(%s)", there) == [(False,)]
    scope("")
    with as_role("hanse_app"):
        assert run("SELECT audit_erase(%s)", there) == [(False,)]
    assert Payload.objects.count() == 2


def test_only_the_sequencers_role_places_events(two_streams, as_role, scope):
    scope("*")
    for role in ("hanse_app", "hanse_gateway"):
        with as_role(role):
            refused(InsufficientPrivilege, "INSERT INTO audit_leaf SELECT * FROM audit_leaf")
            refused(InsufficientPrivilege, "INSERT INTO audit_checkpoint SELECT * FROM audit_checkpoint")


def test_an_app_without_the_scope_cannot_record(stream, as_role, scope):
    scope("{2}")
    with as_role("hanse_app"), pytest.raises(services.NotFound):
        services.record(scope=1, verb="audit.erase_payload", person=None, object="o")
