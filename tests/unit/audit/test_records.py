import hashlib
import json
import subprocess
import sys
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import records
from audit.records import Actor, Kind, Log
from kernel.canonical import canonical_json
from kernel.errors import TooLarge

LOG = Log(7, "5f0c5a52-7f0e-7aaa-8aaa-000000000001", 3)
ACTOR = Actor("p" * 8, "a" * 8, "d" * 8)
CALL = "5f0c5a52-7f0e-7aaa-8aaa-0000000000cc"
SAID = b'{"password":"hunter2"}'


def intent(**more):
    given = {"call": CALL, "verb": "tools.call", "object": "git__status", "arguments": SAID} | more
    return records.intent(LOG, ACTOR, **given)


def test_an_intent_says_who_what_and_why_but_not_what_was_said():
    row = intent(reasons=["role", "grant"], pin="ab", snapshot=12)
    leaf = json.loads(row["leaf"])
    assert leaf == {
        "v": 1, "kind": "intent", "uid": row["uid"], "stream": LOG.uid, "at": row["at"], "person": "p" * 8,
        "agent": "a" * 8, "delegation": "d" * 8, "call": CALL, "verb": "tools.call", "object": "git__status",
        "decision": "allow", "reasons": ["role", "grant"], "pin": "ab", "snapshot": 12,
        "commitments": {"arguments": hashlib.sha256(bytes.fromhex(row["salt"]) + SAID).hexdigest()},
    }  # fmt: skip
    assert "hunter2" not in row["leaf"]
    assert (row["stream"], row["scope"], row["body"], len(row["salt"])) == (7, 3, SAID.decode(), 64)
    assert UUID(row["uid"]).version == 7


def test_the_others():
    denied = records.denied(LOG, ACTOR, call=CALL, verb="v", object="o", arguments=b"{}", reasons=["no role"])
    outcome = records.outcome(LOG, ACTOR, call=CALL, verb="v", object="o", result="ok", ms=12, body=b"done")
    unknown = records.unknown(LOG, ACTOR, call=CALL, verb="v", object="o")
    change = records.change(LOG, Actor("p"), verb="v", object="o", facts=b"{}")
    kinds = [row["kind"] for row in (denied, outcome, unknown, change)]
    assert kinds == [Kind.DENIED, Kind.OUTCOME, Kind.UNKNOWN, Kind.CHANGE]
    assert json.loads(denied["leaf"])["decision"] == denied["decision"] == "deny"
    assert json.loads(outcome["leaf"])["ms"] == 12
    assert "salt" not in unknown
    assert "commitments" not in json.loads(unknown["leaf"])
    assert "agent" not in json.loads(change["leaf"])
    assert change["call"] is None


def test_a_body_that_is_not_kept_leaves_its_commitment():
    row = intent(keep=False)
    assert row["body"] is None
    assert json.loads(row["leaf"])["commitments"]["arguments"] == records.commitment(bytes.fromhex(row["salt"]), SAID)


def test_equal_words_get_different_commitments():
    assert json.loads(intent()["leaf"])["commitments"] != json.loads(intent()["leaf"])["commitments"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_a_leaf_is_canonical_json_whatever_the_words(name, reasons):
    row = intent(object=name, reasons=reasons)
    assert row["leaf"].encode() == canonical_json(json.loads(row["leaf"]))
    assert "\x00" not in row["object"]
    assert json.loads(row["leaf"]).get("object", "") == row["object"]


def test_a_leaf_that_no_bundle_could_hold_is_refused():
    with pytest.raises(TooLarge):
        intent(object="x" * 65_536)


def test_a_batch_is_one_json_text():
    assert [row["kind"] for row in json.loads(records.encode([intent(), intent()]))] == ["intent", "intent"]


@pytest.mark.parametrize("module", ["records", "merkle", "notes", "tiles", "proofs", "keys", "verbs"])
def test_pure_modules_load_no_django(module):
    code = f"import audit.{module}, sys; sys.exit('django' in sys.modules or 'psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
