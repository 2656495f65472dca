"""YAML from strangers: bounded, plain, and every refusal has a line."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprints.format.reading import MAX_BYTES, Unreadable, read_yaml

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (BOMB, "ALIAS", 1),
        ("a: 1\nb: *gone\n", "ALIAS", 2),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "DUPLICATE_KEY", 4),
        ("a: !!python/object:os.system x\n", "TAG", 1),
        ("a: !include x\n", "TAG", 1),
        ("1: a\n", "KEY_NOT_TEXT", 1),
        ("? [a]\n: b\n", "KEY_NOT_TEXT", 1),
        ("a: 1\n---\nb: 2\n", "SECOND_DOCUMENT", 2),
        ("", "EMPTY", 1),
        ("a: [1, 2\nb: 3\n", "NOT_YAML", 2),
        ("a: b: c\n", "NOT_YAML", 1),
        ("a: 99999999999999999999\n", "NUMBER", 1),
        ("a: 1e999\n", "NUMBER", 1),
        ("[" * 200 + "]" * 200, "TOO_DEEP", 1),
        ("{a: " * 100 + "1" + "}" * 100, "TOO_DEEP", 1),
        ("- 1\n" * 20_001, "TOO_MANY", 20_000),
        ("a: " + "x" * MAX_BYTES, "TOO_LARGE", None),
        (b"a: \xff", "NOT_UTF8", None),
        ("a: \x07", "NOT_YAML", None),
        ('a: "\\ud800"', None, None),
        ('"\\ud800": 1', None, None),
        ('a: 1\nb: "x\\0y"', "NOT_TEXT", 2),
        ('a: 1\n"x\\0y": 1', "NOT_TEXT", 2),
    ],
)
def test_what_is_refused_is_refused_with_its_place(text, code, line):
    with pytest.raises(Unreadable) as refused:
        read_yaml(text)
    assert refused.value.finding.remedy
    if code:
        assert refused.value.finding.code == code
    if line:
        assert refused.value.finding.line == line


def test_words_of_old_yaml_stay_words():
    source = read_yaml(
        "on: no\noff: yes\nday: 2026-01-01\ntime: 12:30\noctal: 0o17\nzero: 007\nversion: 1.10\n'1': x\n"
    )
    assert source.value == {
        "on": "no", "off": "yes", "day": "2026-01-01", "time": "12:30", "octal": "0o17", "zero": "007",
        "version": 1.1, "1": "x",
    }  # fmt: skip


def test_every_part_has_its_place():
    source = read_yaml("a:\n  - b: 1\n    c/d: [x, y]\n")
    assert source.places["/a/0/c~1d"] == (3, 5)
    assert source.places["/a/0/c~1d/1"] == (3, 14)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    with suppress(Unreadable):
        read_yaml(text)
