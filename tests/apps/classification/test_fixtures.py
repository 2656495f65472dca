"""Whole and thin repositories: whoever looks whole but is thin is not fit for dark-factory, whatever was executed."""

import json
from pathlib import Path

import pytest

from blueprints.classification.survey import Classification, classify
from tests.apps.classification.repositories import (
    NOW,
    PYTHON,
    THIN,
    WHOLE,
    Files,
    command_of,
    make_repository,
    report_of,
)


def classify_with_everything_passed(root: Path, files: Files, **parts: object) -> Classification:
    make_repository(root / "repository", files)
    report = report_of(root / "repository", command_of(files), **parts)
    (root / "executed.json").write_text(json.dumps(report))
    return classify(root / "repository", now=NOW, executed=root / "executed.json")


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_repository_is_proven_only_by_what_was_executed(name, tmp_path):
    result = classify_with_everything_passed(tmp_path, WHOLE[name])
    lacking = [item.signal for item in result.judgement.missing if item.level <= 4]
    assert (result.judgement.pattern, result.judgement.level, lacking) == ("dark-factory", 4, [])
    by_files = classify(tmp_path / "repository", now=NOW)
    assert (by_files.judgement.pattern, by_files.judgement.level) == ("interactive-assistant", 3)
    assert by_files.judgement.missing[0].signal == "executed.setup"


@pytest.mark.parametrize("name", THIN)
def test_no_thin_repository_is_fit_for_dark_factory(name, tmp_path):
    files, lacking = THIN[name]
    result = classify_with_everything_passed(tmp_path, files)
    assert result.judgement.pattern == "interactive-assistant"
    assert result.findings[lacking].state == "unmet"
    assert lacking in [item.signal for item in result.judgement.missing]


def test_half_of_the_fixtures_are_thin():
    assert len(WHOLE) + len(THIN) >= 12
    assert len(THIN) >= len(WHOLE)


PARTS = [
    {"setup": {"state": "failed", "command": "make setup"}},
    {"setup": {"state": "not_run"}},
    {"tests": {"state": "not_run"}},
    {"mutation": {"state": "passed", "tried": 10, "caught": 5}},
    {"mutation": {"state": "passed", "tried": 9, "caught": 9}},
    {"mutation": {"state": "passed", "tried": 10, "caught": 11}},
    {"mutation": {"state": "not_run"}},
    {"lint": {"state": "passed", "command": "make lint", "findings": 1}},
    {"lint": {"state": "failed", "command": "make lint", "findings": 0}},
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: json.dumps(part)[:60])
def test_a_run_that_did_not_pass_keeps_a_whole_repository_interactive(part, tmp_path):
    result = classify_with_everything_passed(tmp_path, PYTHON, **part)
    assert result.judgement.pattern == "interactive-assistant"


GREEN = {"passed": 5, "failed": 0, "skipped": 0, "outcomes": "a" * 64}


@pytest.mark.parametrize(
    "runs",
    [
        [GREEN],
        [GREEN, {**GREEN, "outcomes": "b" * 64}],
        [GREEN, {**GREEN, "skipped": 1}],
        [{**GREEN, "failed": 1}] * 2,
        [{**GREEN, "passed": 0}] * 2,
    ],
)
def test_tests_pass_only_twice_and_with_equal_results(runs, tmp_path):
    tests = {"state": "passed", "command": "pytest -q", "runs": runs}
    result = classify_with_everything_passed(tmp_path, PYTHON, tests=tests)
    assert (result.executed["executed.tests"], result.judgement.level) == ("failed", 1)


def test_the_command_that_ran_must_be_the_one_in_the_instructions(tmp_path):
    tests = {"state": "passed", "command": "pytest -q tests/easy", "runs": [GREEN, GREEN]}
    result = classify_with_everything_passed(tmp_path, PYTHON, tests=tests)
    assert (result.executed["executed.as_instructed"], result.judgement.level) == ("failed", 3)


NEEDED = [path for path in PYTHON if path not in {"calc.py", ".github/CODEOWNERS"}]


@pytest.mark.parametrize("path", NEEDED)
def test_without_any_one_good_file_a_whole_repository_is_not_fit(path, tmp_path):
    files = {name: text for name, text in PYTHON.items() if name != path}
    assert classify_with_everything_passed(tmp_path, files).judgement.pattern == "interactive-assistant"


def test_a_regulated_path_needs_its_harness(tmp_path):
    files = {**PYTHON, "pci/vault.py": "def keep(number):\n    return number\n"}
    assert classify_with_everything_passed(tmp_path, files).judgement.level == 3
    paths = {"now": NOW, "executed": tmp_path / "executed.json"}
    assert classify(tmp_path / "repository", **paths, harness=frozenset({"gdpr"})).judgement.level == 3
    assert classify(tmp_path / "repository", **paths, harness=frozenset({"pci"})).judgement.level == 4


def test_deployment_and_migrations_need_owners(tmp_path):
    files = {**PYTHON, "shop/migrations/0001_first.py": "x = 1\n", ".github/CODEOWNERS": "# nobody\n"}
    result = classify_with_everything_passed(tmp_path, files)
    assert result.findings["safety.owned_changes"].state == "unmet"
    assert result.judgement.pattern == "interactive-assistant"
