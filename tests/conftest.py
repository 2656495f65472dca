"""What every test stands on: one PostgreSQL server for the run, no network, the same random numbers each time.

The server starts when the first test asks for a database, is shared by all xdist workers, and has the roles of a real
installation because `portal.database` makes them. Tests connect as the tables' owner; `role_dsn` and `as_role` give the
other roles, to which row level security and grants apply.
"""

import fcntl
import gc
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
import pytest_django
from django.conf import settings
from django.db import connection, connections, transaction
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker

from portal import config as hanse_config
from portal import database, dsn, postgres
from tests import furnishing

RUN_ID = os.environ.setdefault("HANSE_TEST_RUN", str(os.getpid()))
RUN_DIR = Path(tempfile.gettempdir()) / f"hanse-t{RUN_ID}"
FAST = furnishing.FAST | {"max_connections": "200", "jit": "off"}
MIGRATED = "migrated"

hypothesis_settings.register_profile(
    "hanse", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
hypothesis_settings.load_profile("hanse")

gc.disable()  # until everything is collected: thousands of tests that stay are no garbage

# Nothing that a test does may land in the developer's own installation, nor read its environment.
for name in [name for name in os.environ if re.match(r"(HANSE_(?!TEST|REQUIRE)|DATABASE_URL|CELERY_)", name)]:
    del os.environ[name]
os.environ["HANSE_DATA"] = str(RUN_DIR / "data")
settings.HANSE = hanse_config.load(os.environ)
# Argon2 is slow on purpose; a test makes seven people.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        _remove_abandoned_runs()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last, and stay in tests/e2e, which `make test` runs apart from the rest.

    Their driver leaves an event loop running, in which `asyncio.run` refuses to work for every later test. Modules with
    slow tests come first, so that no worker is left alone with one at the end.
    """
    stray = [item.nodeid for item in items if "playwright" in _fixtures_of(item) and not _is_e2e(item)]
    if stray:
        raise pytest.UsageError(f"a test with a browser belongs in tests/e2e: {', '.join(stray)}")
    unnamed = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unnamed:
        raise pytest.UsageError(
            f"workers must agree on the names of tests, so none holds an address: {', '.join(unnamed)}"
        )
    first: dict[Path, int] = {}
    for item in items:
        first[item.path] = min(_haste(item), first.get(item.path, 2))
    items.sort(key=lambda item: (_is_e2e(item), first[item.path]))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _haste(item: pytest.Item) -> int:
    return next((place for place, mark in enumerate(("kill", "slow")) if item.get_closest_marker(mark)), 2)


def _is_e2e(item: pytest.Item) -> bool:
    return "e2e" in item.nodeid.split("/")[1:2]


def _fixtures_of(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or not RUN_DIR.exists():
        return
    postgres.stop_leftover(RUN_DIR / "data" / "postgres")
    shutil.rmtree(RUN_DIR, ignore_errors=True)


def _remove_abandoned_runs() -> None:
    for directory in Path(tempfile.gettempdir()).glob("hanse-t*"):
        owner = directory.name.removeprefix("hanse-t")
        if owner.isdigit() and directory != RUN_DIR and not psutil.pid_exists(int(owner)):
            postgres.stop_leftover(directory / "data" / "postgres")
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def installation() -> hanse_config.Config:
    """Returns the configuration of the run's installation; its server runs and its keys and roles exist."""
    RUN_DIR.mkdir(mode=0o755, exist_ok=True)
    with (RUN_DIR / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (RUN_DIR / "ready").exists():
            _install(RUN_DIR / "data")
            (RUN_DIR / "ready").touch()
    settings.HANSE = hanse_config.load(os.environ)
    return settings.HANSE


def _install(data: Path) -> None:
    furnishing.copy_furnished(data)
    shutil.rmtree(data / "static")
    (data / "static").mkdir()  # whitenoise looks for it at every start
    config = hanse_config.load(os.environ)
    server = postgres.start_server(config, settings=FAST, outlives_parent=True)
    postgres.wait_until_ready(server, config.dsn("superuser"), postgres.log_path(config))
    with psycopg.connect(config.dsn("superuser"), autocommit=True) as admin:
        owner = config.login("owner")
        admin.execute(f"ALTER ROLE {owner} CREATEDB")
        for group in database.GROUPS.values():
            admin.execute(f"GRANT {group} TO {owner} WITH INHERIT FALSE, SET TRUE")
        # Nobody is ever connected to it, so that each worker's database can be a copy of it.
        admin.execute(f"CREATE DATABASE {MIGRATED} TEMPLATE hanse OWNER {owner}")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    installation: hanse_config.Config, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """Points Django at the run's server, as the owner of the tables. The database's name stays pytest-django's."""
    chosen = connections["default"].settings_dict
    chosen.update(dsn.django_database(installation.dsn("owner")))
    chosen["TEST"]["TEMPLATE"] = MIGRATED  # Django migrates the copy, too, and finds nothing to do
    settings.DATABASES["default"].update(chosen)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Lets the tables' owner empty the log after a test that commits: in an installation a trigger refuses that."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith("audit_") and table != "audit_mark":
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER audit_no_truncate")


@contextmanager
def _rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def module_rows(django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[None]:
    """Keeps what module fixtures write, for the tests of that module only; each test's own writes end with the test.

    Tests that use such a fixture need the `django_db` mark, without which pytest-django makes no database.
    """
    with django_db_blocker.unblock(), _rolled_back():
        yield


@pytest.fixture
def role_dsn(installation: hanse_config.Config, db: None) -> Callable[[str], str]:
    """Returns a function: role (owner, app, gateway, audit, broker) -> connection URL on this worker's test database."""
    return lambda role: dsn.with_database(installation.dsn(role), str(connection.settings_dict["NAME"]))


@pytest.fixture
def as_role(db: None) -> Callable[[str], AbstractContextManager[None]]:
    """Returns a context manager: inside, Django's connection acts as hanse_app, hanse_gateway or hanse_audit."""

    @contextmanager
    def switch(role: str) -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('role', %s, false)", [role])
        try:
            yield
        finally:
            if not connection.needs_rollback:
                with connection.cursor() as cursor:
                    cursor.execute("RESET ROLE")

    return switch


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, object]) -> dict[str, object]:
    """Returns how Playwright starts the system's Chromium; without one the browser tests are skipped, loudly."""
    chromium = find_chromium()
    if chromium is None:
        if os.environ.get("HANSE_REQUIRE_BROWSER"):
            pytest.fail("no Chromium, and HANSE_REQUIRE_BROWSER is set", pytrace=False)
        pytest.skip("NO CHROMIUM ON THIS MACHINE: the browser tests did not run")
    quiet = ["no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"]
    quiet += ["disable-component-update", "disable-sync", "disable-dev-shm-usage"]
    return {**browser_type_launch_args, "executable_path": chromium, "args": [f"--{word}" for word in quiet]}


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def stop_process(pid: int) -> None:
    """Ends a process that a test started, whatever state it is in."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
