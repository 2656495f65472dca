"""A filled form is the record that `audit.records` would have made, whatever stands in it."""

import json
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import records
from audit.forms import Form
from audit.records import Actor, Log
from kernel.canonical import canonical_json

LOG = Log(7, "5f0c5a52-7f0e-7aaa-8aaa-000000000001", 3)
ACTOR = Actor("p" * 8, "a" * 8, "d" * 8)
CALL = "5f0c5a52-7f0e-7aaa-8aaa-0000000000cc"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def like(filled: bytes, made: records.Row) -> None:
    """Asserts that the two differ in nothing but id, moment, salt and what follows from the salt."""
    row = orjson.loads(filled)
    leaf, other = json.loads(row["leaf"]), json.loads(str(made["leaf"]))
    assert row["leaf"].encode() == canonical_json(leaf)
    (part,) = leaf["commitments"]
    if row["body"] is not None:
        assert leaf["commitments"][part] == records.commitment(bytes.fromhex(row["salt"]), row["body"].encode())
    assert (leaf["uid"], leaf["at"]) == (row["uid"], row["at"])
    assert UUID(row["uid"]).version == 7
    assert row["uid"] != made["uid"]
    assert row["salt"] != made["salt"]
    own = {"uid", "at", "salt", "leaf"}
    assert {k: v for k, v in row.items() if k not in own} == {k: v for k, v in made.items() if k not in own}
    own = {"uid", "at", "commitments"}
    assert {k: v for k, v in leaf.items() if k not in own} == {k: v for k, v in other.items() if k not in own}
    assert list(leaf["commitments"]) == list(other["commitments"])


@given(TEXT, TEXT, st.lists(TEXT, max_size=3), st.booleans())
def test_intents_and_refusals(said, target, reasons, keep):
    body = json.dumps({"text": said}).encode()
    same = {"verb": "tools.call", "reasons": reasons, "pin": "ab", "snapshot": 12}
    for form, make in ((Form.intent, records.intent), (Form.denied, records.denied)):
        filled = form(LOG, ACTOR, target=target, **same).fill(call=CALL, body=body, keep=keep)
        like(filled, make(LOG, ACTOR, call=CALL, object=target, arguments=body, keep=keep, **same))


@given(TEXT, st.sampled_from(["ok", "error", "tool_error", "not_json"]), st.integers(0, 10**7), st.booleans())
def test_outcomes(said, result, ms, keep):
    body = said.encode()
    filled = Form.outcome(LOG, ACTOR, verb="v", target="%s %d o").fill(
        call=CALL, body=body, keep=keep, result=result, ms=ms
    )
    like(filled, records.outcome(LOG, ACTOR, call=CALL, verb="v", object="%s %d o", result=result, ms=ms, body=body, keep=keep))  # fmt: skip


def test_no_two_are_alike():
    form = Form.outcome(LOG, ACTOR, verb="v", target="o")
    rows = [orjson.loads(form.fill(call=CALL, body=b"x", result="ok", ms=1)) for _ in range(50)]
    assert len({row["uid"] for row in rows}) == len({row["salt"] for row in rows}) == 50


@pytest.mark.parametrize("result", ["", 'a","kind":"intent', "Ok", "x" * 37, "a b", "ok\n"])
def test_a_result_that_is_no_short_word_is_refused(result):
    with pytest.raises(ValueError, match="short word"):
        Form.outcome(LOG, ACTOR, verb="v", target="o").fill(call=CALL, body=b"x", result=result, ms=1)
