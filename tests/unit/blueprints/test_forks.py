"""Forks: an overlay is exactly the difference, three contents give two numbers, and a rebase loses nothing silently."""

import copy
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprints.forks.derivation import UNSAID, derive
from blueprints.forks.diff import compare, compare_two
from blueprints.forks.families import detached, families, only_parameters
from blueprints.forks.keyed import KEYS, keyed, listed, same
from blueprints.forks.operations import OverlayRefused, apply, check_overlay, resolve
from blueprints.forks.rebase import Unresolved, rebase
from blueprints.versions import digest_of
from tests.unit.blueprints.samples import names, node, random_fork, sample

FORKS = int(os.environ.get("HANSE_TEST_FORKS", "2000"))
SEEDS = st.integers(0, 2**48)


def header(document):
    return {name: document[name] for name in ("blueprint", "document")}


def test_by_keys_and_back_is_the_same_document():
    for name in names():
        document = sample(name)
        assert digest_of(listed(header(document), keyed(document))) == digest_of(document)


@settings(max_examples=FORKS, deadline=None)
@given(SEEDS, st.sampled_from(names()))
def test_an_overlay_is_exactly_the_difference(seed, name):
    base = sample(name)
    fork = random_fork(base, seed)
    operations = derive(base, fork)
    again = apply(base, operations)
    assert same(again, fork)
    assert digest_of(again) == digest_of(fork)
    assert derive(base, again) == operations
    assert bool(operations) == (digest_of(base) != digest_of(fork))


@settings(max_examples=300, deadline=None)
@given(SEEDS, SEEDS, st.sampled_from(names()))
def test_a_rebase_keeps_what_the_fork_did_and_takes_what_upstream_did(one, other, name):
    base = sample(name)
    head, fork = random_fork(base, one, most=4), random_fork(base, other, most=4)
    difference = compare(base, head, fork)
    choices = {
        "/" + "/".join(p.replace("~", "~0").replace("/", "~1") for p in c.path): "head" for c in difference.conflicts
    }
    moved = rebase(base, head, fork, choices=choices)
    assert same(apply(head, moved.operations), {**moved.document, **header(head)})
    if not difference.conflicts:
        left = compare(head, head, moved.document)
        assert left.behind == 0
        assert {
            change.path for change in difference.changes if change.state == "fork-only" and change.path[-1] != "#order"
        } <= {change.path for change in left.changes}
    if not difference.drift:
        assert same({**moved.document, **header(head)}, head) or difference.conflicts


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.sampled_from(names()))
def test_the_two_numbers_come_from_the_contents(seed, name):
    base = sample(name)
    other = random_fork(base, seed)
    assert (compare(base, base, other).behind, compare(base, other, base).drift) == (0, 0)
    assert compare(base, base, other).drift == compare(base, other, base).behind
    taken = compare(base, other, other)
    assert (taken.behind, taken.drift, taken.conflicts) == (0, 0, [])


def test_the_story_of_a_fork():
    """Two nodes changed: drift 2. Upstream changes one of them: behind 1, one conflict. Rebased, one accepted: drift 1."""
    base = sample()
    fork = copy.deepcopy(base)
    node(fork, "plan")["max_turns"] = 10
    node(fork, "implement")["prompt"] = "Write the test first."
    first = compare(base, base, fork)
    assert (first.behind, first.drift) == (0, 2)
    operations = [{**one, "reason": "Our tickets are small."} for one in derive(base, fork)]
    assert {one["op"] for one in operations} == {"set_field", "replace_prompt"}

    head = copy.deepcopy(base)
    node(head, "plan")["max_turns"] = 25
    second = compare(base, head, fork)
    assert (second.behind, second.drift, [change.path for change in second.conflicts]) == (
        1,
        2,
        [("nodes", "plan", "max_turns")],
    )
    with pytest.raises(Unresolved) as waiting:
        rebase(base, head, fork, choices={"/nodes/push/minutes": "fork"})
    assert waiting.value.unknown == ["/nodes/push/minutes"]
    moved = rebase(base, head, fork, choices={"/nodes/plan/max_turns": "fork"}, known=operations)
    third = compare(head, head, moved.document)
    assert (third.behind, third.drift) == (0, 2)
    assert {one["reason"] for one in moved.operations} == {"Our tickets are small."}

    newer = apply(head, [one for one in moved.operations if one["op"] == "replace_prompt"])
    fourth = compare(head, newer, moved.document)
    assert (fourth.behind, fourth.drift) == (0, 1)


def test_a_reorder_is_one_change_and_one_operation():
    base = sample()
    fork = copy.deepcopy(base)
    fork["nodes"].append(fork["nodes"].pop(1))
    (change,) = compare_two(base, fork).changes
    assert change.path == ("nodes", "#order")
    (operation,) = derive(base, fork)
    assert operation == {"op": "move_node", "key": "set_up", "after": "open_pull_request", "reason": UNSAID}
    fork["nodes"].reverse()
    assert compare(base, base, fork).drift == 1


def test_what_one_side_removed_and_the_other_changed_is_a_conflict():
    base = sample()
    head, fork = copy.deepcopy(base), copy.deepcopy(base)
    head["nodes"].remove(node(head, "set_up"))
    node(fork, "set_up")["minutes"] = 5
    assert [change.path for change in compare(base, head, fork).conflicts] == [("nodes", "set_up")]
    kept = rebase(base, head, fork, choices={"/nodes/set_up": "fork"})
    assert [item["id"] for item in kept.document["nodes"]] == [item["id"] for item in base["nodes"]]
    assert [one["op"] for one in kept.operations] == ["add_node"]
    gone = rebase(base, head, fork, choices={"/nodes/set_up": "head"})
    assert gone.operations == []


def test_a_move_of_what_upstream_removed_is_a_conflict():
    base = sample()
    head, fork = copy.deepcopy(base), copy.deepcopy(base)
    head["nodes"].remove(node(head, "set_up"))
    fork["nodes"].append(fork["nodes"].pop(1))
    assert [change.path for change in compare(base, head, fork).conflicts] == [("nodes", "#order")]


def test_true_is_not_one():
    base = sample()
    fork = copy.deepcopy(base)
    fork["needs"]["cpu"] = True
    base["needs"]["cpu"] = 1
    assert compare(base, base, fork).drift == 1


def overlay(*operations):
    base = sample()
    return {
        "overlay": 1,
        "document": {**base["document"], "namespace": "team.mango", "name": "ours"},
        "base": {"ref": "platform/implement-ticket-brownfield@1.0.0", "digest": digest_of(base)},
        "operations": list(operations),
    }


def test_an_overlay_resolves_to_a_document_under_its_own_name():
    made = overlay({"op": "set_field", "path": "/budget/tokens", "value": 9, "reason": "We pay less."})
    assert check_overlay(made) == []
    document = resolve(sample(), made)
    assert (document["document"]["namespace"], document["budget"]["tokens"]) == ("team.mango", 9)
    assert compare(sample(), sample(), document).drift == 1


R = {"reason": "A reason."}
NODE = {"id": "plan", "kind": "gate", "when": "true"}
REFUSED = [
    ({"op": "set_field", "path": "/nodes/plann/minutes", "value": 1, **R}, "NO_SUCH_PLACE"),
    ({"op": "set_field", "path": "/document/name", "value": "x", **R}, "NOT_CONTENT"),
    ({"op": "set_field", "path": "/nodes/plan/id", "value": "x", **R}, "WRONG_OPERATION"),
    ({"op": "set_field", "path": "/nodes/plan", "value": {}, **R}, "WRONG_OPERATION"),
    ({"op": "set_field", "path": "/nodes", "value": [], **R}, "WRONG_OPERATION"),
    ({"op": "set_field", "path": "/permissions", "value": {}, **R}, "WRONG_OPERATION"),
    ({"op": "set_field", "path": "/nodes/plan/minutes/deep", "value": 1, **R}, "NO_SUCH_PLACE"),
    ({"op": "remove_field", "path": "/nodes/plan/retries", **R}, "NO_SUCH_PLACE"),
    ({"op": "replace_prompt", "node": "push", "prompt": "x", **R}, "NO_PROMPT"),
    ({"op": "replace_prompt", "node": "gone", "prompt": "x", **R}, "NO_SUCH_ITEM"),
    ({"op": "add_node", "item": NODE, **R}, "ALREADY_THERE"),
    ({"op": "add_node", "item": {**NODE, "id": "new"}, "after": "gone", **R}, "NO_SUCH_ITEM"),
    ({"op": "remove_node", "key": "gone", **R}, "NO_SUCH_ITEM"),
    ({"op": "remove_check", "key": "gone", **R}, "NO_SUCH_ITEM"),
    ({"op": "move_node", "key": "plan", "after": "plan", **R}, "NO_SUCH_PLACE"),
    ({"op": "move_node", "key": "plan", "after": "gone", **R}, "NO_SUCH_ITEM"),
]


@pytest.mark.parametrize(("operation", "code"), REFUSED)
def test_an_operation_that_does_not_fit_is_named_and_nothing_is_made(operation, code):
    made = overlay({"op": "set_field", "path": "/budget/tokens", "value": 9, **R}, operation)
    assert check_overlay(made) == []
    with pytest.raises(OverlayRefused) as refused:
        resolve(sample(), made)
    assert [(finding.code, finding.path) for finding in refused.value.findings] == [(code, "/operations/1")]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "set_field", "path": "/budget/tokens", "value": 9},
        {"op": "set_field", "path": "budget", "value": 9, **R},
        {"op": "delete", "path": "/budget", **R},
        {"op": "add_node", "item": {"id": "x"}, **R},
        {"op": "remove_node", "key": "plan", "force": True, **R},
    ],
)
def test_an_operation_of_another_form_is_refused(operation):
    assert check_overlay(overlay(operation))


def test_the_same_change_in_several_forks_is_a_family():
    base = sample()
    forks = {}
    for team, turns in (("mango", 10), ("kiwi", 10), ("plum", 12)):
        fork = copy.deepcopy(base)
        node(fork, "plan")["max_turns"] = turns
        node(fork, "implement")["prompt"] = f"As {team} does."
        forks[team] = [{**one, "reason": f"{team} says so."} for one in derive(base, fork)]
    (family,) = families(forks)
    assert family.forks == ("kiwi", "mango")
    assert family.operation == {"op": "set_field", "path": "/nodes/plan/max_turns", "value": 10}


def test_a_fork_of_parameters_alone_is_configuration():
    caps = {"op": "set_field", "path": "/nodes/plan/max_turns", "value": 9, **R}
    assert only_parameters([caps, {"op": "set_field", "path": "/inputs/ticket/default", "value": "x", **R}])
    assert not only_parameters([caps, {"op": "set_field", "path": "/nodes/plan/tools", "value": [], **R}])
    assert not only_parameters([])


def test_a_copy_with_hardly_anything_in_common_is_detached():
    assert detached(sample(), sample("code-review"))
    assert not detached(sample(), sample())


def test_every_keyed_list_is_covered_by_the_random_forks():
    base = sample()
    seen = {
        change.path[: len(path)]
        for seed in range(300)
        for change in compare_two(base, random_fork(base, seed)).changes
        for path in KEYS
    }
    assert set(KEYS) <= seen
