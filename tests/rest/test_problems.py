"""Every error is a problem: the right status, a stable code, and what helps the caller on. Never a traceback."""

import logging

import pytest
from django.core.cache import cache
from rest_framework.settings import api_settings

from kernel import errors
from portal.rest import problems
from portal.rest.resources import servers
from portal.rest.resources.agents import tenants as agent_queries

pytestmark = pytest.mark.django_db

MEMBERS = {"type", "title", "status", "code", "detail"}


def told(answer):
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert set(body) >= MEMBERS
    assert body["status"] == answer.status_code
    assert body["type"] == f"urn:hanse:problem:{body['code']}"
    return body


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.Invalid("x"), 422, "invalid"),
        (errors.Unauthenticated("x"), 401, "unauthenticated"),
        (errors.Forbidden("x"), 403, "forbidden"),
        (errors.NotFound("x"), 404, "not_found"),
        (errors.Conflict("x"), 409, "conflict"),
        (errors.PreconditionFailed("x"), 412, "precondition_failed"),
        (errors.TooLarge("x"), 413, "too_large"),
        (errors.RateLimited("x", retry_after=7), 429, "rate_limited"),
        (errors.Unavailable("x"), 503, "unavailable"),
        (problems.Malformed("x"), 400, "malformed"),
        (problems.PreconditionRequired("x"), 428, "precondition_required"),
    ],
)
def test_each_kind_of_error_has_its_status(call, monkeypatch, error, status, code):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(agent_queries, "agents", fail)
    answer = call("lead", "GET", "agents")
    assert (answer.status_code, told(answer)["code"]) == (status, code)
    if status == 429:
        assert answer["Retry-After"] == "7"


def test_every_kind_of_the_error_tree_is_known():
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DomainError)}
    assert kinds - {errors.DomainError} == {kind for kind, _ in problems.STATUS_OF}


def test_what_nobody_foresaw_says_nothing_but_that_it_happened(call, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise RuntimeError("s3cret detail")

    monkeypatch.setattr(agent_queries, "agents", fail)
    with caplog.at_level(logging.ERROR):
        answer = call("lead", "GET", "agents")
    assert (answer.status_code, told(answer)["code"]) == (500, "internal")
    assert b"s3cret" not in answer.content
    assert b"Traceback" not in answer.content
    assert "A REST view failed." in caplog.text


def test_a_denial_names_the_grant_and_who_gives_it(call):
    body = told(call("member", "POST", "servers/ledger-api/activate", If_Match="*"))
    assert body["missing"] == "team_lead in ledger"
    assert body["given_by"] == "a lead of the team or a platform admin"


def test_field_errors_point_at_their_places(call):
    body = told(call("lead", "POST", "groups", {"owner": "ledger", "slug": "g", "name": 3, "tools": ["x"], "extra": 1}))
    assert {item["pointer"] for item in body["errors"]} == {"/extra"}
    body = told(call("lead", "POST", "groups", {"owner": "ledger", "slug": "g", "name": 3, "tools": ["x"]}))
    assert {item["pointer"] for item in body["errors"]} == {"/name", "/tools/0"}
    body = told(call("lead", "POST", "groups", {"owner": "ledger", "slug": "NO!", "name": "x", "tools": []}))
    assert {item["pointer"] for item in body["errors"]} == {"/slug"}


@pytest.mark.parametrize(
    "path",
    ["nowhere", "servers/", "servers/a/b/c", "tools/not-a-uuid", "", "servers/%00", "servers/%0A", "%0Aservers/%0A/x"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_address_that_leads_nowhere(call, path, method):
    assert told(call("lead", method, path))["status"] == 404
    assert told(call("nobody", method, path))["status"] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "FROB"])
def test_a_method_that_a_route_does_not_have(call, method):
    answer = call("lead", method, "servers")
    assert told(answer)["code"] == "method_not_allowed"
    assert answer.status_code == 405
    assert set(answer["Allow"].replace(" ", "").split(",")) >= {"GET", "POST"}


def test_nobody_is_challenged(call):
    answer = call("nobody", "GET", "servers")
    assert told(answer)["code"] == "unauthenticated"
    assert answer["WWW-Authenticate"] == 'Bearer realm="hanse"'


def test_too_many_requests_are_told_when_to_come_back(call, monkeypatch):
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"principal": "8/min", "heavy": "8/min"}, raising=False)
    answers = [call("lead", "GET", "me") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert told(answers[-1])["code"] == "rate_limited"
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert call("member", "GET", "me").status_code == 200
    cache.clear()
    assert call("lead", "GET", "me").status_code == 200


def test_what_was_refused_changed_nothing(call, world, monkeypatch):
    def fail(**kwargs):
        servers.services.quarantine_server.__wrapped__(**kwargs)
        raise errors.Conflict("late")

    monkeypatch.setattr(servers.services, "retire_server", fail)
    assert call("lead", "POST", "servers/ledger-api/retire", {"reason": "x"}, If_Match="*").status_code == 409
    assert call("lead", "GET", "servers/ledger-api").json()["status"] == "draft"
