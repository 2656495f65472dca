"""The roles and the database that `portal.database` makes."""

import psycopg
import pytest

from portal.dsn import with_database


@pytest.mark.parametrize("role", ["owner", "app", "gateway", "audit", "broker"])
def test_no_login_is_a_superuser_or_escapes_row_security(installation, role):
    with psycopg.connect(installation.dsn(role)) as connection:
        query = (
            "SELECT rolsuper, rolbypassrls, rolreplication, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        )
        assert connection.execute(query).fetchone() == (False, False, False, False)


def test_the_broker_reads_no_table_of_ours(installation, role_dsn):
    with psycopg.connect(role_dsn("broker")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM django_migrations")


def test_the_application_reads_no_queue(installation):
    with psycopg.connect(installation.dsn("app")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM pgmq.meta")


@pytest.mark.parametrize("role", ["app", "gateway", "audit", "broker"])
def test_only_the_owner_makes_tables(installation, role):
    with psycopg.connect(installation.dsn(role)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE public.intruder (id int)")


def test_a_wrong_password_is_refused_on_the_socket(installation):
    wrong = installation.dsn("superuser").replace(installation.password_file("superuser").read_text(), "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_another_installation_s_database_is_closed(installation):
    with psycopg.connect(with_database(installation.dsn("superuser"), "hanse"), autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS stranger")
        admin.execute("CREATE ROLE stranger LOGIN PASSWORD 'x' IN ROLE hanse_app")
    stranger = installation.dsn("app").replace(installation.login("app"), "stranger")
    stranger = stranger.replace(installation.password_file("app").read_text(), "x")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(stranger)


def test_secrets_are_readable_by_their_owner_only(installation):
    files = [path for path in (installation.data / "secrets").rglob("*") if path.is_file()]
    assert len(files) >= 9
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
