"""One description: what the checker says and what the shipped JSON Schema says are the same."""

import copy
import random

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprints.format.expressions import NotCel, parse
from blueprints.format.schema import check_shape, json_schema
from tests.unit.blueprints.samples import names, sample

VALIDATOR = jsonschema_rs.Draft202012Validator(json_schema())
ODD = [
    None,
    "a\0b",
    True,
    False,
    -1,
    0,
    1,
    10**9,
    1.5,
    "",
    "x",
    "X y",
    "a" * 300,
    [],
    {},
    ["a"],
    {"a": 1},
    [{}],
    "end\n",
    "platform",
]


def parts(value, path=()):
    """Yields every container with a key of it."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from parts(value[key], (*path, key))


def damage(document, chance):
    holder, key = chance.choice(list(parts(document)))
    way = chance.randrange(4)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[chance.choice(["extra", "on", "Titel"])] = copy.deepcopy(chance.choice(ODD))
    else:
        holder[key] = copy.deepcopy(chance.choice(ODD))


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(names()))
def test_checker_and_schema_agree(seed, name):
    chance, document = random.Random(seed), sample(name)
    for _ in range(chance.randint(0, 2)):
        damage(document, chance)
    faults = [finding for finding in check_shape(document) if finding.code != "DUPLICATE_ID"]
    assert (not faults) == VALIDATOR.is_valid(document), faults


@pytest.mark.parametrize("value", [None, 1, "text", [], [1], {}])
def test_what_is_no_blueprint_at_all_is_said_without_a_crash(value):
    assert list(check_shape(value))


@pytest.mark.parametrize(
    ("kind", "cap"),
    [("agent", "max_turns"), ("agent", "max_visits"), ("agent", "minutes"), ("loop", "max"), ("tool", "minutes"),
     ("run", "minutes"), ("validate", "minutes"), ("approve", "expires_hours"), ("fork", "width")],
)  # fmt: skip
def test_no_author_can_omit_a_cap(kind, cap):
    document = next(found for found in map(sample, names()) if any(node["kind"] == kind for node in found["nodes"]))
    place, node = next((place, node) for place, node in enumerate(document["nodes"]) if node["kind"] == kind)
    del node[cap]
    assert [(finding.code, finding.path) for finding in check_shape(document)] == [("MISSING", f"/nodes/{place}")]
    assert not VALIDATOR.is_valid(document)


def test_a_slip_of_the_pen_is_answered_with_the_right_word():
    document = sample()
    document["nodes"][2]["max_turn"] = document["nodes"][2].pop("max_turns")
    remedies = {finding.code: finding.remedy for finding in check_shape(document)}
    assert remedies["UNKNOWN_KEY"] == "Did you mean 'max_turns'?"


def test_expressions_are_parsed_and_not_evaluated():
    found = parse('nodes.plan.output.risk == "checks.lie" && checks["tests"].passed && inputs[ run.id ]')
    assert found.words == {"nodes", "checks", "inputs", "run"}
    assert found.members == {("nodes", "plan"), ("checks", "tests"), ("inputs", None)}


@pytest.mark.parametrize("text", ["", "a ==", "(" * 5000, "'open", "a; b", "\x00"])
def test_what_is_not_cel_is_refused(text):
    with pytest.raises(NotCel):
        parse(text)
