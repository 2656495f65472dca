"""The record that is signed, and the page that describes the signals."""

import json
from datetime import timedelta

import pytest

from blueprints.classification.record import bytes_to_sign, holds, make_record
from blueprints.classification.signals import CATALOGUE, LEVELS
from blueprints.classification.standing import Because
from blueprints.classification.survey import classify
from kernel.errors import Conflict
from tests.apps.classification.repositories import NOW, PYTHON, make_repository, report_of, run_git
from tests.docs.pages import ROOT, rows_of

PAGE = ROOT / "docs" / "reference" / "classification.md"


@pytest.fixture
def record(tmp_path):
    root = make_repository(tmp_path / "repository", PYTHON)
    (tmp_path / "executed.json").write_text(json.dumps(report_of(root, "pytest -q")))
    return make_record(classify(root, now=NOW, executed=tmp_path / "executed.json"), repository="team/calc")


def test_a_record_names_commit_rules_and_end(record):
    assert record["pattern"] == "dark-factory"
    assert len(str(record["commit"])) == 40
    assert record["expires"] == "2026-12-23T11:00:00.000000Z", "30 days from the report, which is the older part"
    assert set(record["signals"]) == set(CATALOGUE)


def test_equal_measurements_give_equal_bytes(record, tmp_path):
    again = make_record(
        classify(tmp_path / "repository", now=NOW, executed=tmp_path / "executed.json"), repository="team/calc"
    )
    assert bytes_to_sign(again) == bytes_to_sign(record)
    assert bytes_to_sign(record).startswith(b"hanse-classification-1\n{")
    assert bytes_to_sign({**record, "level": 5}) != bytes_to_sign(record)


@pytest.mark.parametrize(
    ("change", "days", "commits", "expected"),
    [
        ({}, 0, 0, True),
        ({}, 29, 199, True),
        ({}, 30, 0, False),
        ({}, -1, 0, False),
        ({}, 0, 200, False),
        ({}, 0, -1, False),
        ({"rule_version": "0-x"}, 0, 0, False),
        ({"type": "other"}, 0, 0, False),
        ({"expires": None}, 0, 0, False),
    ],
)
def test_a_record_holds_until_the_first_of_its_ends(change, days, commits, expected, record):
    assert holds({**record, **change}, now=NOW + timedelta(days=days), commits_since=commits) is expected


def test_nothing_is_recorded_without_a_commit(tmp_path):
    run_git(tmp_path, "init", "-q")
    with pytest.raises(Conflict):
        make_record(classify(tmp_path, now=NOW), repository="team/empty")


def test_the_page_lists_every_signal_and_level():
    rows = [row for row in rows_of(PAGE, first="signal") if len(row) == 3]
    assert {name.strip("`"): (int(level), says) for name, level, says in rows} == {
        name: (signal.level, signal.says) for name, signal in CATALOGUE.items()
    }
    assert [name for _, name, _ in rows_of(PAGE, first="level")] == list(LEVELS)


def test_the_page_lists_every_reason_with_its_pattern():
    shown = {name.strip("`"): pattern for name, pattern, _ in rows_of(PAGE, first="because")}
    dark = {Because.PROVEN, Because.APPROVED}
    assert shown == {one.value: "dark-factory" if one in dark else "interactive-assistant" for one in Because}
