"""Roles, databases and extensions: the same code for the embedded server and for DATABASE_URL."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from kombu.connection import Connection
from pgmq.install import get_embedded_install_sql
from psycopg import sql

from portal.config import ROLES, Config
from portal.dsn import with_database, without_password
from portal.keys import keep_secret
from portal.postgres import DatabaseError

GROUPS: Final = {"app": "hanse_app", "gateway": "hanse_gateway", "audit": "hanse_audit"}
EXTENSIONS: Final = ("vector", "pg_trgm")
OLDEST_SERVER: Final = 150000
_LOCK: Final = 0x48616E7365  # one bootstrap at a time on a shared server

# A lost client or a runaway query never holds a lock for long. The sequencer and the migrations may take their time.
_LIMITS: Final = {
    # Compiling a statement that then runs for milliseconds costs fifty of them.
    "app": {
        "jit": "off",
        "statement_timeout": "30s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "60s",
    },
    "gateway": {"statement_timeout": "10s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "10s"},
}

Admin = psycopg.Connection[tuple[object, ...]]


def prepare_database(config: Config) -> None:
    """Makes roles, database, extensions and queues as far as they are missing. Safe to repeat.

    Raises `DatabaseError` with one line when the server cannot be used; nothing that exists is dropped.
    """
    keep_secret(config.data / "installation", lambda: secrets.token_hex(4))
    if all(config.given_dsns.get(role) for role in ROLES):
        return  # whoever gave every login has made them, too
    with _administration(config) as admin:
        _check_server(admin)
        if config.is_embedded:
            _make_login(admin, config, "owner")
            _make_embedded_database(admin, config)
        else:
            _check_rights(admin)
        for role in GROUPS:
            _make_group(admin, GROUPS[role])
            _make_login(admin, config, role)
            _grant_group(admin, GROUPS[role], config.login(role))
        _make_login(admin, config, "broker")
        _close_to_strangers(admin, config)
    furnish_database(config, _admin_dsn(config))
    install_queues(config, config.dsn("broker"))


def furnish_database(config: Config, admin_dsn: str) -> None:
    """Gives one database its extensions (where the server has them) and the broker its schema."""
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        for extension in EXTENSIONS:
            _try_extension(admin, extension)
        if config.is_embedded:
            # The superuser stays out of daily work; the tables' owner must be able to make schemas of its own.
            create = sql.SQL("GRANT CREATE ON DATABASE {} TO {}")
            admin.execute(create.format(sql.Identifier(admin.info.dbname), sql.Identifier(config.login("owner"))))
        _make_queue_schema(admin, config.login("broker"))


def install_queues(config: Config, broker_dsn: str) -> None:
    """Installs the queue functions in the broker's own schema, as the broker, so that it has rights there only."""
    with psycopg.connect(broker_dsn) as broker:
        if _scalar(broker, "SELECT to_regclass('pgmq.meta')") is None:
            broker.execute(_without_schema_creation(get_embedded_install_sql()))


def check_reachable(dsn: str, *, what: str) -> None:
    """Raises `DatabaseError` with one line when nothing answers at `dsn`; the password is never in it."""
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise DatabaseError(f"{what} cannot be used ({without_password(dsn)}): {reason}") from None


def check_broker(config: Config) -> None:
    """Raises `DatabaseError` with one line when the task broker does not answer."""
    if not config.broker_url:
        check_reachable(config.dsn("broker"), what="The task queues in PostgreSQL")
        return
    try:
        with Connection(config.broker_url, connect_timeout=3) as broker:  # type: ignore[no-untyped-call]
            broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=5)
    except Exception as error:  # noqa: BLE001 - every transport has errors of its own
        lines = str(error).strip().splitlines() or [type(error).__name__]
        shown = without_password(config.broker_url)
        raise DatabaseError(f"CELERY_BROKER_URL does not answer ({shown}): {lines[-1]}") from None


def _admin_dsn(config: Config) -> str:
    return with_database(config.dsn("superuser"), "hanse") if config.is_embedded else config.database_url


@contextmanager
def _administration(config: Config) -> Iterator[Admin]:
    dsn = config.dsn("superuser") if config.is_embedded else config.database_url
    if not config.is_embedded:
        check_reachable(dsn, what="DATABASE_URL")
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        yield admin


def _check_server(admin: Admin) -> None:
    if admin.info.server_version < OLDEST_SERVER:
        raise DatabaseError(f"The server is PostgreSQL {admin.info.server_version // 10000}; 15 or newer is needed.")


def _check_rights(admin: Admin) -> None:
    may = _scalar(admin, "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")
    owns = _scalar(
        admin, "SELECT pg_has_role(current_user, datdba, 'USAGE') FROM pg_database WHERE datname = current_database()"
    )
    missing = [text for text, has in (("the right CREATEROLE", may), ("ownership of the database", owns)) if not has]
    if missing:
        raise DatabaseError(
            f"DATABASE_URL's user {admin.info.user} lacks {' and '.join(missing)}: grant it, "
            f"or make the logins yourself and give every HANSE_DB_*_DSN."
        )


def _make_group(admin: Admin, name: str) -> None:
    if not _role_exists(admin, name):
        admin.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))


def _make_login(admin: Admin, config: Config, role: str) -> None:
    if config.given_dsns.get(role):
        return
    name = config.login(role)
    password = keep_secret(config.password_file(role), lambda: secrets.token_urlsafe(24))
    # The server sees a verifier and never the password, so its log cannot show one.
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    verb = "ALTER" if _role_exists(admin, name) else "CREATE"
    statement = sql.SQL(verb + " ROLE {} LOGIN PASSWORD {}")
    admin.execute(statement.format(sql.Identifier(name), sql.Literal(verifier)))
    for setting, value in _LIMITS.get(role, {}).items():
        statement = sql.SQL("ALTER ROLE {} SET {} = {}")
        admin.execute(statement.format(sql.Identifier(name), sql.Identifier(setting), sql.Literal(value)))


def _grant_group(admin: Admin, group: str, login: str) -> None:
    if not _role_exists(admin, login):
        return  # its connection was given to us, so its rights are the giver's business
    try:
        admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(login)))
    except psycopg.errors.InsufficientPrivilege:
        raise DatabaseError(
            f"The role {group} belongs to another installation on this server: "
            f"GRANT {group} TO {admin.info.user} WITH ADMIN OPTION is missing."
        ) from None


def _make_embedded_database(admin: Admin, config: Config) -> None:
    if _scalar(admin, "SELECT 1 FROM pg_database WHERE datname = 'hanse'") is None:
        owner = sql.Identifier(config.login("owner"))
        admin.execute(sql.SQL("CREATE DATABASE hanse OWNER {}").format(owner))


def _close_to_strangers(admin: Admin, config: Config) -> None:
    """Only this installation's logins may connect: groups are shared by a whole server, databases are not."""
    database = sql.Identifier("hanse" if config.is_embedded else admin.info.dbname)
    admin.execute(sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(database))
    for role in ROLES:
        login = config.login(role)
        if _role_exists(admin, login):
            admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(login)))


def _make_queue_schema(admin: Admin, broker: str) -> None:
    if _scalar(admin, "SELECT 1 FROM pg_namespace WHERE nspname = 'pgmq'") is not None:
        return
    admin.execute("CREATE SCHEMA pgmq")
    # Rights, not ownership: a server's user that may create roles need not be a member of them.
    grant = sql.SQL("GRANT USAGE, CREATE ON SCHEMA pgmq TO {}")
    admin.execute(grant.format(sql.Identifier(broker)))


def _without_schema_creation(script: str) -> str:
    """Returns the installation script without what only the schema's owner may do, because that was done before."""
    head, _, rest = script.partition("CREATE TABLE IF NOT EXISTS pgmq.meta")
    if "CREATE SCHEMA" not in head or not rest:
        raise DatabaseError("The queue's installation script has another shape than this version knows.")
    lines = ("CREATE TABLE IF NOT EXISTS pgmq.meta" + rest).splitlines()
    return "\n".join(line for line in lines if not line.startswith("GRANT USAGE ON SCHEMA pgmq TO pg_monitor"))


def _try_extension(admin: Admin, name: str) -> None:
    try:
        admin.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name)))
    except psycopg.Error:
        return  # its users look whether it is there


def _role_exists(admin: Admin, name: str) -> bool:
    return _scalar(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", name) is not None


def _scalar(connection: Admin, query: str, *values: object) -> object:
    row = connection.execute(query, values or None).fetchone()
    return row[0] if row else None
