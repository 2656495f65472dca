"""Repositories over REST: registered, measured, lowered, raised by somebody else, exported."""

import pytest

from blueprints.classification.sealing import verify
from blueprints.models import PatternRequest, Repository
from portal.keyring import record_verifier
from tests.rest.conftest import UPSTREAM

pytestmark = pytest.mark.django_db
APP = "repositories/ledger/ledger-app"


@pytest.fixture
def woken(probes, django_capture_on_commit_callbacks):
    """Returns a context manager: at its end, the ids of repositories to which a worker was sent are in its list."""

    class Woken:
        def __enter__(self):
            self.block = django_capture_on_commit_callbacks(execute=True)
            self.block.__enter__()
            return probes

        def __exit__(self, *exc):
            self.block.__exit__(*exc)

    return Woken


def tag_of(answer):
    return {"If_Match": answer["ETag"]}


def test_a_repository_is_registered_and_a_worker_is_sent(call, woken):
    body = {"team": "ledger", "slug": "shop", "name": "Shop", "url": f"http://{UPSTREAM}/shop"}
    with woken() as asked:
        answer = call("member", "POST", "repositories", body)
    assert answer.status_code == 201
    assert answer["Location"] == "/api/v1/repositories/ledger/shop"
    shown = answer.json()
    assert (shown["stage"], shown["state"], shown["level"]) == ("waiting", "measuring", None)
    assert shown["standing"] == {
        "pattern": "interactive-assistant",
        "because": "unmeasured",
        "sentence": "It was never measured.",
        "until": None,
    }
    assert asked == [Repository.objects.get(slug="shop").pk]
    assert call("member", "POST", "repositories", body).status_code == 409


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        ({"url": "http://10.0.0.1/r"}, "/url"),
        ({"url": "https://169.254.169.254/latest"}, "/url"),
        ({"url": "file:///etc"}, "/url"),
        ({"url": "git@repo.example:r"}, "/url"),
        ({"branch": "a..b"}, "/branch"),
        ({"slug": "No"}, "/slug"),
        ({"team": "payments"}, "/team"),
        ({"team": "nowhere"}, "/team"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_what_cannot_be_registered_is_said_at_its_field(call, over, pointer):
    body = {"team": "ledger", "slug": "shop", "name": "Shop", "url": f"http://{UPSTREAM}/shop"} | over
    answer = call("admin", "POST", "repositories", body)
    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [pointer])


def test_a_repository_says_what_it_lacks_and_its_record_verifies(call):
    shown = call("reviewer", "GET", APP).json()
    assert (shown["level"], shown["standing"]["because"]) == (3, "not_proven")
    assert [one["signal"] for one in shown["missing"]][:2] == ["executed.setup", "executed.tests"]
    assert shown["signals"]["tests.real"] == {"state": "met", "files": ["README.md"]}
    document = call("reviewer", "GET", f"{APP}/record").json()
    assert verify(document, record_verifier())["repository"] == "ledger/ledger-app"
    assert document["key_id"] == shown["key_id"]


def test_without_a_record_there_is_none_to_read(call):
    Repository.objects.update(record=None)
    assert call("lead", "GET", f"{APP}/record").status_code == 404
    assert call("lead", "GET", APP).json()["missing"] != []


def test_another_address_is_measured_anew(call, woken):
    tag = tag_of(call("member", "GET", APP))
    with woken() as asked:
        answer = call("member", "PATCH", APP, {"name": "Other"}, **tag)
    assert (answer.status_code, asked) == (200, [])
    assert call("member", "PATCH", APP, {"name": "Again"}, **tag).status_code == 412
    assert call("member", "PATCH", APP, {"name": "Again"}).status_code == 428
    with woken() as asked:
        answer = call("member", "PATCH", APP, {"url": f"http://{UPSTREAM}/else"}, **tag_of(answer))
    assert (answer.json()["stage"], answer.json()["level"], len(asked)) == ("waiting", None, 1)


def test_asking_twice_is_asking_once(call, woken):
    with woken() as asked:
        first = call("member", "POST", f"{APP}/measure")
        again = call("lead", "POST", f"{APP}/measure")
    assert (first.status_code, again.json()["asked_at"]) == (202, first.json()["asked_at"])
    assert len(asked) == 2, "a worker that is sent twice finds out by itself"


def test_a_pattern_is_raised_by_two_and_lowered_by_one(call):
    PatternRequest.objects.all().delete()
    asked = call("lead", "POST", f"{APP}/requests", {"reason": "A pilot of two weeks."})
    assert asked.status_code == 201
    path = asked["Location"]
    refused = call("lead", "POST", f"{path}/approve", {"reason": "Mine."}, **tag_of(asked))
    assert (refused.status_code, refused.json()["missing"]) == (403, "approval by somebody else")
    far = {"reason": "Looked at it.", "until": "2099-01-01T00:00:00Z"}
    approved = call("admin", "POST", f"{path}/approve", far, **tag_of(asked))
    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    shown = call("member", "GET", APP)
    assert shown.json()["standing"]["because"] == "approved"
    assert shown.json()["standing"]["until"] == shown.json()["expires_at"] == approved.json()["until"]
    lowered = call("member", "POST", f"{APP}/lower", {"reason": "It broke production."}, **tag_of(shown))
    assert lowered.json()["standing"]["because"] == "lowered"
    reasons = [one["reason"] for one in call("member", "GET", f"{APP}/changes").json()["items"]]
    assert reasons == ["lowered: It broke production.", "approved: Looked at it.", "measured", "registered"]
    listed = call("reviewer", "GET", f"{APP}/requests?status=approved").json()["items"]
    assert [one["repository"] for one in listed] == [{"team": "ledger", "slug": "ledger-app", "name": "Ledger app"}]
    assert call("reviewer", "GET", "pattern-requests?team=rival").json()["items"] == []


def test_an_end_in_the_past_is_a_fault_of_its_field(call, world):
    path, body = (
        f"pattern-requests/{world.own.pattern_request.uid}/approve",
        {"reason": "x", "until": "2020-01-01T00:00:00Z"},
    )
    answer = call("lead", "POST", path, body, If_Match="*")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/until")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["ledger-app", "rival-app"]),
        ("?team=ledger", ["ledger-app"]),
        ("?pattern=dark-factory", []),
        ("?pattern=interactive-assistant&sort=-slug", ["rival-app", "ledger-app"]),
        ("?level=3", ["ledger-app", "rival-app"]),
        ("?level=0", []),
        ("?state=measured", ["ledger-app", "rival-app"]),
        ("?state=expired", []),
        ("?q=rival", ["rival-app"]),
    ],
)
def test_repositories_are_filtered(call, query, found):
    answer = call("admin", "GET", f"repositories{query}")
    assert [one["slug"] for one in answer.json()["items"]] == found


def test_a_filter_that_means_nothing_is_refused(call):
    for query in ("state=odd", "pattern=either", "level=9", "colour=red"):
        assert call("admin", "GET", f"repositories?{query}").status_code == 422


def test_a_removed_repository_is_gone(call):
    tag = tag_of(call("lead", "GET", APP))
    assert call("lead", "DELETE", APP, **tag).status_code == 204
    assert call("lead", "GET", APP).status_code == 404
    assert call("lead", "GET", "pattern-requests").json()["items"] == []
