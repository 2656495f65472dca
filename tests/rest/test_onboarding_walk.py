"""A team is brought on board by REST alone, from its name to its first governed call: no step needs the portal's pages."""

from uuid import uuid4

import pytest

from portal import steps
from portal.calling import Called
from registry.context.models import Import
from registry.context.working import work_on
from registry.models import Server
from registry.surfaces import Shown, take_in_probe
from tenants.onboarding import PLACES
from tests.apps.blueprints import estate
from tests.rest.conftest import UPSTREAM
from tests.rest.test_onboarding import answer, begin, commit, step

pytestmark = pytest.mark.django_db

TEAM = {"name": "Nordic cards", "kind": "acquired", "domains": ["payments"], "lead": "stranger"}
TOOL = {
    "name": "read_balance",
    "description": "Reads the balance of an account.",
    "inputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True},
}
LEAD = "stranger"


def go(call, uid, key, answers, who=LEAD):
    """Answers a step, looks at its dry run, and commits it."""
    kept = answer(call, who, uid, key, **answers)
    assert kept.status_code == 200, kept.content
    lines = call(who, "GET", f"onboardings/{uid}/steps/{key}/plan").json()["lines"]
    assert lines
    assert "fault" not in {line["mark"] for line in lines}, lines
    done = commit(call, who, uid, key)
    assert done.status_code == 200, done.content
    return lines


def bring_documents(call):
    """What was written down comes by the routes of context, as far as the steps are concerned at any time."""
    source = {"owner": "nordic-cards", "slug": "handbook", "name": "Handbook"}
    assert call(LEAD, "POST", "context/sources", source).status_code == 201
    document = {"path": "start.md", "text": "# Starting\n\nCards are printed at night and sent in the morning.\n"}
    path = "context/sources/nordic-cards/handbook/imports"
    began = call(LEAD, "POST", path, {"documents": [document]}).json()
    while work_on(Import.objects.get(uid=began["uid"]).pk, seconds=60):
        pass
    assert call(LEAD, "GET", f"context/imports/{began['uid']}").json()["progress"]["done"] == 1
    (hit,) = call(LEAD, "GET", "context/search?q=cards+printed&mode=text&team=nordic-cards").json()["hits"]
    assert (hit["owner"], hit["path"]) == ("nordic-cards", "start.md")


def test_every_step_goes_by_rest(world, call, probes, monkeypatch):
    uid = begin(call)
    go(call, uid, "tenant", TEAM, who="admin")
    go(call, uid, "people", {"agents": "Nordic bot, builder"})
    bring_documents(call)
    head = estate.publish(world.cast.domain, estate.document_of(world.cast.domain))
    go(call, uid, "libraries", {"forks": [head.blueprint.ref]})
    assert len(call(LEAD, "GET", "forks?team=nordic-cards").json()["items"]) == 1
    go(call, uid, "server", {"name": "Nordic ledger", "url": f"http://{UPSTREAM}/mcp", "credential_kind": "none"})
    server = Server.objects.get(slug="nordic-ledger")
    take_in_probe(server=server, shown=Shown(ok=True, protocol="2026-07-28", tools=[TOOL], bare=True))
    (tool,) = call(LEAD, "GET", "servers/nordic-ledger/tools").json()["items"]
    approval = {"effect": "read", "sensitivity": "internal", "pin": tool["seen_pin"]}
    lines = go(call, uid, "server", {"tools": {tool["name"]: approval}})
    assert {line["kind"] for line in lines} >= {"approval", "activation"}
    assert call(LEAD, "GET", "servers/nordic-ledger").json()["status"] == "active"
    found, _ = step(call, LEAD, uid, "call")
    choices = {question["name"]: question["choices"] for question in found["questions"]}
    (exposed,) = [name for name in choices["tool"] if name.startswith("nordic")]
    go(call, uid, "call", {"agent": choices["agent"][0], "tool": exposed, "arguments": "{}"})
    made, body = uuid4(), {"result": {"content": [{"text": "42"}]}}
    monkeypatch.setattr(steps, "call_tool", lambda **facts: Called(200, body, made))
    called = call(LEAD, "POST", f"onboardings/{uid}/call").json()
    assert (called["ok"], called["call"]) == (True, str(made))
    shown = call(LEAD, "GET", f"onboardings/{uid}").json()
    assert shown["first_call"] == str(made)
    states = {one["key"]: one["state"] for one in shown["steps"]}
    assert list(states) == list(PLACES)
    assert {key for key, state in states.items() if state != "done"} <= {"documents"}


def test_every_step_that_there_is_can_be_read_and_planned(world, call):
    uid = world.own.onboarding.uid
    for one in call("lead", "GET", f"onboardings/{uid}").json()["steps"]:
        path = f"onboardings/{uid}/steps/{one['key']}"
        is_there = one["state"] != "later"
        assert call("lead", "GET", path).status_code == (200 if is_there else 404), one
        assert call("lead", "GET", f"{path}/plan").status_code == (200 if is_there else 404), one
