"""One data directory that is ready for its first tenant, kept until the code changes; tests begin with a copy of it.

It is what the first start of an installation makes: keys, roles, database, migrations, static files. Making it costs a
dozen seconds, copying it a fraction of one. Tests whose subject is the first start itself begin with nothing.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from portal import config as hanse_config
from portal import database, keys, postgres
from portal.cli import processes

NAME: Final = f"hanse-furnished-{os.getuid()}"
FAST: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
KEPT: Final = 3  # for as many checkouts that are worked on at the same time
PREPARE: Final = """
from portal.management.commands import prepare
prepare.migrate()
prepare.make_room_for_vectors()
prepare.collect_static()
"""


def copy_furnished(data: Path) -> None:
    """Puts a furnished data directory at this place, where nothing may be yet; no server has run on it."""
    data.parent.mkdir(parents=True, exist_ok=True)
    with _locked() as place:
        done = place / _state()
        if not done.exists():
            _make(place, done)
        os.utime(done)
        # Files of the database may belong to an account of its own.
        subprocess.run(["cp", "-a", str(done), str(data)], check=True)
    data.chmod(0o700)


@contextmanager
def _locked() -> Iterator[Path]:
    """Yields the directory of what is kept, held against every other run of this user."""
    place = Path(tempfile.gettempdir()) / NAME
    keys.private_directory(place, mode=0o711)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield place


def _make(place: Path, done: Path) -> None:
    _remove_old(place)
    unfinished = place / "unfinished"
    config = hanse_config.load({"HANSE_DATA": str(unfinished)})
    keys.prepare_keys(config)
    server = postgres.start_server(config, settings=FAST)
    try:
        postgres.wait_until_ready(server, config.dsn("superuser"), postgres.log_path(config))
        database.prepare_database(config)
        processes.prepare_audit_key(config)
        command = [sys.executable, str(processes.MANAGE), "shell", "-v", "0", "-c", PREPARE]
        subprocess.run(command, env=processes.environment_for(config, "owner"), check=True)
    finally:
        postgres.stop_server(server)
    shutil.rmtree(config.run_dir)
    unfinished.rename(done)


def _remove_old(place: Path) -> None:
    """Removes what an interrupted run left here, and all but the few that were copied last."""
    kept = sorted((path for path in place.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in kept:
        if path.name == "unfinished" or path in kept[:-KEPT]:
            postgres.stop_leftover(path / "postgres")
            shutil.rmtree(path)


def _state() -> str:
    """Returns what the directory depends on, as a name: all code but the tests', and the packages."""
    digest = hashlib.sha256(f"{sys.version} {postgres.BINARIES}".encode())
    for path in sorted(_sources()):
        digest.update(str(path.relative_to(processes.ROOT)).encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    packages = [path.parent for path in processes.ROOT.glob("*/__init__.py")]
    for folder in (*packages, processes.ROOT / "static"):
        yield from (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    yield from (processes.ROOT / name for name in ("manage.py", "requirements.lock"))
