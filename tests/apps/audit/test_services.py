import json
from uuid import uuid4

import pytest
from django.db import transaction

from audit import queries, services, verbs
from audit.models import Event, Payload, Stream
from kernel.errors import NotFound

VERB = "audit.erase_payload"


def test_a_stream_is_opened_once(db):
    first = services.open_stream(scope=5, name="Ledger")
    assert services.open_stream(scope=5, name="Another name") == first
    assert Stream.objects.get().name == "Ledger"


def test_a_change_is_recorded_with_its_facts_apart(stream):
    person = uuid4()
    event = services.record(
        scope=1, verb=VERB, person=person, object="person:ann", facts={"mail": "ann@x"}, reasons=["r"]
    )
    leaf = json.loads(event.leaf)
    assert (event.kind, event.person, event.scope, event.stream) == ("change", person, 1, stream)
    assert (leaf["person"], leaf["reasons"], leaf["stream"]) == (str(person), ["r"], str(stream.uid))
    assert "ann@x" not in event.leaf
    assert queries.event_detail(event.uid, {1}).payload == queries.Opened("facts", '{"mail":"ann@x"}', True)


def test_as_the_portals_role(stream, as_role, scope):
    scope("{1}")
    with as_role("hanse_app"):
        services.open_stream(scope=1, name="Ledger")
        event = services.record(scope=1, verb=VERB, person=None, object="o", facts={"a": 1})
        services.erase_payload(uid=event.uid, person=uuid4(), reason="ticket 7")
    assert [row.verb for row in Event.objects.all()] == [VERB, VERB]


def test_no_stream_no_record(db):
    with pytest.raises(NotFound):
        services.record(scope=77, verb=VERB, person=None, object="o")
    assert not Stream.objects.exists()


def test_an_unknown_verb_is_an_error(stream, monkeypatch):
    monkeypatch.setattr(verbs, "_state", {"frozen": False})
    with pytest.raises(LookupError):
        services.record(scope=1, verb="nobody.knows", person=None, object="o")


def test_the_record_shares_the_fate_of_the_change(stream):
    with transaction.atomic():
        services.record(scope=1, verb=VERB, person=None, object="o")
        transaction.set_rollback(True)
    assert not Event.objects.exists()
    assert not Payload.objects.exists()


def test_erasing_leaves_the_proof_and_is_recorded(stream, worker, signer, scope):
    scope("{1}")
    person = uuid4()
    event = services.record(scope=1, verb=VERB, person=person, object="o", facts={"mail": "ann@x"})
    worker.run_once()
    before = queries.inclusion_proof(event.uid)
    erasing = services.erase_payload(uid=event.uid, person=person, reason="ticket 7")
    worker.run_once()
    assert not Payload.objects.filter(event=event.uid).exists()
    assert queries.event_detail(event.uid, None).payload is None
    assert (erasing.object, erasing.person, json.loads(erasing.leaf)["reasons"]) == (
        str(event.uid),
        person,
        ["ticket 7"],
    )
    after = queries.inclusion_proof(event.uid)
    assert before.verify(signer.verifier()).size == 1
    assert after.verify(signer.verifier()).size == 2
    assert before.leaf == after.leaf
    with pytest.raises(NotFound):
        services.erase_payload(uid=event.uid, person=person, reason="again")


def test_what_is_not_there_or_not_in_scope_cannot_be_erased(stream, other, as_role, scope):
    event = services.record(scope=2, verb=VERB, person=None, object="o")
    scope("{1}")
    with as_role("hanse_app"):
        for uid in (uuid4(), event.uid):
            with pytest.raises(NotFound):
                services.erase_payload(uid=uid, person=uuid4(), reason="r")
    assert Payload.objects.filter(event=event.uid).exists()
