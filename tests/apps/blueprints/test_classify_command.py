"""The command line: a record is kept for a checkout of this host, and checked without a database by who has the key."""

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from kernel import clock
from kernel.errors import Invalid, NotFound
from tests.actors import fresh, make_cast
from tests.apps.blueprints.workshop import offered, refreshed, register, whole
from tests.apps.classification.repositories import report_of

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def place(tmp_path):
    return whole(tmp_path / "mirrors")


@pytest.fixture
def repository(made, db, place):
    cast = fresh(made)
    with offered(place.parent):
        return register(cast.member, cast.team, place)


@pytest.fixture
def exported(repository, place, tmp_path, capsys):
    """Returns the file of a record that the command has kept."""
    report = report_of(place, "pytest -q") | {"at": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"}
    (tmp_path / "executed.json").write_text(json.dumps(report))
    options = {"executed": tmp_path / "executed.json", "record": "ledger/calc", "json": True}
    call_command("classify", str(place), **options)
    path = tmp_path / "record.json"
    path.write_text(capsys.readouterr().out)
    return path


def say(capsys, *words):
    call_command("classify", *map(str, words))
    return capsys.readouterr().out


def test_a_record_is_kept_for_a_checkout_of_this_host(exported, repository):
    row = refreshed(repository)
    assert (row.level, row.pattern, row.record) == (4, "dark-factory", json.loads(exported.read_text())["record"])
    assert row.stage == "", "what was waited for is there"


def test_a_kept_record_verifies_and_one_that_was_touched_does_not(exported, capsys):
    said = say(capsys, "--verify", exported)
    assert said.startswith("ledger/calc: dark-factory, level 4, commit ")
    assert "it holds until" in said
    told = json.loads(say(capsys, "--verify", exported, "--json"))
    assert (told["verified"], told["holds"], told["repository"]) == (True, True, "ledger/calc")
    document = json.loads(exported.read_text())
    document["record"]["level"] = 5
    exported.write_text(json.dumps(document))
    with pytest.raises(CommandError) as refused:
        say(capsys, "--verify", exported)
    assert refused.value.returncode == 1
    assert "did not sign" in capsys.readouterr().out


def test_an_old_record_verifies_and_no_longer_holds(exported, capsys, time_machine, monkeypatch):
    time_machine.move_to(clock.now() + timedelta(days=31))
    assert "it has ended" in say(capsys, "--verify", exported)
    monkeypatch.setattr("blueprints.classification.rules.MIN_CATCH_PERCENT", 61)
    assert "made by the rules" in say(capsys, "--verify", exported)


def test_it_is_checked_elsewhere_without_a_database_and_by_other_tools(exported, tmp_path):
    elsewhere = {**os.environ, "HANSE_DATA": str(tmp_path / "nowhere"), "DATABASE_URL": ""}
    key = tmp_path / "records.pem"
    shutil.copy(settings.HANSE.public_dir / "records.pem", key)
    command = [sys.executable, ROOT / "manage.py", "classify", "--verify", exported, "--key", key]
    done = subprocess.run(command, env=elsewhere, capture_output=True, text=True, check=False)
    assert (done.returncode, "it holds until" in done.stdout) == (0, True), done.stderr


def test_what_cannot_be_checked_is_said(exported, tmp_path, capsys, repository):
    (tmp_path / "words").write_text("no json")
    (tmp_path / "list").write_text("[]")
    for words, error in (
        (("--verify", tmp_path / "nowhere"), Invalid),
        (("--verify", tmp_path / "words"), Invalid),
        (("--verify", exported, "--key", tmp_path / "nowhere"), Invalid),
        (("--verify", exported, "--key", tmp_path / "words"), Invalid),
        ((), CommandError),
        ((tmp_path, "--verify", exported), CommandError),
        ((tmp_path / "mirrors" / "calc", "--record", "ledger/nowhere"), NotFound),
        ((tmp_path, "--record", "ledger/calc"), Invalid),
    ):
        with pytest.raises(error) as refused:
            say(capsys, *words)
        assert "\n" not in str(refused.value)
    with pytest.raises(CommandError) as refused:
        say(capsys, "--verify", tmp_path / "list")
    assert refused.value.returncode == 1
