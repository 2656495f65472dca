"""The inbox on screen: who learned what, and that a reviewer accepts, edits, rejects, and a keeper erases."""

import json
import re

import pytest

from registry.context.memories import Memory
from registry.context.models import Document
from tenants.rules import Sensitivity
from tests.pages.written import memory_of


def text_of(response):
    return re.sub(r"\s+", " ", response.content.decode())


def test_the_inbox_narrows_by_state_and_team_and_is_exported(browse):
    def states(who, query=""):
        return [row["state"] for row in json.loads(browse(who).get(f"/inbox/?format=json{query}").content)]

    assert states("reviewer") == ["accepted", "waiting"]
    assert states("reviewer", "&state=waiting&team=mine") == ["waiting"]
    assert states("admin", "&team=rival&state=accepted") == ["accepted"]
    assert states("admin", "&q=drains") == ["waiting", "waiting"]
    assert states("stranger") == []
    assert "No agent has learned anything yet" in text_of(browse("stranger").get("/inbox/"))
    assert "1 for you" in text_of(browse("reviewer").get("/inbox/"))
    assert "for you" not in text_of(browse("member").get("/inbox/"))


def test_a_statement_says_who_learned_it_and_in_which_call(browse, cast):
    found = memory_of(cast.team)
    text = text_of(browse("reviewer").get(f"/inbox/{found.uid}/"))
    for said in ("The queue of Ledger drains slowly.", "Seen.", "Lead", "builder-bot", f"?call={found.call}", "queue"):
        assert said in text
    assert "It waits for you" in text
    assert "Missing: <b>Reviewer in ledger</b>" in text_of(browse("member").get(f"/inbox/{found.uid}/"))


def test_a_statement_is_accepted_edited_and_found(browse, cast):
    found = memory_of(cast.team)
    facts = {"version": found.version, "text": "The queue of Ledger drains within an hour.", "sensitivity": "1"}
    assert browse("reviewer").post(f"/inbox/{found.uid}/accept/", facts).status_code == 302
    found.refresh_from_db()
    assert (found.state, found.text) == ("accepted", facts["text"])
    text = text_of(browse("member").get(f"/context/documents/{found.document.uid}/"))
    assert "Learned by an agent" in text
    assert browse("reviewer").post(f"/inbox/{found.uid}/accept/", {**facts, "version": 2}).status_code == 422
    assert browse("reviewer").post(f"/inbox/{found.uid}/reject/", {"reason": "No."}).status_code == 422


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"text": " "}, 422),
        ({"text": "The password is hunter2-Xyz!"}, 422),
        ({"sensitivity": "9"}, 422),
        ({"version": "9"}, 412),
        ({"version": ""}, 422),
    ],
)
def test_what_cannot_be_remembered_so_is_refused(browse, cast, facts, status):
    found = memory_of(cast.team)
    good = {"version": "1", "text": "So it is.", "sensitivity": "1"}
    answer = browse("reviewer").post(f"/inbox/{found.uid}/accept/", good | facts)
    assert answer.status_code == status
    found.refresh_from_db()
    assert found.state == "waiting"


def test_a_statement_is_rejected_with_a_reason_that_stands_there(browse, cast):
    found = memory_of(cast.team)
    assert browse("reviewer").post(f"/inbox/{found.uid}/reject/", {"reason": " "}).status_code == 422
    assert browse("reviewer").post(f"/inbox/{found.uid}/reject/", {"reason": "Not so."}).status_code == 302
    assert "Not so." in text_of(browse("member").get(f"/inbox/{found.uid}/"))


def test_a_statement_is_erased_with_its_document(browse, cast):
    known = Memory.objects.get(owner=cast.team, state="accepted")
    uid = known.document.uid
    assert browse("lead").post(f"/inbox/{known.uid}/erase/", {"reason": ""}).status_code == 422
    assert browse("lead").post(f"/inbox/{known.uid}/erase/", {"reason": "Personal."}).url == "/inbox/"
    assert not Memory.objects.filter(pk=known.pk).exists()
    assert not Document.objects.filter(uid=uid).exists()


def test_what_was_learned_above_ones_clearance_waits_for_somebody_else(browse, cast):
    found = memory_of(cast.team)
    Memory.objects.filter(pk=found.pk).update(sensitivity=Sensitivity.RESTRICTED)
    client = browse("reviewer")
    assert "drains slowly" not in text_of(client.get("/inbox/"))
    assert "drains slowly" not in text_of(client.get("/"))
    assert client.get(f"/inbox/{found.uid}/").status_code == 404
    assert client.post(f"/inbox/{found.uid}/reject/", {"reason": "No."}).status_code == 404


def test_what_waits_for_a_reviewer_stands_on_home(browse):
    assert "drains slowly" in text_of(browse("reviewer").get("/"))
    assert "drains slowly" not in text_of(browse("member").get("/"))
