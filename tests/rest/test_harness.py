"""The harness by REST: what is in force with its sources, the layer under its version, and the preview of a change."""

import json

import pytest
import yaml

from blueprints.models import Layer
from tests.rest.test_hostile_input import VALUES, is_a_clear_refusal

pytestmark = pytest.mark.django_db

CARD_DATA = {
    "id": "card_data",
    "title": "No card number in the change",
    "sensor": "computational",
    "command": ["scan-cards"],
    "blocking": True,
    "parameters": {"max_findings": {"direction": "down", "value": 3}},
}


def document(tier="domain", tenant="payments", **parts):
    return {"harness": 1, "owner": {"tier": tier, "tenant": tenant}, **parts}


@pytest.fixture
def written(call):
    """Returns the answer to the steward's first layer."""
    body = {"document": document(checks=[CARD_DATA])}
    answer = call("steward", "PUT", "tenants/payments/harness/layer", body, If_None_Match="*")
    assert answer.status_code == 200, answer.content
    return answer


def test_a_check_of_a_domain_is_in_force_for_its_teams_with_its_source(call, written):
    (check,) = [
        one for one in call("lead", "GET", "tenants/ledger/harness").json()["checks"] if one["tier"] == "domain"
    ]
    assert (check["id"], check["owners"], check["blocked_by"]) == ("card_data", ["payments"], ["payments"])
    assert (check["parameters"], check["set_by"]) == (CARD_DATA["parameters"], {"max_findings": ["payments"]})
    shown = call("steward", "GET", "tenants/payments/harness").json()
    assert [team["slug"] for team in shown["inherited_by"]] == ["ledger"]
    assert "card_data" not in call("outsider", "GET", "tenants/rival/harness").content.decode()


def test_a_steward_is_told_when_more_may_be_in_force_than_they_see(call, written):
    assert call("lead", "GET", "tenants/ledger/harness").json()["whole"] is True
    assert call("steward", "GET", "tenants/ledger/harness").json()["whole"] is False
    assert call("steward", "GET", "tenants/payments/harness").json()["whole"] is True


def test_the_first_layer_and_every_next_say_what_they_replace(call, written):
    path = "tenants/payments/harness/layer"
    body = {"document": document()}
    assert call("steward", "PUT", path, body).status_code == 428
    assert call("steward", "PUT", path, body, If_None_Match="*").status_code == 412
    assert call("steward", "PUT", path, body, If_Match='"7.x"').status_code == 412
    read = call("steward", "GET", path)
    assert read["ETag"] == written["ETag"]
    assert call("steward", "GET", path, If_None_Match=read["ETag"]).status_code == 304
    answer = call("steward", "PUT", path, body, If_Match=read["ETag"])
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert call("admin", "PUT", path, body, If_Match=read["ETag"]).status_code == 412
    assert (
        call("admin", "PUT", "tenants/north/harness/layer", {"document": document()}, If_Match="*").status_code == 412
    )


def test_yaml_and_document_are_two_ways_to_say_the_same(call, written):
    text = written.json()["text"]
    assert yaml.safe_load(text) == written.json()["document"] == document(checks=[CARD_DATA])
    answer = call(
        "steward", "PUT", "tenants/payments/harness/layer", {"text": "# ours\n" + text}, If_Match=written["ETag"]
    )
    assert (answer.status_code, answer["ETag"]) == (200, written["ETag"]), "the same demands are no new version"


def test_a_weakening_is_refused_with_the_path_in_the_layer(call, written):
    tag = call("lead", "GET", "tenants/ledger/harness/layer")["ETag"]
    weaker = [{"check": "payments/card_data", "parameters": {"max_findings": 5}, "blocking": False}]
    body = {"document": document("team", "ledger", tighten=weaker)}
    answer = call("lead", "PUT", "tenants/ledger/harness/layer", body, If_Match=tag)
    assert (answer.status_code, answer.json()["code"]) == (422, "unsound")
    assert [(one["code"], one["path"]) for one in answer.json()["findings"]] == [
        ("WEAKER", "/tighten/0/blocking"),
        ("WEAKER", "/tighten/0/parameters/max_findings"),
    ]
    assert call("lead", "GET", "tenants/ledger/harness/layer")["ETag"] == tag


def test_a_preview_names_who_inherits_and_what_would_lapse(call, written, undone):
    tag = call("lead", "GET", "tenants/ledger/harness/layer")["ETag"]
    entry = {"check": "payments/card_data", "parameters": {"max_findings": 1}}
    kept = call("lead", "GET", "tenants/ledger/harness/layer").json()["document"]
    body = {"document": {**kept, "tighten": [entry]}}
    assert call("lead", "PUT", "tenants/ledger/harness/layer", body, If_Match=tag).status_code == 200
    strict = {**CARD_DATA, "parameters": {"max_findings": {"direction": "down", "value": 0}}}
    shown = call("steward", "POST", "tenants/payments/harness/preview", {"document": document(checks=[strict])}).json()
    assert [team["slug"] for team in shown["teams"]] == ["ledger"]
    assert shown["changes"] == [{"section": "checks", "name": "card_data", "kind": "changed"}]
    assert [(one["tenant"], one["path"], one["in_force"]) for one in shown["lapsing"]] == [
        ("ledger", "/tighten/0/parameters/max_findings", False)
    ]
    assert (shown["findings"], shown["layer_version"]) == ([], 1)
    assert Layer.objects.get(owner__slug="payments").version == 1
    faulty = call("steward", "POST", "tenants/payments/harness/preview", {"text": "harness: 1\nowner: ["})
    assert faulty.status_code == 200
    assert [one["code"] for one in faulty.json()["findings"]] == ["NOT_YAML"]


@pytest.mark.parametrize("body", [{}, {"text": "harness: 1", "document": {}}])
def test_a_layer_is_given_once(call, body):
    assert call("lead", "POST", "tenants/ledger/harness/preview", body).status_code == 422
    assert call("lead", "PUT", "tenants/ledger/harness/layer", body, If_Match="*").status_code == 422


def test_whatever_stands_in_a_layer_it_is_read_or_refused(call, undone):
    whole = document(
        "team",
        "ledger",
        checks=[{**CARD_DATA, "prompt": "x", "evidence": ["junit"]}],
        tighten=[{"check": "payments/x", "parameters": {"a": 1}, "blocking": True, "evidence": []}],
        waivers=[{"check": "ledger/card_data", "person": "lead", "reason": "A good reason.", "expires": "2027-01-01"}],
    )
    for path in places(whole):
        for value in VALUES:
            body = {"document": put(whole, path, value)}
            with undone():
                answer = call("lead", "PUT", "tenants/ledger/harness/layer", body, If_Match="*")
            assert answer.status_code == 200 or is_a_clear_refusal(answer), (path, value, answer.content[:300])


def places(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, name))


def put(whole, path, value):
    if not path:
        return value
    made = json.loads(json.dumps(whole))
    holder = made
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return made
