"""Layers are written at different times. Whatever an owner above does later, nobody below demands less than above."""

import copy
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprints.format.findings import steps
from blueprints.harness.inheritance import Federation
from blueprints.harness.layers import check_layer
from blueprints.harness.merging import HarnessRefused, effective, settle, weakenings
from tests.unit.blueprints.harnesses import TODAY, changed_later, extension, layer, platform


def without(document, refusals):
    """Returns the layer as its keeper would correct it: without the places that were named."""
    fixed = copy.deepcopy(document)
    paths = [steps(one.finding.path) for one in refusals if one.tenant == document["owner"]["tenant"]]
    for section, place, *rest in sorted(paths, key=lambda path: int(path[1]), reverse=True):
        entry = fixed[section][int(place)]
        if rest[0] in {"check", "id"}:
            fixed[section].remove(entry)
        elif rest[0] == "parameters":
            del entry["parameters"][rest[1]]
        else:
            del entry[rest[0]]
    return fixed


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**48))
def test_whatever_changes_above_the_result_demands_all_that_stands_above(seed):
    chance = random.Random(seed)
    top = platform(chance)
    below = [extension(chance, top, "domain", name) for name in ("payments", "privacy")]
    below.append(extension(chance, top, "team", "mango"))
    effective([top, *below[:2]], today=TODAY)  # they fit when they were written
    later = changed_later(chance, top)
    assert check_layer(later) == []
    made = settle([later, *below], today=TODAY)
    for above in ([later], [later, below[0]], [later, below[1]], [later, *below[:2]]):
        assert list(weakenings(settle(above, today=TODAY).checks, made.checks)) == []
    own = [f"{one['owner']['tenant']}/{check['id']}" for one in (later, *below) for check in one.get("checks", ())]
    assert {name for check in made.checks for name in check.names} == set(own), "no check of anybody is left out"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**48))
def test_what_is_left_out_is_named_and_the_rest_is_the_harness(seed):
    chance = random.Random(seed)
    top = platform(chance)
    below = [extension(chance, top, "domain", "payments"), extension(chance, top, "team", "mango")]
    later = changed_later(chance, top)
    made = settle([later, *below], today=TODAY)
    assert made.lapsed == [] or {one.tenant for one in made.lapsed} <= {"payments", "mango"}
    fixed = [without(one, made.lapsed) for one in below]
    again = effective([later, *fixed], today=TODAY)
    beside = {one.tenant for one in made.lapsed if one.finding.code == "CHECK_REDEFINED"}
    assert again == [check for check in made.checks if not (set(check.owners) & beside and check.id.startswith("own_"))]


def test_layers_that_fit_lapse_in_nothing():
    chance = random.Random(7)
    top = platform(chance)
    domain = extension(chance, top, "domain", "payments")
    assert settle([top, domain], today=TODAY).checks == effective([top, domain], today=TODAY)
    assert settle([top, domain], today=TODAY).lapsed == []


def check(name, value=70, **over):
    parameters = {"coverage": {"direction": "up", "value": value}}
    made = {"id": name, "title": name, "sensor": "computational", "command": ["make", name], "blocking": True}
    return {**made, "parameters": parameters, **over}


def tighten(name, **fields):
    return {"check": name, **fields}


def test_only_the_value_that_became_weaker_is_left_out():
    entry = tighten("platform/tests", parameters={"coverage": 80}, evidence=["sarif"], blocking=True)
    team = layer("team", "mango", tighten=[entry])
    made = settle([layer("platform", "platform", checks=[check("tests", 90)]), team], today=TODAY)
    assert [(one.tenant, one.finding.path, one.finding.code) for one in made.lapsed] == [
        ("mango", "/tighten/0/parameters/coverage", "WEAKER")
    ]
    assert (made.checks[0].parameters["coverage"].value, made.checks[0].evidence) == (90, {"sarif"})


def test_a_check_whose_name_was_taken_above_keeps_running():
    domain = layer("domain", "payments", checks=[check("card_data")])
    team = layer("team", "mango", tighten=[tighten("payments/card_data", parameters={"coverage": 95})])
    top = layer("platform", "platform", checks=[check("card_data", 10, command=["true"])])
    made = settle([top, domain, team], today=TODAY)
    assert [(one.tenant, one.finding.code) for one in made.lapsed] == [("payments", "CHECK_REDEFINED")]
    assert [(one.owners, one.parameters["coverage"].value) for one in made.checks] == [
        (("platform",), 10),
        (("payments",), 95),
    ]


def test_a_layer_of_a_wrong_shape_is_no_matter_of_time():
    with pytest.raises(HarnessRefused):
        settle([layer("platform", "platform"), layer("team", "x", disable=["tests"])], today=TODAY)


def test_a_change_above_names_what_lapses_below_and_where():
    top = layer("platform", "platform", checks=[check("tests")])
    domain = layer("domain", "payments", checks=[check("card_data", 50)])
    mango = layer("team", "mango", tighten=[tighten("payments/card_data", parameters={"coverage": 60})])
    pear = layer("team", "pear", tighten=[tighten("platform/tests", parameters={"coverage": 75})])
    both = [(mango, frozenset({"payments", "unwritten"})), (pear, frozenset())]
    before = Federation(top, {"payments": domain}, both)
    assert list(before.lapsed(today=TODAY)) == []
    after = before.with_layer(layer("domain", "payments", checks=[check("card_data", 65)]))
    assert [(one.tenant, one.finding.path) for one in after.lapsed(today=TODAY)] == [
        ("mango", "/tighten/0/parameters/coverage")
    ]
    gone = before.with_layer(layer("platform", "platform", checks=[check("card_data", 60)]))
    assert [(one.tenant, one.finding.code) for one in gone.lapsed(today=TODAY)] == [
        ("payments", "CHECK_REDEFINED"),
        ("pear", "UNKNOWN_CHECK"),
    ]
