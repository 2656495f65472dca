"""A gateway in a real server process thread, on a database of its own, with an upstream that can misbehave."""

import time
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from gateway.app import Gateway, Settings
from gateway.wire import Limits
from portal import dsn as dsns
from tests.gateway.estate import Estate, TokenMaker, make_estate
from tests.gateway.servers import Upstream, serve_asgi
from tests.gateway.wire_client import Client

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Without a test that asks for it, the database that we copy would not be made."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.django_db)


@pytest.fixture(scope="session")
def gateway_database(installation, django_db_setup, django_db_blocker):
    """Returns a function: role -> connection URL on a copy of the test database that only these tests write to."""
    with django_db_blocker.unblock():
        source = str(connection.settings_dict["NAME"])
        connection.close()
    name = f"{source}_gateway"
    maintenance = dsns.with_database(installation.dsn("superuser"), "postgres")
    with psycopg.connect(maintenance, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
    yield lambda role: dsns.with_database(installation.dsn(role), name)
    with psycopg.connect(maintenance, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def upstream():
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def estate(gateway_database, upstream, tmp_path_factory) -> Estate:
    return make_estate(gateway_database("superuser"), upstream.url, tmp_path_factory.mktemp("gateway"))


@pytest.fixture(scope="session")
def limits() -> Limits:
    return Limits(deadline=3.0, upstream_bytes=1 << 20)


@pytest.fixture(scope="session")
def settings_of(gateway_database, estate, upstream, limits):
    """Returns a function: port -> the settings of a gateway that is served there."""

    def make(port: int) -> Settings:
        base = f"http://127.0.0.1:{port}"
        return Settings(
            base_url=base,
            issuer=base,
            dsn=gateway_database("gateway"),
            token_keys=estate.keys / "token.jwks.json",
            credential_key=estate.keys / "hpke.pem",
            stdio_socket=estate.keys / "stdio.sock",
            allowed_hosts=("127.0.0.1", "localhost"),
            upstream_allow=("127.0.0.0/8",),
            limits=limits,
        )

    return make


@pytest.fixture(scope="session")
def gateway(settings_of):
    with serve_asgi(lambda port: Gateway(settings_of(port))) as server:
        until = time.monotonic() + 20
        while not server.app.ready():
            assert time.monotonic() < until, "the gateway did not become ready"
            time.sleep(0.02)
        yield server


@pytest.fixture(scope="session")
def tokens(estate, gateway) -> TokenMaker:
    return TokenMaker(estate, gateway.url)


@pytest.fixture
def client(gateway, estate, tokens) -> Client:
    """Returns a client of the team's merged surface, as the estate's person and agent."""
    return Client(gateway.url, f"/mcp/{estate.team}", tokens.mint())


@pytest.fixture
def events(gateway_database, estate):
    """Returns a function: the audit events since the test began, as dictionaries in order."""
    with psycopg.connect(gateway_database("superuser"), autocommit=True) as watcher:
        (start,) = watcher.execute("SELECT coalesce(max(id), 0) FROM audit_event").fetchone()
        query = """
            SELECT e.kind, e.call::text, e.object, e.decision, e.result, e.leaf::jsonb AS leaf, p.body,
                   e.person::text, e.agent::text, e.delegation::text
              FROM audit_event e LEFT JOIN audit_payload p ON p.event = e.uid WHERE e.id > %s ORDER BY e.id
        """

        def read() -> list[dict]:
            cursor = watcher.execute(query, (start,))
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

        yield read


@pytest.fixture
def admin(gateway_database):
    """Returns a connection that may change anything, for what the portal would do."""
    with psycopg.connect(gateway_database("superuser"), autocommit=True) as connected:
        yield connected
