"""`Idempotency-Key`: sent twice, done once."""

from datetime import timedelta

import psycopg
import pytest

from audit.models import Event
from kernel import clock
from portal.rest import idempotency
from portal.rest.models import KeptAnswer
from tenants.models import Agent

pytestmark = pytest.mark.django_db

NEW = {"slug": "twice", "name": "Twice", "home": "ledger", "sponsor": "lead"}


def test_the_second_time_gets_the_first_answer_and_does_nothing(call):
    first = call("lead", "POST", "agents", NEW, Idempotency_Key="k1")
    events = Event.objects.count()
    again = call("lead", "POST", "agents", NEW, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert (again["ETag"], again["Location"]) == (first["ETag"], first["Location"])
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert Event.objects.count() == events


def test_the_same_key_with_another_body_is_refused(call):
    call("lead", "POST", "agents", NEW, Idempotency_Key="k1")
    answer = call("lead", "POST", "agents", {**NEW, "slug": "other"}, Idempotency_Key="k1")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert not Agent.objects.filter(slug="other").exists()


def test_the_same_key_at_another_address_is_refused(call, world):
    call("lead", "POST", "agents", NEW, Idempotency_Key="k1")
    answer = call("lead", "POST", "agents/twice/suspend", {"reason": "x"}, Idempotency_Key="k1", If_Match='"1.x"')
    assert answer.json()["code"] == "idempotency_key_reused"


def test_a_key_is_its_persons_own(call):
    call("lead", "POST", "agents", NEW, Idempotency_Key="k1")
    answer = call("admin", "POST", "agents", {**NEW, "slug": "admins"}, Idempotency_Key="k1")
    assert (answer.status_code, answer.json()["slug"]) == (201, "admins")


def test_what_was_refused_may_be_sent_again(call):
    assert call("lead", "POST", "agents", {**NEW, "slug": "builder-bot"}, Idempotency_Key="k1").status_code == 409
    assert KeptAnswer.objects.count() == 0
    assert call("lead", "POST", "agents", NEW, Idempotency_Key="k1").status_code == 201


def test_a_secret_is_not_kept(call, world):
    path = f"delegations/{world.own.delegation.uid}/tokens"
    first = call("member", "POST", path, {}, Idempotency_Key="k1")
    assert first.status_code == 201
    again = call("member", "POST", path, {}, Idempotency_Key="k1")
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_secret_not_kept")
    kept = KeptAnswer.objects.get()
    assert kept.body is None
    assert first.json()["token"] not in str(KeptAnswer.objects.values())


def test_after_a_day_a_key_is_new(call):
    call("lead", "POST", "agents", NEW, Idempotency_Key="k1")
    KeptAnswer.objects.update(created_at=clock.now() - idempotency.KEPT_FOR - timedelta(seconds=1))
    assert call("lead", "POST", "agents", NEW, Idempotency_Key="k1").status_code == 409
    assert call("lead", "POST", "agents", {**NEW, "slug": "later"}, Idempotency_Key="k2").status_code == 201
    assert KeptAnswer.objects.count() == 1


def test_a_request_that_is_being_worked_on_is_a_conflict(call, world, role_dsn):
    name = idempotency.lock_of(world.cast.lead.person, "k1")
    with psycopg.connect(role_dsn("app")) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [name])
        answer = call("lead", "POST", "agents", NEW, Idempotency_Key="k1")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
    assert call("lead", "POST", "agents", NEW, Idempotency_Key="k1").status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "ключ"])
def test_a_key_that_is_none(call, key):
    answer = call("lead", "POST", "agents", NEW, Idempotency_Key=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_invalid")
