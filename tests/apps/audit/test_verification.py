"""What a superuser with the triggers off may do to the tables, the verifier reports."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from audit import queries, sequencer, services
from audit.models import Checkpoint, Event
from audit.notes import Head, Signer, open_checkpoint
from audit.verification import MAX_FINDINGS, verify_stream
from kernel.clock import now, timestamp

from .conftest import append, intent, outcome


@pytest.fixture
def ledger(open_committed, worker):
    """Returns a committed stream of 300 events under three checkpoints."""
    stream = open_committed(1)
    services.record(scope=1, verb="audit.erase_payload", person=None, object="o", facts={"a": 1})
    for _ in range(3):
        call = intent(stream)
        append(call, outcome(stream, call["call"]), *(intent(stream) for _ in range(97)))
        sequencer.run_until_idle(worker)
    append(intent(stream), intent(stream))
    sequencer.run_until_idle(worker)
    return stream


def test_an_untouched_stream_holds(ledger, signer):
    report = verify_stream(ledger, signer.verifier())
    assert (report.ok, report.findings, report.size, report.checkpoints) == (True, [], 300, 4)
    assert report.root == bytes(Checkpoint.objects.get(size=300).root)


def test_an_empty_stream_holds(stream, signer):
    assert verify_stream(stream, signer.verifier()).ok


AT = "id = (SELECT event_id FROM audit_leaf WHERE index = 150)"
PAID = "event = (SELECT e.uid FROM audit_event e JOIN audit_leaf l ON l.event_id = e.id WHERE l.index = 150)"


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        (f"UPDATE audit_event SET leaf = replace(leaf, 'git__status', 'git__log') WHERE {AT}", {"leaf", "checkpoint"}),
        (f"UPDATE audit_event SET leaf = 'x' WHERE {AT}", {"leaf", "column"}),
        (f"UPDATE audit_event SET leaf = '[]' WHERE {AT}", {"leaf", "column"}),
        (f"UPDATE audit_event SET object = 'git__log' WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET verb = 'x' WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET decision = 'deny' WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET result = 'ok' WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET kind = 'denied' WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET person = agent WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET agent = NULL WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET delegation = NULL WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET call = NULL WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET uid = gen_random_uuid() WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET at = at - interval '1 microsecond' WHERE {AT}", {"column"}),
        (f"UPDATE audit_event SET scope = 2 WHERE {AT}", {"column"}),
        (f"UPDATE audit_payload SET body = 'x' WHERE {PAID}", {"payload"}),
        (f"UPDATE audit_payload SET salt = sha256('x') WHERE {PAID}", {"payload"}),
        (f"UPDATE audit_payload SET scope = 2 WHERE {PAID}", {"payload"}),
        ("UPDATE audit_leaf SET hash = sha256('x') WHERE index = 150", {"leaf"}),
        ("DELETE FROM audit_leaf WHERE index = 150", {"gap", "missing"}),
        (f"DELETE FROM audit_event WHERE {AT}", {"gap", "missing"}),
        ("UPDATE audit_tile SET hashes = set_byte(hashes, 9, get_byte(hashes, 9) # 1)", {"tile"}),
        ("DELETE FROM audit_tile", {"tile"}),
        ("UPDATE audit_checkpoint SET root = sha256('x') WHERE size = 199", {"checkpoint"}),
        ("UPDATE audit_checkpoint SET size = 200 WHERE size = 199", {"checkpoint"}),
        ("UPDATE audit_checkpoint SET note = replace(note, '199', '198') WHERE size = 199", {"signature"}),
        ("DELETE FROM audit_checkpoint WHERE size = 300", {"unsigned"}),
        ("UPDATE audit_leaf SET index = 900 WHERE index = 299", {"unsigned", "missing"}),
    ],
)
def test_a_change_is_found(ledger, signer, tampered, sql, what):
    tampered(sql)
    report = verify_stream(ledger, signer.verifier())
    assert what <= {finding.what for finding in report.findings}, report.findings
    assert not report.ok


def test_two_swapped_entries_are_found(ledger, signer, tampered):
    tampered(
        "UPDATE audit_event e SET leaf = o.leaf FROM audit_event o, audit_leaf a, audit_leaf b "
        "WHERE a.index = 10 AND b.index = 11 AND ((e.id, o.id) IN ((a.event_id, b.event_id), (b.event_id, a.event_id)))"
    )
    found = verify_stream(ledger, signer.verifier()).findings
    assert [(finding.what, finding.index) for finding in found[:1]] == [("leaf", 10)]


def test_a_log_made_anew_with_another_key_is_found(ledger, signer):
    report = verify_stream(ledger, Signer("hanse", Ed25519PrivateKey.generate()).verifier())
    assert {finding.what for finding in report.findings} == {"signature"}


def test_a_log_cut_short_is_found_by_a_checkpoint_kept_outside(ledger, signer, tampered):
    kept = open_checkpoint(Checkpoint.objects.get(size=300).note, signer.verifier())
    tampered("DELETE FROM audit_checkpoint WHERE size = 300")
    tampered("DELETE FROM audit_leaf WHERE index >= 298")
    tampered("DELETE FROM audit_event e WHERE NOT EXISTS (SELECT FROM audit_leaf l WHERE l.event_id = e.id)")
    assert verify_stream(ledger, signer.verifier()).ok
    found = verify_stream(ledger, signer.verifier(), witnessed=[kept]).findings
    assert [finding.what for finding in found] == ["witnessed"]


def test_another_history_is_found_by_a_checkpoint_kept_outside(ledger, signer):
    other = Head(f"hanse/{ledger.uid}", 150, bytes(32))
    foreign = Head("hanse/another", 150, bytes(32))
    found = verify_stream(ledger, signer.verifier(), witnessed=[other, foreign]).findings
    assert [(finding.what, finding.index) for finding in found] == [("witnessed", 149)]


def test_an_erased_payload_is_no_finding(ledger, signer, scope):
    uid = Event.objects.filter(kind="intent").first().uid
    with transaction.atomic():
        scope("*")
        services.erase_payload(uid=uid, person=None, reason="ticket 7")
    assert queries.event_detail(uid, None).payload is None
    assert verify_stream(ledger, signer.verifier()).ok


def test_an_event_that_waits_too_long_is_reported(stream, signer):
    old = intent(stream) | {"at": timestamp(now() - timedelta(seconds=61))}
    append(old, intent(stream))
    (finding,) = verify_stream(stream, signer.verifier()).findings
    assert finding.what == "waiting"
    assert old["uid"] in finding.text


def test_a_long_list_of_findings_is_cut(ledger, signer, tampered):
    tampered("UPDATE audit_event SET result = 'x'")
    assert len(verify_stream(ledger, signer.verifier()).findings) == MAX_FINDINGS
