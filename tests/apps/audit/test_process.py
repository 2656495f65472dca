"""The sequencer as the process that an installation runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from audit import keys
from audit.models import Leaf
from audit.verification import verify_stream
from portal import dsn

from .conftest import append, intent

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def environment(installation, tmp_path):
    """Returns the environment of a sequencer that works, under its own role, on this test's database."""
    name = str(connection.settings_dict["NAME"])
    own = {"HANSE_ROLE": "audit", "HANSE_DB_AUDIT_DSN": dsn.with_database(installation.dsn("audit"), name)}
    return (
        os.environ
        | own
        | {"HANSE_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "portal.settings", "PYTHONPATH": str(ROOT)}
    )


def wait_for(count, process):
    """Waits until so many events have a place; a process that ends meanwhile fails the test at once."""
    while Leaf.objects.count() < count:
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the sequencer ended: {process.stderr.read()}")


def test_it_places_what_comes_and_ends_when_told(open_committed, environment, tmp_path):
    stream = open_committed(1)
    append(*(intent(stream) for _ in range(300)))
    command = [sys.executable, str(ROOT / "manage.py"), "sequencer"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(300, process)
            append(intent(stream))
            wait_for(301, process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
    assert verify_stream(stream, keys.load_verifier(tmp_path / "public" / "audit.vkey")).size == 301
