"""What a fork may not take away: each way of proving less is found, and nothing else is."""

import copy

import pytest

from blueprints.forks.baseline import weakenings
from blueprints.forks.policy import kept_by_policy
from tests.unit.blueprints.samples import names, sample


def codes(base, fork):
    return {finding.code for finding in weakenings(base, fork)}


def changed(change, name="pci-change"):
    fork = sample(name)
    change(fork)
    return fork


def without(listing, key, name):
    listing[:] = [item for item in listing if item[key] != name]


WEAKER = {
    "GOAL_WEAKENED": lambda it: it["goal"]["checks"].pop(0),
    "PATTERN_WEAKENED": lambda it: it.update(pattern="either"),
    "CHECK_REMOVED": lambda it: it["checks"].pop(),
    "CHECK_CHANGED": lambda it: it["checks"][0].update(sensor="inferential"),
    "VALIDATION_REMOVED": lambda it: without(it["nodes"], "kind", "validate"),
    "VALIDATION_WEAKENED": lambda it: next(one for one in it["nodes"] if one["kind"] == "validate")["checks"].pop(),
    "APPROVAL_REMOVED": lambda it: without(it["nodes"], "kind", "approve"),
    "APPROVAL_WEAKENED": lambda it: [one.update(by="member") for one in it["nodes"] if one["kind"] == "approve"],
    "PRECONDITION_WEAKENED": lambda it: it["preconditions"].pop(),
}


@pytest.mark.parametrize("code", WEAKER)
def test_each_way_of_proving_less_is_found(code):
    assert code in codes(sample("pci-change"), changed(WEAKER[code]))


STRICTER = (
    lambda it: it["goal"]["checks"].append("more"),
    lambda it: it["checks"].append({"id": "more", "title": "More", "sensor": "computational"}),
    lambda it: it["nodes"].reverse(),
    lambda it: it["nodes"].append(
        {"id": "more", "kind": "approve", "by": "member", "expires_hours": 1, "question": "?"}
    ),
    lambda it: [one.update(by="platform_admin") for one in it["nodes"] if one["kind"] == "approve"],
    lambda it: it["preconditions"].append({"signal": "readiness.level", "op": "gte", "value": 3}),
    lambda it: it["budget"].update(agent_turns=1),
    lambda it: it["permissions"].update(tools=[]),
)


@pytest.mark.parametrize("change", STRICTER)
def test_only_what_takes_proof_away_is_a_weakening(change):
    assert codes(sample("pci-change"), changed(change)) == set()


@pytest.mark.parametrize(("op", "value", "given", "fits"), [
    ("gte", 2, 3, True), ("gte", 2, 1, False), ("gte", 2, True, False), ("lte", 5, 4, True), ("lte", 5, 6, False),
    ("eq", True, True, True), ("eq", True, 1, False), ("eq", "a", "b", False), ("ne", 1, 1, True),
])  # fmt: skip
def test_a_precondition_may_only_get_stricter(op, value, given, fits):
    base, fork = sample(), sample()
    base["preconditions"] = [{"signal": "some.thing", "op": op, "value": value}]
    fork["preconditions"] = [{"signal": "some.thing", "op": op, "value": given}]
    assert (codes(base, fork) == set()) is fits


@pytest.mark.parametrize("name", names())
def test_no_document_is_weaker_than_itself_and_every_drop_of_a_check_is_found(name):
    base = sample(name)
    assert codes(base, copy.deepcopy(base)) == set()
    for place in range(len(base["checks"])):
        fork = copy.deepcopy(base)
        del fork["checks"][place]
        assert "CHECK_REMOVED" in codes(base, fork)


def test_what_a_regulation_asks_for_is_kept_by_policy():
    more = {"id": "card_data", "title": "Card data", "sensor": "computational"}
    operations = [
        {"op": "add_check", "item": more, "reason": "PCI."},
        {"op": "add_node", "item": {"id": "look", "kind": "validate", "checks": ["card_data"]}, "reason": "PCI."},
        {"op": "add_node", "item": {"id": "second", "kind": "approve"}, "reason": "PCI."},
        {"op": "add_node", "item": {"id": "fast", "kind": "run"}, "reason": "Speed."},
        {"op": "set_field", "path": "/goal/checks", "value": ["tests", "card_data"], "reason": "PCI."},
        {"op": "set_field", "path": "/nodes/plan/minutes", "value": 3, "reason": "Speed."},
    ]
    kept = {place for _, place in kept_by_policy(operations, {"card_data"})}
    assert kept == {"/checks/card_data", "/nodes/look", "/nodes/second", "/goal/checks"}
    assert kept_by_policy(operations, set()) == []
