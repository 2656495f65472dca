"""PostgreSQL connection URLs: built, changed, and shown without their password."""

from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from psycopg.conninfo import conninfo_to_dict


def embedded_dsn(*, socket_dir: Path, database: str, user: str, password: str) -> str:
    """Returns the URL of a database on a unix socket; a path with spaces stays valid."""
    query = urlencode({"host": str(socket_dir)}, quote_via=quote)
    return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@/{quote(database, safe='')}?{query}"


def with_login(url: str, *, user: str, password: str) -> str:
    """Returns `url` with another login, everything else unchanged."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{place}"))


def with_database(url: str, database: str) -> str:
    """Returns `url` for another database on the same server with the same login."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(database, safe='')}"))


def django_database(dsn: str) -> dict[str, object]:
    """Returns the part of a Django DATABASES entry that a connection URL decides."""
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    named = {
        "NAME": parts.pop("dbname", "hanse"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
    }
    return {**named, "OPTIONS": parts}


def libpq_text(dsn: str) -> str:
    """Returns the connection as `name='value'` words, the form that some libraries insist on."""
    values = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    return " ".join(f"{name}={_quoted(value)}" for name, value in values.items())


def without_password(dsn: str) -> str:
    """Returns what may be shown to an operator: user, host, port and name."""
    parts = urlsplit(dsn)
    user, _, place = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return f"{name}@{place}{parts.path}" if name else f"{place}{parts.path}"


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
