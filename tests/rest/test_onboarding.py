"""Onboarding by REST: the steps of the wizard, answered under a revision, planned, and committed twice without harm."""

import pytest

from registry.models import Server
from tenants.models import Onboarding, Tenant

pytestmark = pytest.mark.django_db

TEAM = {"name": "Nordic cards", "kind": "acquired", "domains": ["payments"], "lead": "stranger"}


def begin(call, who="admin"):
    answer = call(who, "POST", "onboardings", {"name": "Nordic cards", "kind": "acquired"})
    assert answer.status_code == 201
    return answer.json()["uid"]


def step(call, who, uid, key):
    answer = call(who, "GET", f"onboardings/{uid}/steps/{key}")
    assert answer.status_code == 200, answer.content
    return answer.json(), answer["ETag"]


def answer(call, who, uid, key, **answers):
    _, tag = step(call, who, uid, key)
    return call(who, "PATCH", f"onboardings/{uid}/steps/{key}", {"answers": answers}, If_Match=tag)


def commit(call, who, uid, key, **body):
    _, tag = step(call, who, uid, key)
    return call(who, "POST", f"onboardings/{uid}/steps/{key}/commit", body, If_Match=tag)


def test_the_steps_go_by_rest_too(world, call, probes, django_capture_on_commit_callbacks):
    uid = begin(call)
    assert answer(call, "admin", uid, "tenant", **TEAM).status_code == 200
    plan = call("admin", "GET", f"onboardings/{uid}/steps/tenant/plan").json()["lines"]
    assert [(line["mark"], line["kind"]) for line in plan] == [("make", "team"), ("make", "role"), ("make", "domain")]
    assert commit(call, "admin", uid, "tenant").status_code == 200
    assert commit(call, "admin", uid, "tenant").status_code == 200
    assert Tenant.objects.filter(name="Nordic cards").count() == 1
    seen = call("stranger", "GET", f"onboardings/{uid}").json()
    assert seen["team"]["slug"] == "nordic-cards"
    assert {one["key"]: one["state"] for one in seen["steps"]}["tenant"] == "done"
    assert answer(call, "stranger", uid, "people", agents="Nordic bot").status_code == 200
    assert commit(call, "stranger", uid, "people").status_code == 200
    found = {"name": "Ledger two", "url": "http://127.0.0.1:9/mcp", "credential_kind": "bearer"}
    assert answer(call, "stranger", uid, "server", **found).status_code == 200
    with django_capture_on_commit_callbacks(execute=True):
        done = commit(call, "stranger", uid, "server", secrets={"credential": "hunter2"})
    assert done.status_code == 200, done.content
    server = Server.objects.get(slug="ledger-two")
    assert (probes, server.credential.kind) == ([server.pk], "bearer")
    assert "hunter2" not in str(Onboarding.objects.get(uid=uid).answers)


def test_an_answer_needs_the_revision_that_was_read(world, call):
    uid = begin(call, "steward")
    body = {"answers": {"region": "North"}}
    path = f"onboardings/{uid}/steps/tenant"
    assert call("steward", "PATCH", path, body).status_code == 428
    _, tag = step(call, "steward", uid, "tenant")
    assert call("steward", "PATCH", path, body, If_Match=tag).status_code == 200
    assert call("admin", "PATCH", path, body, If_Match=tag).status_code == 412
    assert call("steward", "POST", f"{path}/commit", {}, If_Match=tag).status_code == 412


@pytest.mark.parametrize(
    "answers", [{"nothing": 1}, {"name": 7}, {"domains": "x"}, {"kind": "moon"}, {"region": "x" * 500}]
)
def test_an_answer_that_cannot_be_kept_is_named(world, call, answers):
    uid = begin(call)
    refused = answer(call, "admin", uid, "tenant", **answers)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"].endswith(next(iter(answers)))


def test_what_stands_in_the_way_is_told_when_committing(world, call):
    uid = begin(call)
    refused = commit(call, "admin", uid, "tenant")
    assert refused.status_code == 422
    assert {error["pointer"] for error in refused.json()["errors"]} == {"/lead"}
    assert commit(call, "admin", uid, "tenant", secrets={"odd": "x"}).status_code == 422


def test_a_steward_hands_over_and_proposes(world, call):
    uid = begin(call, "steward")
    tag = call("steward", "GET", f"onboardings/{uid}")["ETag"]
    body = {"person": "stranger"}
    assert call("steward", "POST", f"onboardings/{uid}/hand", body, If_Match=tag).status_code == 200
    assert call("stranger", "GET", f"onboardings/{uid}").status_code == 200
    assert call("steward", "POST", f"onboardings/{uid}/propose").status_code == 200
    assert commit(call, "steward", uid, "tenant").status_code == 403


def test_a_server_shows_its_contract(world, call):
    clauses = call("lead", "GET", "servers/ledger-api/contract").json()["clauses"]
    assert {clause["key"]: clause["verdict"] for clause in clauses}["annotations"] == "warning"
    assert all(finding["remedy"] for clause in clauses for finding in clause["findings"])
