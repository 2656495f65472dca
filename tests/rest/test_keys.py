"""Personal API keys: shown once, hashed, scoped, ending, revocable, and with no more rights than their person."""

from datetime import timedelta

import pytest
from django.test import Client

from audit.models import Event, Payload
from kernel import clock
from portal.rest.models import ApiKey

pytestmark = pytest.mark.django_db

BEARER = "Bearer "


@pytest.fixture
def make_key(call):
    def make(who="lead", **body):
        answer = call(who, "POST", "me/keys", {"name": "ci", **body})
        assert answer.status_code == 201, answer.content
        return answer.json()

    return make


def test_a_key_is_shown_once_and_kept_as_a_digest(make_key, call):
    made = make_key()
    assert made["key"].startswith("hanse_")
    assert made["key"].startswith(made["prefix"])
    listed = call("lead", "GET", "me/keys").json()["items"]
    assert all("key" not in row and "digest" not in row for row in listed)
    stored = f"{list(ApiKey.objects.values())}{list(Event.objects.values())}{list(Payload.objects.values())}"
    assert made["key"] not in stored


def test_a_key_acts_as_its_person_with_live_roles(make_key, call, world):
    made = make_key()
    told = call("nobody", "GET", "me", Authorization=BEARER + made["key"]).json()
    assert (told["handle"], told["authenticated_by"], told["scope"]) == ("lead", "api_key", "read")
    seen = call("nobody", "GET", "servers", Authorization=BEARER + made["key"]).json()["items"]
    assert {row["slug"] for row in seen if row["transport"] == "http"} == {"ledger-api"}
    world.cast.lead.person.memberships.all().delete()
    left = call("nobody", "GET", "servers", Authorization=BEARER + made["key"]).json()["items"]
    assert {row["owner"]["tier"] for row in left} == {"platform"}  # what everybody signed in sees


def test_a_key_for_reading_changes_nothing(make_key, call):
    made = make_key()
    answer = call("nobody", "POST", "agents/builder-bot/resume", Authorization=BEARER + made["key"], If_Match="*")
    assert answer.status_code == 403
    assert "missing" in answer.json()


def test_a_key_for_writing_changes_without_csrf_and_leaves_its_mark(make_key, call):
    made = make_key(scope="write")
    body = {"reason": "by a program"}
    answer = call(
        "nobody", "POST", "agents/builder-bot/suspend", body, Authorization=BEARER + made["key"], If_Match="*"
    )
    assert (answer.status_code, answer.json()["status"]) == (200, "suspended")
    assert ApiKey.objects.get(uid=made["uid"]).last_used_at is not None


def test_a_key_makes_no_keys(make_key, call):
    made = make_key(scope="write")
    answer = call("nobody", "POST", "me/keys", {"name": "more"}, Authorization=BEARER + made["key"])
    assert answer.status_code == 403


def test_a_revoked_or_ended_key_or_one_of_a_person_switched_off_is_refused(make_key, call, world):
    revoked, ended, off = make_key(), make_key(), make_key("member")
    assert call("lead", "DELETE", f"me/keys/{revoked['uid']}").status_code == 204
    past = clock.now() - timedelta(days=1)
    ApiKey.objects.filter(uid=ended["uid"]).update(created_at=past, expires_at=past + timedelta(seconds=1))
    world.cast.member.person.is_active = False
    world.cast.member.person.save()
    for made in (revoked, ended, off):
        answer = call("nobody", "GET", "me", Authorization=BEARER + made["key"])
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer["WWW-Authenticate"]


@pytest.mark.parametrize("value", ["Bearer hanse_nonsense", "Bearer", "Basic bGVhZDp4", "", "Bearer \u00e9", "hanse_x"])
def test_a_credential_that_does_not_hold_is_refused_even_beside_a_session(call, value):
    answer = call("lead", "GET", "me", Authorization=value)
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"


def test_an_agents_token_is_not_accepted_here(call, world):
    minted = call("member", "POST", f"delegations/{world.own.delegation.uid}/tokens", {}).json()
    assert call("nobody", "GET", "me", Authorization=BEARER + minted["token"]).status_code == 401


def test_a_key_opens_no_page(make_key, call):
    made = make_key(scope="write")
    answer = call("nobody", "GET", "/accounts/password/change/", Authorization=BEARER + made["key"])
    assert answer.status_code == 302


def test_another_persons_key_is_not_there(make_key, call):
    made = make_key("member")
    assert call("lead", "DELETE", f"me/keys/{made['uid']}").status_code == 404
    assert call("nobody", "GET", "me", Authorization=BEARER + made["key"]).status_code == 200


def test_a_session_needs_the_csrf_token_to_change_anything(world):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(world.cast.lead.person, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post("/api/v1/agents/builder-bot/resume", headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
    assert client.get("/api/v1/me").status_code == 200


def test_at_most_fifty_keys_hold(make_key, call, world):
    person = world.cast.lead.person
    end = clock.now() + timedelta(days=1)
    ApiKey.objects.bulk_create(ApiKey(person=person, name="n", digest=f"{n}", expires_at=end) for n in range(50))
    assert call("lead", "POST", "me/keys", {"name": "ci"}).status_code == 409
