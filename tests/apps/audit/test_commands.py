import io
import json
import os
import subprocess
import sys
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from audit import keys, tiles
from audit.models import Checkpoint, Event, Leaf
from audit.notes import Verifier

from .conftest import append, intent


def run(*words, **options):
    out = io.StringIO()
    call_command(*map(str, words), stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


@pytest.fixture
def data(settings, tmp_path):
    """Returns the data directory of an installation of its own, with its own key."""

    class Config:
        data = tmp_path

    settings.HANSE = Config
    return tmp_path


@pytest.fixture
def placed(stream, other, data):
    append(*(intent(stream) for _ in range(5)), intent(other))
    run("sequencer", "--once")
    return stream


def test_once_places_everything_and_publishes_the_key(placed, data):
    assert Leaf.objects.count() == 6
    assert keys.load_verifier(data / "public" / "audit.vkey").name == "hanse"


def test_verify_says_ok(placed, as_role):
    with as_role("hanse_app"):
        assert run("audit", "verify").splitlines() == [
            "ok  5 entries, 1 checkpoints  Ledger",
            "ok  1 entries, 1 checkpoints  Rival",
        ]
        (report,) = json.loads(run("audit", "verify", "--json", "--stream", "Ledger"))
    assert (report["ok"], report["size"], report["stream"]) == (True, 5, str(placed.uid))


def test_verify_of_nothing_fails(db, data):
    keys.publish(keys.load_or_create(data / "key"), data / "public" / "audit.vkey")
    with pytest.raises(CommandError):
        run("audit", "verify")


def test_verify_of_an_unknown_stream_fails(placed):
    with pytest.raises(CommandError):
        run("audit", "verify", "--stream", "Nobody")


def test_verify_without_the_key_fails(placed, data):
    (data / "public" / "audit.vkey").unlink()
    with pytest.raises(CommandError):
        run("audit", "verify")


def test_verify_with_another_key_fails(placed, data):
    keys.publish(keys.load_or_create(data / "other"), data / "public" / "audit.vkey")
    with pytest.raises(CommandError):
        run("audit", "verify")


def test_verify_against_a_checkpoint_kept_outside(placed, data):
    kept = data / "kept"
    kept.write_text(Checkpoint.objects.get(stream=placed).note)
    run("audit", "verify", "--checkpoint", kept)
    signer = keys.load_or_create(data / "secrets" / "audit" / "checkpoint.key")
    kept.write_text(signer.checkpoint(placed.uid, 5, bytes(32)))
    with pytest.raises(CommandError):
        run("audit", "verify", "--checkpoint", kept)


def test_export_is_a_log_that_an_outsider_verifies(placed, data):
    run("audit", "export", data / "out")
    directory = data / "out" / str(placed.uid)
    verifier = Verifier.parse((directory / "vkey").read_text())
    assert tiles.verify_log(directory, verifier).size == 5
    assert len(list((data / "out").iterdir())) == 2


def test_export_of_one_stream(placed, data):
    run("audit", "export", data / "out", "--stream", placed.uid)
    assert [path.name for path in (data / "out").iterdir()] == [str(placed.uid)]


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_proof_is_checked_without_database_and_settings(placed, data, flags):
    uid = Event.objects.filter(stream=placed)[2].uid
    file = data / "record.tlog-proof"
    file.write_text(run("audit", "proof", uid, *flags))
    command = [
        sys.executable,
        "-c",
        OFFLINE,
        "audit",
        "check-proof",
        str(file),
        "--key",
        str(data / "public" / "audit.vkey"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"HANSE_DATA": str(data)}
    )
    assert done.returncode == 0, done.stderr
    assert "holds: entry 2 of 5" in done.stdout
    assert str(uid) in done.stdout
    file.write_text(file.read_text().replace("index 2", "index 3"))
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"HANSE_DATA": str(data)}
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


OFFLINE = """
import sys
import psycopg
def refuse(*a, **k):
    raise SystemExit("a proof is checked without a database")
psycopg.connect = psycopg.Connection.connect = refuse
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["audit"], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
django.setup()
from portal.management.commands.audit import Command
Command().run_from_argv(["manage.py", *sys.argv[1:]])
"""


@pytest.mark.parametrize("words", [["proof", uuid4()], ["check-proof", "/nowhere", "--key", "/nowhere"]])
def test_what_cannot_be_proved_fails(placed, words):
    with pytest.raises(CommandError):
        run("audit", *words)


@pytest.mark.parametrize("text", ["", "{}", "{", "\udcff", "c2sp.org/tlog-proof@v1\n"])
def test_a_file_that_is_no_proof_fails(placed, data, text):
    (data / "x").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CommandError):
        run("audit", "check-proof", data / "x", "--key", data / "public" / "audit.vkey")
