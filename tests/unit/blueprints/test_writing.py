"""What is written for people to edit is read back as the same document, however odd the words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprints.forks.keyed import same
from blueprints.format.reading import Unreadable, read_yaml
from blueprints.format.writing import as_yaml, write_blueprint
from blueprints.harness.editing import text_of
from tests.unit.blueprints.samples import names, random_fork, sample

ODD = ["1e5", "1.5e3", "0x10", "1_000", "012", "on", "no", "~", "null", "", " x ", "a: b", "- a", "# c", "2026-01-01",
       "=", "<<", "a\nb\n", "a\n b \n\n", "\ttab", "%y", "@x", "'", '"', "\x85", "\u2028", "\u2029a\nb", "\ufeff", "-", "?", "1."]  # fmt: skip
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
VALUES = st.one_of(st.booleans(), st.none(), st.integers(-(2**53) + 1, 2**53 - 1), TEXT, st.sampled_from(ODD))


@given(st.dictionaries(st.sampled_from(["a", "b", "on_", "title"]), st.one_of(VALUES, st.lists(VALUES)), min_size=1))
def test_a_document_comes_back_as_it_was(document):
    assert read_yaml(as_yaml(document)).value == document


@pytest.mark.parametrize("word", ODD)
def test_odd_words_stay_words(word):
    assert read_yaml(as_yaml({"value": word, "list": [word]})).value == {"value": word, "list": [word]}


def test_the_zero_character_is_refused_where_it_stands():
    with pytest.raises(Unreadable) as refused:
        read_yaml('a: 1\nb: "x\\0"')
    assert (refused.value.finding.code, refused.value.finding.line) == ("NOT_TEXT", 2)


def test_a_layer_is_written_in_the_order_in_which_people_read_it():
    check = {"evidence": ["sarif"], "id": "tests", "parameters": {"b": {"value": 1, "direction": "up"}, "a": {}}}
    layer = {"checks": [check], "owner": {"tenant": "x", "tier": "team"}, "harness": 1}
    assert text_of(layer).splitlines() == [
        "harness: 1",
        "owner: {tier: team, tenant: x}",
        "checks:",
        "- id: tests",
        "  parameters:",
        "    a: {}",
        "    b: {direction: up, value: 1}",
        "  evidence: [sarif]",
    ]


def test_what_stands_in_two_places_is_written_twice():
    words = ["a" * 60, "b" * 60]
    assert read_yaml(as_yaml({"one": words, "other": words})).value == {"one": words, "other": words}


@pytest.mark.parametrize("name", names())
def test_a_blueprint_is_read_back_whatever_order_its_keys_had(name):
    document = sample(name)
    shuffled = json.loads(json.dumps(document, sort_keys=True))
    assert same(read_yaml(write_blueprint(shuffled)).value, document)
    assert write_blueprint(shuffled) == write_blueprint(document)
    assert list(read_yaml(write_blueprint(shuffled)).value)[:2] == ["blueprint", "document"]


@pytest.mark.parametrize("seed", range(50))
def test_odd_blueprints_are_read_back(seed):
    document = random_fork(sample(), seed)
    assert same(read_yaml(write_blueprint(document)).value, document)
