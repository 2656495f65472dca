"""`/livez`: the process answers. `/readyz`: everything it needs answers too."""

from collections.abc import Callable
from typing import Final

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal.celery import app


class Probes:
    """Middleware that answers probes before anything else may fail: sessions, host names, the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = _PROBES.get(request.path_info)
        return view(request) if view else self.get_response(request)


_known: dict[str, bool] = {}  # migrations never become unapplied while a process runs


@never_cache
@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """Returns 200 as long as the process can answer at all."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Returns 200 when every part answers and 503 with the names of those that do not; never why, which is for the log."""
    checks = {name: _passes(check) for name, check in CHECKS.items()}
    ready = all(checks.values())
    return JsonResponse({"status": "ok" if ready else "unavailable", "checks": checks}, status=200 if ready else 503)


def _passes(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:  # noqa: BLE001 - whatever it is, this part does not answer
        return False


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        row = cursor.fetchone()
    return bool(row and row[0] == 1)


def _migrations() -> bool:
    if not _known.get("migrations"):
        executor = MigrationExecutor(connection)
        _known["migrations"] = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _known["migrations"]


def _broker() -> bool:
    with app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, timeout=3)
        return bool(broker.connected)


def _audit() -> bool:
    """The log takes events: its tables are there for our role, and no stream is left without its sequencer's mark."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM audit_stream LIMIT 1), to_regprocedure('audit_append(jsonb)')")
        return cursor.fetchone() is not None


# The process that also serves the gateway adds its check.
CHECKS: Final[dict[str, Callable[[], bool]]] = {
    "database": _database,
    "migrations": _migrations,
    "broker": _broker,
    "audit": _audit,
}
_PROBES: Final = {"/livez": livez, "/readyz": readyz}
