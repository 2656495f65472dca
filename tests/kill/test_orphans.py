"""A database whose first process was killed alone, as the kernel does when memory runs out."""

import contextlib
import shutil
import tempfile
import threading
from pathlib import Path

import psutil
import psycopg
import pytest

from portal import config as hanse_config
from portal import postgres
from tests.furnishing import copy_furnished
from tests.kill.installation import wait_for

pytestmark = [pytest.mark.kill]

# It never waits for anything, so PostgreSQL does not look whether its first process still lives.
COMPUTE = "DO $$ BEGIN LOOP END LOOP; END $$"


@pytest.fixture
def config():
    place = Path(tempfile.mkdtemp(prefix="hanse-o"))
    place.chmod(0o755)
    copy_furnished(place / "data")
    config = hanse_config.load({"HANSE_DATA": str(place / "data")})
    yield config
    postgres.stop_leftover(config.data / "postgres")
    shutil.rmtree(place, ignore_errors=True)


def compute(dsn: str) -> None:
    with contextlib.suppress(psycopg.Error), psycopg.connect(dsn) as connection:
        connection.execute(COMPUTE)


def test_no_orphan_works_beside_the_next_server(config):
    """Two sets of backends on one directory would ruin it, and the log with it."""
    server = postgres.start_server(config)
    dsn = config.dsn("superuser")
    postgres.wait_until_ready(server, dsn, postgres.log_path(config))
    thread = threading.Thread(target=compute, args=(dsn,), daemon=True)
    thread.start()
    with psycopg.connect(dsn, autocommit=True) as looking:
        query = "SELECT pid FROM pg_stat_activity WHERE query = %s AND state = 'active'"
        wait_for(lambda: looking.execute(query, (COMPUTE,)).fetchone(), "nothing computes")
        (pid,) = looking.execute(query, (COMPUTE,)).fetchone()
    orphan = psutil.Process(pid)
    server.kill()
    server.wait()
    assert orphan.is_running(), "it noticed, so this test shows nothing"
    again = postgres.start_server(config)
    try:
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        postgres.wait_until_ready(again, dsn, postgres.log_path(config))
    finally:
        postgres.stop_server(again)
    thread.join(20)
    assert not thread.is_alive()
