"""What the application's database role may do, table by table, after every migration."""

from typing import Any, Final

from django.apps import apps
from django.db import connections
from django.db.backends.utils import CursorWrapper

APP_ROLE: Final = "hanse_app"

# The log decides for itself, in its migrations, who may add to it; nobody may change it.
DECIDED_ELSEWHERE: Final = frozenset({"audit"})


def grant_tables(using: str = "default", **_signal: Any) -> None:
    """Gives the application's role the rows of every table but the log's; row level security still decides which rows."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regrole(%s) IS NOT NULL", [APP_ROLE])
        if cursor.fetchone() != (True,):
            return
        there = set(connections[using].introspection.table_names(cursor))
        for table in sorted(application_tables() & there):
            _grant(cursor, "SELECT, INSERT, UPDATE, DELETE", table)
        _grant(cursor, "SELECT", "django_migrations")  # readiness compares it with the code


def application_tables() -> set[str]:
    """Returns the tables of all models, join tables included, without those that decide for themselves."""
    models = [model for config in apps.get_app_configs() for model in config.get_models(include_auto_created=True)]
    return {
        model._meta.db_table
        for model in models
        if model._meta.managed and not model._meta.proxy and model._meta.app_label not in DECIDED_ELSEWHERE
    }


def _grant(cursor: CursorWrapper, privileges: str, table: str) -> None:
    cursor.execute(f'GRANT {privileges} ON TABLE "{table}" TO {APP_ROLE}')
