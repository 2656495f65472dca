"""An installation of its own for one bench: real embedded PostgreSQL with fsync on, all roles, all migrations."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections

from portal import database, dsn, keys, postgres
from portal.cli.processes import prepare_audit_key
from portal.config import Config, load
from portal.ports import HOST, free_ports


@contextmanager
def installed(**environment: str) -> Iterator[Config]:
    """Yields the configuration of a fresh installation that Django is connected to as the owner of the tables.

    Everything is as `up` makes it: the same server settings, so the log is flushed to disk at each commit.
    """
    with temporary_data() as data:
        port = free_ports(2)
        config = load(
            {
                "HANSE_DATA": str(data),
                "HANSE_PORT": str(port),
                "HANSE_URL": f"http://{HOST}:{port}",
                "HANSE_GATEWAY_URL": f"http://{HOST}:{port + 1}",
                **environment,
            }
        )
        keys.prepare_keys(config)
        server = postgres.start_server(config)
        try:
            postgres.wait_until_ready(server, config.dsn("superuser"), postgres.log_path(config))
            database.prepare_database(config)
            prepare_audit_key(config)
            connect(config, "owner")
            call_command("migrate", verbosity=0, interactive=False)
            yield config
        finally:
            connection.close()
            postgres.stop_server(server)


@contextmanager
def temporary_data() -> Iterator[Path]:
    """Yields a new directory on the disk of the temporary files; it is gone afterwards."""
    data = Path(tempfile.mkdtemp(prefix="hanse-bench-"))
    data.chmod(0o755)  # PostgreSQL may run under an account of its own
    try:
        yield data
    finally:
        shutil.rmtree(data, ignore_errors=True)


def connect(config: Config, role: str) -> None:
    """Points this process's Django at the installation, as one of its database roles."""
    connection.close()
    settings.HANSE = config
    chosen = dsn.django_database(config.dsn(role))
    connections["default"].settings_dict.update(chosen)


def server_version(config: Config) -> str:
    """Returns the version of the PostgreSQL that was measured with."""
    with psycopg.connect(config.dsn("owner")) as asked:
        row = asked.execute("SHOW server_version").fetchone()
    return str(row[0]).split()[0] if row else ""
