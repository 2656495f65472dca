"""What is written for people to edit is read back as the same document, however odd the words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprints.format.reading import Unreadable, read_yaml
from blueprints.format.writing import as_yaml
from blueprints.harness.editing import text_of

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
