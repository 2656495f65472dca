"""`up` on a PostgreSQL of somebody else's, as a login that owns one database and may make roles, and nothing more."""

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from portal import config as hanse_config
from portal import dsn, keys, postgres

spec = importlib.util.spec_from_file_location("running", Path(__file__).with_name("running.py"))
running = importlib.util.module_from_spec(spec)
sys.modules["running"] = running
spec.loader.exec_module(running)

pytestmark = [pytest.mark.slow]
PASSWORD = "with:every/odd@sign?#%"


@pytest.fixture
def server():
    """Returns (superuser's URL, our login's URL) of a server of its own: roles are shared by a whole server."""
    place = Path(tempfile.mkdtemp(prefix="hanse-own"))
    place.chmod(0o755)
    config = hanse_config.load({"HANSE_DATA": str(place / "theirs")})
    keys.prepare_keys(config)
    process = postgres.start_server(config, settings={"fsync": "off", "synchronous_commit": "off"})
    try:
        superuser = config.dsn("superuser")
        postgres.wait_until_ready(process, superuser, postgres.log_path(config))
        with psycopg.connect(superuser, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE house LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
            admin.execute("CREATE DATABASE agents OWNER house")
        yield superuser, dsn.with_database(dsn.with_login(superuser, user="house", password=PASSWORD), "agents")
    finally:
        postgres.stop_server(process)
        shutil.rmtree(config.run_dir, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)


def test_up_on_a_server_of_ones_own_starts_twice_and_leaves_no_rights_behind(server, tmp_path):
    superuser, url = server
    tmp_path.chmod(0o755)
    for _ in range(2):
        with running.Up(tmp_path / "data", ["--empty"], changes={"DATABASE_URL": url}) as up:
            up.wait_ready()
            assert up.get("/readyz")[1]["status"] == "ok"
            with psycopg.connect(superuser) as admin:
                query = "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'agents'"
                busy = {name for (name,) in admin.execute(query)}
            assert up.stop() == 0
        assert not any(PASSWORD in line for line in up.lines)
    assert "house" not in busy, "a process works as the owner"
    assert {name.rpartition("_")[2] for name in busy} >= {"app", "gateway", "audit"}
    assert not (tmp_path / "data" / "postgres").exists()
    with psycopg.connect(superuser) as admin:
        query = (
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'hanse%' AND (rolsuper OR rolcreaterole OR rolbypassrls)"
        )
        assert admin.execute(query).fetchall() == []
