"""The harness only gets stricter downwards: every weakening is refused with its path, every extension is accepted."""

import copy
import random
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprints.harness.layers import check_layer
from blueprints.harness.merging import HarnessRefused, effective, weakenings
from blueprints.harness.parameters import Parameter
from tests.unit.blueprints.harnesses import LAX, TODAY, extension, layer, moved, platform, single_weakenings


def refused(*layers):
    with pytest.raises(HarnessRefused) as caught:
        effective(layers, today=TODAY)
    return [(one.tenant, one.finding.code, one.finding.path) for one in caught.value.refusals]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**48))
def test_a_valid_extension_is_accepted_and_demands_all_that_stands_above(seed):
    chance = random.Random(seed)
    top = platform(chance)
    first, second = (extension(chance, top, "domain", name) for name in ("payments", "privacy"))
    all_ = effective([top, first, second], today=TODAY)
    assert all_ == effective([second, top, first], today=TODAY)
    for above in ([top], [top, first], [top, second]):
        assert list(weakenings(effective(above, today=TODAY), all_)) == []
    team = layer(
        "team", "mango", checks=[{"id": "ours", "title": "x", "sensor": "inferential", "prompt": "x", "blocking": True}]
    )
    with_team = effective([top, first, second, team], today=TODAY)
    assert list(weakenings(all_, with_team)) == []
    assert len(with_team) == len(all_) + 1


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**48), st.sampled_from(["domain", "team"]))
def test_every_single_weakening_in_a_layer_is_refused_with_its_path(seed, tier):
    chance = random.Random(seed)
    top = platform(chance)
    for below, code, path in single_weakenings(chance, top, tier, "x"):
        assert refused(top, below) == [("x", code, path)]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**48))
def test_every_single_weakening_of_a_whole_harness_is_seen(seed):
    chance = random.Random(seed)
    whole = effective([platform(chance)], today=TODAY)
    assert list(weakenings(whole, whole)) == []
    for place, check in enumerate(whole):
        worse = [None, replace(check, blocking=False), replace(check, evidence=frozenset({"junit"}))]
        worse += [replace(check, command=("true",)), replace(check, prompt="Say yes."), replace(check, sensor="other")]
        worse.append(replace(check, owners=("somebody",)))
        for name, given_ in check.parameters.items():
            lax = moved(chance, given_.as_dict(), LAX)
            rest = {other: value for other, value in check.parameters.items() if other != name}
            turned = Parameter("down" if given_.direction == "up" else "up", 50)
            worse += [replace(check, parameters={**rest, name: one}) for one in (given_.holding(lax), turned)]
            worse.append(replace(check, parameters=rest))
        worse.append(replace(check, parameters={**check.parameters, "more": Parameter("up", 1)}))
        for one in worse:
            changed = [*whole[:place], *([one] if one else []), *whole[place + 1 :]]
            assert list(weakenings(whole, changed)), one


TESTS = {"id": "tests", "title": "Tests pass", "sensor": "computational", "command": ["make", "test"], "blocking": True,
         "parameters": {"coverage": {"direction": "up", "value": 70}, "image": {"direction": "fixed", "value": "a"}}}  # fmt: skip
TOP = layer("platform", "platform", checks=[TESTS])
SECRETS = {"id": "secrets", "title": "No secrets", "sensor": "computational", "command": ["scan"], "blocking": False,
           "parameters": {"findings": {"direction": "down", "value": 5}}}  # fmt: skip


def test_two_domains_join_to_the_stricter_and_say_who_asked():
    one = layer("domain", "payments", tighten=[{"check": "platform/tests", "parameters": {"coverage": 90}}])
    other = layer("domain", "privacy", tighten=[{"check": "platform/tests", "parameters": {"coverage": 80}}])
    (check,) = effective([TOP, other, one], today=TODAY)
    assert check.parameters["coverage"].value == 90
    assert check.tightened == {"coverage": ("payments",)}
    team = layer("team", "mango", tighten=[{"check": "platform/tests", "parameters": {"coverage": 85}}])
    assert refused(TOP, one, other, team) == [("mango", "WEAKER", "/tighten/0/parameters/coverage")]


def test_the_same_check_of_two_domains_runs_once_as_the_stricter():
    strict = copy.deepcopy(SECRETS) | {"blocking": True}
    strict["parameters"]["findings"]["value"] = 0
    both = effective([TOP, layer("domain", "a", checks=[SECRETS]), layer("domain", "b", checks=[strict])], today=TODAY)
    assert (both[1].owners, both[1].blocking, both[1].parameters["findings"].value) == (("a", "b"), True, 0)
    below = layer("team", "mango", tighten=[{"check": "a/secrets", "parameters": {"findings": 3}}])
    assert refused(TOP, layer("domain", "a", checks=[SECRETS]), layer("domain", "b", checks=[strict]), below)


def test_checks_of_two_domains_that_cannot_be_compared_both_run():
    other = copy.deepcopy(SECRETS) | {"command": ["other-scanner"]}
    both = effective([TOP, layer("domain", "a", checks=[SECRETS]), layer("domain", "b", checks=[other])], today=TODAY)
    assert [(check.id, check.owners) for check in both[1:]] == [("secrets", ("a",)), ("secrets", ("b",))]


def waiver(name, expires="2026-12-01"):
    return {"check": name, "person": "kim", "reason": "The scanner is broken.", "expires": expires}


def test_an_owner_waives_its_own_check_for_a_while():
    own = layer("domain", "a", checks=[SECRETS], waivers=[waiver("a/secrets")])
    check = effective([TOP, own], today=TODAY)[1]
    assert check.waived
    assert check.waivers[0].person == "kim"
    assert not effective([TOP, own], today=date(2026, 12, 2))[1].waived
    too_long = layer("domain", "a", checks=[SECRETS], waivers=[waiver("a/secrets", "2027-12-01")])
    assert refused(TOP, too_long) == [("a", "WAIVER_TOO_LONG", "/waivers/0/expires")]


def test_one_owner_of_a_joined_check_cannot_waive_it_for_the_other():
    layers = [
        TOP,
        layer("domain", "a", checks=[SECRETS], waivers=[waiver("a/secrets")]),
        layer("domain", "b", checks=[SECRETS]),
    ]
    assert not effective(layers, today=TODAY)[1].waived


BAD = [
    (layer("team", "x", tighten=[{"check": "platform/gone"}]), "UNKNOWN_CHECK"),
    (layer("team", "x", tighten=[{"check": "platform/tests", "parameters": {"gone": 1}}]), "UNKNOWN_PARAMETER"),
    (layer("team", "x", tighten=[{"check": "platform/tests", "parameters": {"coverage": "90"}}]), "PARAMETER"),
    (layer("team", "x", tighten=[{"check": "platform/tests", "parameters": {"coverage": True}}]), "PARAMETER"),
    (layer("team", "x", tighten=[{"check": "platform/tests", "parameters": {"image": "b"}}]), "WEAKER"),
    (layer("team", "x", waivers=[waiver("x/mine", "2026-13-01")]), "FORM"),
    (layer("team", "x", checks=[{**SECRETS, "prompt": "x"}]), "SENSOR"),
    (layer("team", "x", checks=[{**SECRETS, "parameters": {"p": {"direction": "lower", "value": "a"}}}]), "PARAMETER"),
    (layer("team", "x", checks=[{**SECRETS, "parameters": {"p": {"direction": "up", "value": ["a"]}}}]), "PARAMETER"),
    (layer("team", "x", checks=[SECRETS, SECRETS]), "DUPLICATE_ID"),
    (layer("platform", "x"), "LAYERS"),
    (layer("domain", "platform"), "LAYERS"),
    ({}, "MISSING"),
    ([], "TYPE"),
    ({"owner": 1}, "TYPE"),
]


@pytest.mark.parametrize(("below", "code"), BAD)
def test_what_cannot_be_understood_is_refused(below, code):
    assert code in {found for _, found, _ in refused(TOP, below)}


def test_a_layer_alone_is_checked_by_its_form():
    assert check_layer(TOP) == []
    assert [finding.path for finding in check_layer(layer("team", "x", disable=["platform/tests"]))] == ["/disable"]


def test_a_check_shows_where_everything_comes_from():
    stricter = {"check": "platform/tests", "parameters": {"coverage": 90}, "evidence": ["sarif"]}
    one = layer("domain", "payments", tighten=[stricter])
    team = layer("team", "mango", tighten=[{**stricter, "blocking": True}])
    lax_top = layer("platform", "platform", checks=[{**TESTS, "blocking": False, "evidence": ["junit"]}])
    shown = effective([lax_top, one, team], today=TODAY)[0].as_dict()
    assert (shown["tier"], shown["owners"], shown["tightened"]) == (
        "platform",
        ["platform"],
        {"coverage": ["payments"]},
    )
    assert shown["set_by"] == {"coverage": ["payments", "mango"], "image": ["platform"]}
    assert shown["blocked_by"] == ["mango"]
    assert shown["evidence_by"] == {"junit": ["platform"], "sarif": ["payments"]}


def test_a_joined_set_is_everybodys():
    paths = {"paths": {"direction": "grow", "value": ["src"]}}
    top = layer("platform", "platform", checks=[{**TESTS, "parameters": paths}])
    asks = {name: {"check": "platform/tests", "parameters": {"paths": ["src", name]}} for name in ("a", "b")}
    (check,) = effective([top, *(layer("domain", name, tighten=[one]) for name, one in asks.items())], today=TODAY)
    assert (check.parameters["paths"].value, check.set_by["paths"]) == (("a", "b", "src"), ("a", "b"))


@pytest.mark.parametrize("value", ["a\0b", ["\ud800"], 2**60, -(2**60), 1.5, None, {}, [1], "x" * 201, ["x"] * 201])
def test_a_value_that_nobody_could_keep_is_refused(value):
    tightened = layer("team", "x", tighten=[{"check": "platform/tests", "parameters": {"coverage": value}}])
    assert {path.split("/")[1] for _, _, path in refused(TOP, tightened)} == {"tighten"}
