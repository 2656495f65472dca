"""Whether the last preparation still holds: the same code, the same packages, the same migrations in the database.

Asking costs milliseconds where `manage.py prepare` costs a start of Django, and a second `up` should be quick.
"""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Final

import psycopg

from portal.cli.processes import ROOT
from portal.config import Config
from portal.keys import write_atomically

# What internal servers ship as tools: a new definition is put into the catalog by `prepare`.
_SHIPPED: Final = ("registry/context/tools.py", "registry/context/shapes.py", "registry/providing.py")
_PATTERNS: Final = ("*/migrations/*.py", "static/**/*", "portal/management/commands/prepare.py", *_SHIPPED)


def is_prepared(config: Config) -> bool:
    """Tells whether nothing has changed since `remember`. In doubt it says no, and preparing again is harmless."""
    marker = _marker(config)
    return marker.exists() and marker.read_text(encoding="ascii") == _state(config)


def remember(config: Config) -> None:
    """Keeps the state that preparation has just reached."""
    write_atomically(_marker(config), _state(config).encode("ascii"), mode=0o600)


def _marker(config: Config) -> Path:
    return config.data / "prepared"


def _state(config: Config) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _PATTERNS for path in ROOT.glob(pattern) if path.is_file()):
        status = path.stat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    for package in sorted(f"{found.name} {found.version}" for found in importlib.metadata.distributions()):
        digest.update(f"{package}\n".encode())
    digest.update(_applied(config).encode())
    return digest.hexdigest()


def _applied(config: Config) -> str:
    query = (
        "SELECT coalesce(string_agg(app || '.' || name || applied::text, ',' ORDER BY id), '') FROM django_migrations"
    )
    try:
        with psycopg.connect(config.dsn("owner")) as connection:
            row = connection.execute(query).fetchone()
    except psycopg.Error:
        return "unknown"
    return str(row[0]) if row else ""
