"""A portal of its own for the browser tests: a real process, the application's database role, hashed static files.

The tests of this directory share it and its people; each test has a browser context of its own, and fails when the
browser had anything to complain about.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from django.db import connection, connections
from playwright.sync_api import Browser, BrowserContext, Page

from portal import dsn as dsns
from portal.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
STARTS_WITHIN = 60
HERE = Path(__file__).parent

# Playwright's own loop stays in the thread until the end of the run, and Django would refuse its database beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


def pytest_collection_modifyitems(items):
    """Marks the tests, and asks for the database that ours is a copy of."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.django_db)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_beside_the_loop(e2e_database, playwright) -> Iterator[None]:
    """Closes what was opened beside Playwright's loop while that still runs: nobody else can reach it later."""
    yield
    connections.close_all()


@dataclass
class Portal:
    """Where the portal answers, and the sessions of who has signed in so far."""

    url: str
    sessions: dict[str, dict] = field(default_factory=dict)


@pytest.fixture(scope="session")
def e2e_database(installation, django_db_setup, django_db_blocker) -> Iterator[Callable[[str], str]]:
    """Returns a function: role -> connection URL on a copy of the test database that only these tests write to."""
    with django_db_blocker.unblock():
        source = str(connection.settings_dict["NAME"])
        connection.close()
    name = f"{source}_e2e"
    maintenance = dsns.with_database(installation.dsn("superuser"), "postgres")
    with psycopg.connect(maintenance, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
    yield lambda role: dsns.with_database(installation.dsn(role), name)
    with psycopg.connect(maintenance, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def portal(installation, e2e_database, tmp_path_factory) -> Iterator[Portal]:
    """Returns the running portal with its estate and its log in place."""
    port = free_ports()
    url = f"http://127.0.0.1:{port}"
    data = tmp_path_factory.mktemp("portal")
    for part in ("public", "secrets"):
        shutil.copytree(installation.data / part, data / part)
    env = _environment(url, port, data, e2e_database)
    _run(env, "owner", "-m", "tests.e2e.seed")
    _run(env, "audit", "manage.py", "sequencer", "--once")
    log = data / "portal.log"
    with log.open("wb") as out:
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "portal.portal_asgi:app",
            "--port",
            str(port),
            "--log-level",
            "warning",
        ]
        process = subprocess.Popen(command, cwd=ROOT, env=env | {"HANSE_ROLE": "app"}, stdout=out, stderr=out)
    try:
        _wait(url, process, log)
        yield Portal(url)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(url: str, port: int, data: Path, database: Callable[[str], str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HANSE_", "DATABASE_", "CELERY_", "DJANGO_"))
    }
    dsn = {f"HANSE_DB_{role.upper()}_DSN": database(role) for role in ("owner", "app", "audit", "broker")}
    own = {"HANSE_DATA": str(data), "HANSE_URL": url, "HANSE_PORT": str(port), "HANSE_ALLOWED_HOSTS": "127.0.0.1"}
    return kept | dsn | own | {"DJANGO_SETTINGS_MODULE": "portal.settings", "PYTHONPATH": str(ROOT)}


def _run(env: dict[str, str], role: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=env | {"HANSE_ROLE": role},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-3000:]}", pytrace=False)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/livez", timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the portal did not start:\n{log.read_text()[-3000:]}", pytrace=False)


@dataclass
class Visitor:
    """A person at a browser."""

    page: Page
    complaints: list[str]

    def open(self, path: str) -> Page:
        """Opens a page of the portal and waits until it is there."""
        self.page.goto(path)
        return self.page


@pytest.fixture
def visit(portal, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Returns a function: name in the cast, options of the context -> a visitor, signed in unless nameless."""
    contexts: list[BrowserContext] = []
    visitors: list[Visitor] = []

    def start(who: str = "", **options: object) -> Visitor:
        if who and who not in portal.sessions:
            portal.sessions[who] = _sign_in(browser, portal, who)
        context = browser.new_context(base_url=portal.url, storage_state=portal.sessions.get(who), **options)
        contexts.append(context)
        visitors.append(_watched(context))
        return visitors[-1]

    yield start
    for context in contexts:
        context.close()
    assert not [complaint for visitor in visitors for complaint in visitor.complaints]


def _watched(context: BrowserContext) -> Visitor:
    page, complaints = context.new_page(), []
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return Visitor(page, complaints)


def _sign_in(browser: Browser, portal: Portal, who: str) -> dict:
    with browser.new_context(base_url=portal.url) as context:
        page = context.new_page()
        answer = page.goto("/accounts/login/")
        assert answer
        assert answer.ok, page.content()
        page.get_by_label("Email").fill(f"{who}@example.test")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{portal.url}/")
        return context.storage_state()
