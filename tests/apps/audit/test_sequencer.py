"""Every event gets one place, whatever commits when; nothing is signed over a log that was changed."""

import threading
from datetime import timedelta
from time import monotonic

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import DataError, connection

from audit import records, sequencer
from audit.merkle import leaf_hash, root_of
from audit.models import Checkpoint, Event, Leaf, Mark, Tile
from audit.notes import Head, Signer, open_checkpoint
from kernel.clock import now, timestamp

from .conftest import append, intent, outcome, uncommitted


def placed(stream):
    return list(Leaf.objects.filter(stream=stream).order_by("index").values_list("index", "event__uid"))


def low():
    mark = Mark.objects.filter(name="sequenced").first()  # there is none while others' transactions hold it back
    return mark.value if mark else 0


def test_events_are_placed_in_order_and_signed(stream, other, worker, signer):
    rows = [intent(stream), intent(other), intent(stream)]
    append(*rows)
    assert worker.run_once() == 3
    assert worker.run_once() == 0
    assert [(n, str(uid)) for n, uid in placed(stream)] == [(0, rows[0]["uid"]), (1, rows[2]["uid"])]
    assert [(n, str(uid)) for n, uid in placed(other)] == [(0, rows[1]["uid"])]
    root = root_of(leaf_hash(row["leaf"].encode()) for row in (rows[0], rows[2]))
    note = Checkpoint.objects.get(stream=stream).note
    assert open_checkpoint(note, signer.verifier()) == Head(f"hanse/{stream.uid}", 2, root)


def test_as_the_audit_role(stream, worker, as_role):
    append(intent(stream))
    with as_role("hanse_audit"):
        assert worker.run_once() == 1
        assert worker.run_once() == 0
        assert sequencer.sweep(limit=timedelta(seconds=-60)) == 1


def test_a_restarted_sequencer_goes_on_with_the_same_tree(stream, worker, signer):
    rows = [intent(stream) for _ in range(700)]
    for first in range(0, 700, 100):
        append(*rows[first : first + 100])
        assert sequencer.Sequencer(signer).run_once() == 100
    assert Checkpoint.objects.order_by("-size").first().root == root_of(leaf_hash(row["leaf"].encode()) for row in rows)
    assert list(Tile.objects.order_by("level", "index").values_list("level", "index")) == [(0, 0), (0, 1)]


def test_a_batch_has_a_limit_and_the_rest_follows(stream, signer):
    append(*(intent(stream) for _ in range(25)))
    worker = sequencer.Sequencer(signer, batch=10)
    assert [worker.run_once() for _ in range(4)] == [10, 10, 5, 0]
    assert [index for index, _ in placed(stream)] == list(range(25))


def test_a_lower_id_that_commits_late_is_not_skipped(open_committed, superuser_dsn, worker):
    stream = open_committed(1)
    slow, quick, later = intent(stream), intent(stream), intent(stream)
    with uncommitted(superuser_dsn, slow):
        append(quick)
        assert worker.run_once() == 1
        append(later)
        assert worker.run_once() == 1
        assert worker.run_once() == 0
    assert worker.run_once() == 1
    assert [str(uid) for _, uid in placed(stream)] == [quick["uid"], later["uid"], slow["uid"]]
    # The mark may pass only what no transaction of the server can add to any more, so it waits for other tests' too.
    until = monotonic() + 240
    while low() < max(Event.objects.values_list("id", flat=True)):
        assert monotonic() < until
        sequencer.run_until_idle(worker)


def test_a_lower_id_in_a_younger_transaction_is_not_skipped(open_committed, superuser_dsn, worker):
    """The event with the higher id has the lower transaction number: comparing numbers with ids alone would skip one."""
    stream = open_committed(1)
    slow, quick = intent(stream), intent(stream)
    with psycopg.connect(superuser_dsn) as older:
        older.execute("SELECT pg_current_xact_id()")
        with uncommitted(superuser_dsn, slow):
            older.execute("SELECT audit_append(%s::jsonb)", [records.encode([quick])])
            older.commit()
            assert worker.run_once() == 1
            assert worker.run_once() == 0
        assert worker.run_once() == 1
    assert [str(uid) for _, uid in placed(stream)] == [quick["uid"], slow["uid"]]


def test_a_restart_between_does_not_skip_either(open_committed, superuser_dsn, signer):
    stream = open_committed(1)
    with uncommitted(superuser_dsn, intent(stream)):
        append(intent(stream))
        assert sequencer.Sequencer(signer).run_once() == 1
        assert sequencer.Sequencer(signer).run_once() == 0
    assert sequencer.Sequencer(signer).run_once() == 1


def test_an_event_that_was_rolled_back_leaves_no_gap(open_committed, superuser_dsn, worker):
    stream = open_committed(1)
    with uncommitted(superuser_dsn, intent(stream)) as session:
        append(intent(stream))
        worker.run_once()
        session.rollback()
    append(intent(stream))
    sequencer.run_until_idle(worker)
    assert [index for index, _ in placed(stream)] == [0, 1]


def test_many_writers_at_once_lose_nothing(open_committed, superuser_dsn, worker):
    stream = open_committed(1)
    batches = [[intent(stream) for _ in range(7)] for _ in range(40)]

    def write(mine):
        with psycopg.connect(superuser_dsn, autocommit=True) as session:
            for rows in mine:
                session.execute("SELECT audit_append(%s::jsonb)", [records.encode(rows)])

    threads = [threading.Thread(target=write, args=(batches[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        worker.run_once()
    for thread in threads:
        thread.join()
    sequencer.run_until_idle(worker)
    assert {str(uid) for _, uid in placed(stream)} == {row["uid"] for rows in batches for row in rows}
    assert [index for index, _ in placed(stream)] == list(range(280))


def test_only_one_sequencer_works(open_committed, superuser_dsn, worker):
    append(intent(open_committed(1)))
    with psycopg.connect(superuser_dsn) as session:
        session.execute("SELECT pg_advisory_xact_lock(%s)", [sequencer.LOCK])
        assert worker.run_once() == 0
        assert sequencer.sweep() == 0
    assert worker.run_once() == 1


def test_two_that_take_turns_keep_one_tree(stream, signer):
    one, two = sequencer.Sequencer(signer), sequencer.Sequencer(signer)
    rows = [intent(stream) for _ in range(6)]
    for n, row in enumerate(rows):
        append(row)
        assert (one if n % 2 else two).run_once() == 1
    assert Checkpoint.objects.get(size=6).root == root_of(leaf_hash(row["leaf"].encode()) for row in rows)


def test_nothing_is_signed_over_a_changed_tree(open_committed, tampered, signer, worker, caplog):
    stream, healthy = open_committed(1), open_committed(2)
    append(intent(stream), intent(healthy))
    worker.run_once()
    tampered("UPDATE audit_leaf SET hash = sha256('x') WHERE stream_id = %s", stream.pk)
    append(intent(stream), intent(healthy))
    fresh = sequencer.Sequencer(signer)
    sequencer.run_until_idle(fresh)
    assert Checkpoint.objects.filter(stream=stream).count() == 1
    assert Checkpoint.objects.filter(stream=healthy).count() == 2
    assert "does not match its last checkpoint" in caplog.text
    waiting = Event.objects.filter(place=None).get()
    assert waiting.stream_id == stream.pk
    first = Event.objects.filter(stream=stream).earliest("id")
    tampered("UPDATE audit_leaf SET hash = %s WHERE stream_id = %s", leaf_hash(first.leaf.encode()), stream.pk)
    sequencer.run_until_idle(sequencer.Sequencer(signer))
    assert Leaf.objects.get(event=waiting).index == 1


def test_nothing_is_signed_with_another_key_over_the_same_log(stream, worker, caplog):
    append(intent(stream))
    worker.run_once()
    append(intent(stream))
    other = sequencer.Sequencer(Signer("hanse", Ed25519PrivateKey.generate()))
    other.run_once()
    assert Checkpoint.objects.count() == 1
    assert "expected key" in caplog.text


def test_a_failed_pass_leaves_nothing_and_is_made_again(stream, worker, monkeypatch):
    append(intent(stream))
    worker.run_once()
    append(intent(stream))
    with monkeypatch.context() as patch:
        patch.setattr(sequencer, "_CHECKPOINTS", "SELECT 1 / 0, %s, %s, %s, %s")
        with pytest.raises(DataError):
            worker.run_once()
    assert Leaf.objects.count() == 1
    assert worker.run_once() == 1
    assert Checkpoint.objects.order_by("-size").first().size == 2


def old(row):
    return row | {"at": timestamp(now() - timedelta(minutes=11))}


def test_a_call_without_an_outcome_becomes_unknown_once(stream, worker):
    lost, young, answered = old(intent(stream)), intent(stream), old(intent(stream))
    append(lost, young, answered, outcome(stream, answered["call"]))
    worker.run_once()
    assert sequencer.sweep() == 1
    assert sequencer.sweep() == 0
    unknown = Event.objects.get(kind="unknown")
    assert (str(unknown.call), unknown.result) == (lost["call"], "unknown")
    assert [str(unknown.person), str(unknown.agent)] == [lost["person"], lost["agent"]]
    assert worker.run_once() == 1


def test_the_sweeper_takes_them_all_batch_by_batch(stream, worker):
    append(*(old(intent(stream)) for _ in range(12)))
    worker.run_once()
    assert [sequencer.sweep(batch=5) for _ in range(4)] == [5, 5, 2, 0]


def test_the_sweeper_comes_back_for_a_call_that_was_young(stream, worker):
    append(old(intent(stream)), intent(stream), old(intent(stream)))
    worker.run_once()
    assert sequencer.sweep() == 2
    assert sequencer.sweep(limit=timedelta(seconds=-60)) == 1
    worker.run_once()
    # How far it may say that nothing is left depends on other sessions of the server, which other tests have.
    Mark.objects.update_or_create(name="sequenced", defaults={"value": Event.objects.latest("pk").pk})
    assert sequencer.sweep(limit=timedelta(seconds=-60)) == 0
    assert Mark.objects.get(name="swept").value > 0


class Stopping(threading.Event):
    """Is set after so many waits, so that the loop ends without a clock."""

    def __init__(self, waits):
        super().__init__()
        self.left = waits

    def wait(self, timeout=None):
        self.left -= 1
        if self.left <= 0:
            self.set()
        return self.is_set()


def test_the_loop_outlives_a_lost_connection(open_committed, superuser_dsn, worker):
    stream = open_committed(1)
    append(intent(stream))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    sequencer.run(worker, Stopping(3))
    assert Leaf.objects.count() == 1


def test_the_loop_stops_when_told(open_committed, worker):
    stop = threading.Event()
    stop.set()
    sequencer.run(worker, stop)
    assert not Mark.objects.exists()
