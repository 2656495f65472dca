from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from audit import queries, records, services
from audit.queries import Filters, calls_visible
from kernel.clock import now
from kernel.errors import Conflict, NotFound

from .conftest import actor, append, intent, log_of, outcome


@pytest.fixture
def calls(stream, other, worker):
    """Returns rows by name: answered, failed, running and lost calls and a refused one here, one call there."""
    rows = {name: intent(stream) for name in ("answered", "failed", "running", "lost")}
    rows["refused"] = records.denied(
        log_of(stream),
        actor(),
        call=str(uuid4()),
        verb="tools.call",
        object="files__rm",
        arguments=b"{}",
        reasons=["no role"],
    )
    rows["there"] = intent(other, object="mail__send")
    append(*rows.values())
    append(outcome(stream, rows["answered"]["call"]), outcome(stream, rows["failed"]["call"], result="error", ms=7))
    lost = rows["lost"]
    append(records.unknown(log_of(stream), actor(), call=lost["call"], verb="tools.call", object="git__status"))
    worker.run_once()
    return rows


def names(calls, found):
    by_uid = {row["uid"]: name for name, row in calls.items()}
    return [by_uid[str(row.uid)] for row in found]


def test_calls_are_listed_newest_first_each_with_its_outcome_in_one_query(calls, django_assert_num_queries):
    with django_assert_num_queries(1):
        found = calls_visible(None)
    assert names(calls, found) == ["there", "refused", "lost", "running", "failed", "answered"]
    assert [(row.result, row.ms) for row in found] == [
        ("", None), ("", None), ("unknown", None), ("", None), ("error", 7), ("ok", 12)
    ]  # fmt: skip
    assert found[1].reasons == ("no role",)
    assert [row.index for row in found] == [0, 4, 3, 2, 1, 0]
    assert found[0].stream_name == "Rival"


@pytest.mark.parametrize(("scopes", "count"), [(None, 6), ({1}, 5), ([2], 1), ({1, 2}, 6), (set(), 0), ({9}, 0)])
def test_only_the_scopes_are_seen(calls, scopes, count):
    assert len(calls_visible(scopes)) == count


def test_pages_follow_each_other_without_gap_or_overlap(calls):
    seen, before = [], None
    while page := calls_visible(None, before=before, limit=4):
        seen += page
        before = page[-1].id
    assert seen == calls_visible(None)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"text": "MAIL"}, ["there"]),
        ({"text": "tools.ca", "decision": "deny"}, ["refused"]),
        ({"result": "error"}, ["failed"]),
        ({"result": "unknown"}, ["lost"]),
        ({"kind": "denied"}, ["refused"]),
        ({"verb": "nothing"}, []),
        ({"since": now() + timedelta(days=1)}, []),
        ({"until": now() - timedelta(days=1)}, []),
        ({"since": now() - timedelta(days=1), "decision": "deny"}, ["refused"]),
    ],
)
def test_filters(calls, filters, expected):
    assert names(calls, calls_visible(None, Filters(**filters))) == expected


def test_filters_by_id(calls, stream, other):
    there = calls["there"]
    for key in ("person", "agent", "call"):
        assert names(calls, calls_visible(None, Filters(**{key: UUID(there[key])}))) == ["there"]
    assert names(calls, calls_visible(None, Filters(stream=other.uid))) == ["there"]
    assert calls_visible({1}, Filters(stream=other.uid)) == []


def test_an_answer_can_be_asked_for(calls):
    assert [row.kind for row in calls_visible(None, Filters(kind="outcome"))] == ["outcome", "outcome"]


def test_a_late_outcome_says_more_than_unknown(calls, stream):
    append(outcome(stream, calls["lost"]["call"], result="ok", ms=700_000))
    assert [(row.result, row.ms) for row in calls_visible(None, Filters(call=UUID(calls["lost"]["call"])))] == [
        ("ok", 700_000)
    ]


def test_an_outcome_of_another_scope_is_not_shown(calls, other):
    append(outcome(other, calls["running"]["call"], result="forged"))
    assert [row.result for row in calls_visible(None, Filters(call=UUID(calls["running"]["call"])))] == [""]


def test_detail(calls):
    found = queries.event_detail(UUID(calls["answered"]["uid"]), {1})
    assert found.payload == queries.Opened("arguments", '{"a":1}', True)
    assert (found.index, found.checkpoint.size, found.leaf["kind"]) == (0, 8, "intent")
    assert [event.kind for event in found.others] == ["outcome"]
    assert queries.event_detail(found.others[0].uid, None).payload == queries.Opened("result", "done", True)


def test_detail_of_a_record_whose_body_was_not_kept(stream):
    row = intent(stream, keep=False)
    append(row)
    found = queries.event_detail(UUID(row["uid"]), {1})
    assert found.payload == queries.Opened("arguments", None, None)
    assert (found.index, found.checkpoint) == (None, None)


def test_a_record_of_another_scope_is_as_absent_as_none(calls):
    for uid, scopes in ((UUID(calls["there"]["uid"]), {1}), (UUID(calls["there"]["uid"]), set()), (uuid4(), None)):
        with pytest.raises(NotFound):
            queries.event_detail(uid, scopes)
        with pytest.raises(NotFound):
            queries.inclusion_proof(uid, scopes)


def test_no_proof_before_there_is_a_place(stream):
    row = intent(stream)
    append(row)
    with pytest.raises(Conflict):
        queries.inclusion_proof(UUID(row["uid"]))


def test_every_record_of_a_log_with_tiles_is_proved(stream, worker, signer):
    rows = [intent(stream) for _ in range(700)]
    append(*rows)
    worker.run_once()
    for n in (0, 1, 255, 256, 511, 512, 600, 699):
        proof = queries.inclusion_proof(UUID(rows[n]["uid"]))
        assert proof.index == n
        assert proof.verify(signer.verifier()).size == 700


def test_streams_of_the_scopes(stream, other):
    assert list(queries.streams(None)) == [stream, other]
    assert list(queries.streams({2})) == [other]
    assert list(queries.streams(set())) == []
    assert queries.latest_checkpoint(stream.pk) is None


def test_changes_are_listed_too(stream):
    services.record(scope=1, verb="audit.erase_payload", person=None, object="o", reasons=["why"])
    (row,) = calls_visible({1})
    assert (row.kind, row.reasons, row.result, row.ms) == ("change", ("why",), "", None)
