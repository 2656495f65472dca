"""A document that is written and read again is the same, whatever order its keys had."""

import json

import pytest

from blueprints.forks.keyed import same
from blueprints.format.reading import read_yaml
from blueprints.format.writing import write_yaml
from tests.unit.blueprints.samples import names, random_fork, sample


@pytest.mark.parametrize("name", names())
def test_what_is_written_is_read_back(name):
    document = sample(name)
    shuffled = json.loads(json.dumps(document, sort_keys=True))
    assert same(read_yaml(write_yaml(shuffled)).value, document)
    assert write_yaml(shuffled) == write_yaml(document)
    assert list(read_yaml(write_yaml(shuffled)).value)[:2] == ["blueprint", "document"]


@pytest.mark.parametrize("seed", range(50))
def test_odd_values_are_read_back(seed):
    document = random_fork(sample(), seed)
    assert same(read_yaml(write_yaml(document)).value, document)


@pytest.mark.parametrize(
    "text", ["on", "no", "2026-01-01", "1.10", "~", "", " a", "a\n\nb\n", "a: b #c", "'", "\t", "é\u2028x"]
)
def test_texts_that_look_like_something_else_stay_text(text):
    assert read_yaml(write_yaml({"title": text})).value == {"title": text}
