"""One frozen, typed object for everything that an operator can set.

Every value comes from the environment. A secret may come from a file instead: `NAME_FILE` names it.
`docs/reference/configuration.md` documents `VARIABLES`, and a test compares the two.
"""

import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from portal.dsn import embedded_dsn, with_login

DatabaseRole = Literal["owner", "app", "gateway", "audit", "broker"]
ADDRESS: Final = "address.json"
ROLES: Final[tuple[DatabaseRole, ...]] = get_args(DatabaseRole)

# Each process group has a directory of its own below `secrets/`, so that a group can be shut out of the others'.
SECRET_GROUP: Final[dict[str, str]] = {
    "superuser": "owner",
    "owner": "owner",
    "app": "portal",
    "broker": "portal",
    "gateway": "gateway",
    "audit": "audit",
}

# A unix socket's path has room for 107 bytes; the longest name that we append is `/pg/.s.PGSQL.5432`.
_LONGEST_RUN_DIR: Final = 85
# The queue library writes connection words without quotes, so a blank in the socket's path would break it.
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9_./+:@~-]+")


class ConfigError(Exception):
    """The environment holds something that cannot work. The text is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One name that `load` reads: whether it is a secret, its default as the documentation shows it, its meaning."""

    name: str
    secret: bool
    default: str
    meaning: str


VARIABLES: Final = (
    Variable("HANSE_DATA", False, "./var", "Directory that holds everything the installation keeps."),
    Variable("DATABASE_URL", True, "embedded PostgreSQL", "A PostgreSQL server; its user owns the tables."),
    Variable("CELERY_BROKER_URL", True, "queues in PostgreSQL", "A Redis protocol server (`redis://`) for tasks."),
    Variable("HANSE_URL", False, "http://localhost:HANSE_PORT", "Public base URL, without a slash at its end."),
    Variable("HANSE_GATEWAY_URL", False, "HANSE_URL", "Public base URL of the gateway when it runs apart."),
    Variable("HANSE_PORT", False, "8000", "TCP port of the web process, on HANSE_HOST."),
    Variable("HANSE_HOST", False, "127.0.0.1", "Address that the web process listens on."),
    Variable("HANSE_DEBUG", False, "no", "Shows tracebacks to whoever asks. Never where others can reach it."),
    Variable("HANSE_SECRET_KEY", True, "generated", "Signs sessions and one-time links."),
    Variable("HANSE_ALLOWED_HOSTS", False, "the host of HANSE_URL", "Comma list of host names that are answered."),
    Variable("HANSE_UPSTREAM_ALLOW", False, "none", "Comma list of host:port or CIDR allowed although private."),
    Variable(
        "HANSE_REPOSITORY_ROOTS", False, "none", "Comma list of directories below which repositories may be read."
    ),
    Variable("HANSE_OIDC_NAME", False, "none", "Name on the sign-in button of the identity provider."),
    Variable("HANSE_OIDC_CLIENT_ID", False, "none", "Client id at the identity provider."),
    Variable("HANSE_OIDC_CLIENT_SECRET", True, "none", "Client secret at the identity provider."),
    Variable("HANSE_OIDC_SERVER_URL", False, "none", "Issuer URL of the identity provider."),
    Variable("HANSE_OIDC_SCOPE", False, "openid email profile", "What the identity provider is asked for."),
    Variable("HANSE_OIDC_GROUPS", False, "groups", "The claim that names the groups of who signs in."),
    Variable("HANSE_EMBEDDING", False, "built-in", "`built-in`, `none`, or an OpenAI-compatible URL of embeddings."),
    Variable("HANSE_EMBEDDING_MODEL", False, "none", "The model that is asked for at that URL."),
    Variable("HANSE_EMBEDDING_KEY", True, "none", "Bearer key of that URL."),
    Variable("HANSE_MAIL_URL", True, "none", "`smtps://user:password@host:465`, for mail to people; without it none."),
    Variable("HANSE_MAIL_FROM", False, "hanse@localhost", "Sender of that mail."),
    Variable("HANSE_ROLE", False, "app", "Database role of this process: owner, app, gateway, audit or broker."),
    Variable("HANSE_DB_OWNER_DSN", True, "derived", "Connection as the role that owns the tables and migrates."),
    Variable("HANSE_DB_APP_DSN", True, "derived", "Connection of portal and worker; row level security applies."),
    Variable("HANSE_DB_GATEWAY_DSN", True, "derived", "Connection of the gateway."),
    Variable("HANSE_DB_AUDIT_DSN", True, "derived", "Connection of the audit sequencer."),
    Variable("HANSE_DB_BROKER_DSN", True, "derived", "Connection to the task queues in PostgreSQL."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """One OpenID Connect provider that people sign in with."""

    name: str
    client_id: str
    server_url: str
    client_secret: str = field(repr=False)
    scope: tuple[str, ...] = ("openid", "email", "profile")
    groups: str = "groups"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """Where vectors of documents come from: `built-in`, `none`, or the URL of an endpoint with the model asked for."""

    source: str
    model: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that an operator can set, checked. Secrets never show in its `repr`."""

    data: Path
    url: str
    gateway_url: str
    host: str
    port: int
    debug: bool
    role: DatabaseRole
    allowed_hosts: tuple[str, ...]
    upstream_allow: tuple[str, ...]
    repository_roots: tuple[Path, ...]
    oidc: Oidc | None
    embedding: Embedding
    mail_from: str
    mail_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    given_dsns: Mapping[str, str] = field(repr=False)

    @property
    def is_embedded(self) -> bool:
        """Tells whether we run PostgreSQL ourselves."""
        return not self.database_url

    @property
    def run_dir(self) -> Path:
        """Returns where unix sockets live: `run/` below the data, or a short plain place when that cannot work."""
        direct = self.data / "run"
        if len(os.fsencode(direct)) <= _LONGEST_RUN_DIR and _PLAIN_PATH.fullmatch(str(direct)):
            return direct
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(base) / f"hanse-{os.getuid()}-{name}"

    @property
    def internal_socket(self) -> Path:
        """Returns the socket at which internal servers answer the gateway; alone in its directory, to be fenced in."""
        return self.run_dir / "internal" / "mcp.sock"

    @property
    def public_dir(self) -> Path:
        """Returns where public keys live."""
        return self.data / "public"

    def secrets_dir(self, group: str) -> Path:
        """Returns the directory of one process group's secrets: owner, portal, gateway or audit."""
        return self.data / "secrets" / group

    def password_file(self, role: str) -> Path:
        """Returns the file with the generated password of a database login."""
        return self.secrets_dir(SECRET_GROUP[role]) / f"{role}.password"

    def installation(self) -> str:
        """Returns this installation's short id, which is part of its database logins; empty before the first start."""
        return _read_if_there(self.data / "installation")

    def login(self, role: str) -> str:
        """Returns the name of a database login of this installation."""
        return "postgres" if role == "superuser" else f"hanse_{self.installation()}_{role}"

    def dsn(self, role: str) -> str:
        """Returns the connection of a role, empty when this process has no way to know it."""
        if given := self.given_dsns.get(role):
            return given
        if self.database_url and role == "owner":
            return self.database_url
        password = _read_if_there(self.password_file(role))
        if not password:
            return ""
        if self.database_url:
            return with_login(self.database_url, user=self.login(role), password=password)
        database = "postgres" if role == "superuser" else "hanse"
        socket_dir = self.run_dir / "pg"
        return embedded_dsn(socket_dir=socket_dir, database=database, user=self.login(role), password=password)


def load(environ: Mapping[str, str]) -> Config:
    """Returns the configuration in `environ`. Raises `ConfigError` with one line for what cannot work."""
    data = Path(environ.get("HANSE_DATA") or "var").expanduser().resolve()
    running = _running_address(data, environ)
    port = _port(environ.get("HANSE_PORT") or running.get("port", "8000"))
    url = _base_url("HANSE_URL", environ.get("HANSE_URL") or running.get("url") or f"http://localhost:{port}")
    return Config(
        data=data,
        url=url,
        gateway_url=_base_url(
            "HANSE_GATEWAY_URL", environ.get("HANSE_GATEWAY_URL") or running.get("gateway_url") or url
        ),
        host=environ.get("HANSE_HOST") or "127.0.0.1",
        port=port,
        debug=_flag("HANSE_DEBUG", environ.get("HANSE_DEBUG", "")),
        role=_role(environ.get("HANSE_ROLE") or "app"),
        allowed_hosts=_comma_list(environ.get("HANSE_ALLOWED_HOSTS", "")) or _hosts_of(url),
        upstream_allow=_comma_list(environ.get("HANSE_UPSTREAM_ALLOW", "")),
        repository_roots=_directories("HANSE_REPOSITORY_ROOTS", environ.get("HANSE_REPOSITORY_ROOTS", "")),
        oidc=_oidc(environ),
        embedding=_embedding(environ),
        mail_from=environ.get("HANSE_MAIL_FROM") or "hanse@localhost",
        mail_url=_mail_url(_secret(environ, "HANSE_MAIL_URL")),
        secret_key=_secret(environ, "HANSE_SECRET_KEY") or _kept_secret_key(data),
        database_url=_database_url(_secret(environ, "DATABASE_URL")),
        broker_url=_broker_url(_secret(environ, "CELERY_BROKER_URL")),
        given_dsns={role: dsn for role in ROLES if (dsn := _secret(environ, f"HANSE_DB_{role.upper()}_DSN"))},
    )


def _running_address(data: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Returns where `up` said that it serves this data, so that the other commands find it without being told.

    What the environment says comes first: another port or URL than the recorded one, and the record says nothing.
    """
    try:
        found = json.loads((data / ADDRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if "HANSE_URL" in environ or environ.get("HANSE_PORT", str(found.get("port"))) != str(found.get("port")):
        return {}
    return {name: str(found[name]) for name in ("port", "url", "gateway_url") if name in found}


def _secret(environ: Mapping[str, str], name: str) -> str:
    """Returns a secret from NAME, or from the file that NAME_FILE names."""
    if value := environ.get(name):
        return value
    path = environ.get(f"{name}_FILE")
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{name}_FILE names {path}, which cannot be read: {error.strerror}") from None


def _kept_secret_key(data: Path) -> str:
    # Without a kept key the process still works: what it signs is good for its own lifetime only.
    return _read_if_there(data / "secrets" / "portal" / "django.key") or secrets.token_urlsafe(48)


def _read_if_there(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"HANSE_PORT must be a number from 1 to 65535, not {text!r}")
    return int(text)


def _flag(name: str, text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in {"1", "yes", "true", "on"}:
        return True
    if lowered in {"", "0", "no", "false", "off"}:
        return False
    raise ConfigError(f"{name} must be yes or no, not {text!r}")


def _role(text: str) -> DatabaseRole:
    for role in ROLES:
        if role == text:
            return role
    raise ConfigError(f"HANSE_ROLE must be one of {', '.join(ROLES)}, not {text!r}")


def _base_url(name: str, text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{name} must look like https://hanse.example.org, not {text!r}")
    return text.rstrip("/")


def _database_url(text: str) -> str:
    if text and urlsplit(text).scheme not in {"postgres", "postgresql"}:
        raise ConfigError("DATABASE_URL must start with postgresql://")
    return text


def _broker_url(text: str) -> str:
    if text and urlsplit(text).scheme not in {"redis", "rediss", "amqp", "amqps", "memory"}:
        raise ConfigError("CELERY_BROKER_URL must start with redis://, rediss://, amqp:// or amqps://")
    return text


def _mail_url(text: str) -> str:
    if text and (urlsplit(text).scheme not in {"smtp", "smtps"} or not urlsplit(text).hostname):
        raise ConfigError("HANSE_MAIL_URL must look like smtps://user:password@mail.example.org:465")
    return text


def _comma_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _directories(name: str, text: str) -> tuple[Path, ...]:
    """Returns whole paths; a whole disk is never meant, and a relative one would mean another in each process."""
    paths = tuple(Path(part) for part in _comma_list(text))
    for path in paths:
        if not path.is_absolute() or path.resolve() == Path(path.anchor):
            raise ConfigError(f"{name} must name whole paths below the top, not {str(path)!r}")
    return paths


def _hosts_of(url: str) -> tuple[str, ...]:
    host = urlsplit(url).hostname or "localhost"
    local = ("localhost", "127.0.0.1", "[::1]")
    return local if host in {"localhost", "127.0.0.1", "::1"} else (host,)


def _oidc(environ: Mapping[str, str]) -> Oidc | None:
    client_id, server_url = environ.get("HANSE_OIDC_CLIENT_ID", ""), environ.get("HANSE_OIDC_SERVER_URL", "")
    if not client_id and not server_url:
        return None
    if not client_id or not server_url:
        raise ConfigError("HANSE_OIDC_CLIENT_ID and HANSE_OIDC_SERVER_URL are needed together")
    name = environ.get("HANSE_OIDC_NAME") or "Single sign-on"
    secret = _secret(environ, "HANSE_OIDC_CLIENT_SECRET")
    scope = tuple((environ.get("HANSE_OIDC_SCOPE") or "openid email profile").split())
    if "openid" not in scope:
        raise ConfigError("HANSE_OIDC_SCOPE must hold openid")
    return Oidc(
        name=name,
        client_id=client_id,
        server_url=server_url,
        client_secret=secret,
        scope=scope,
        groups=environ.get("HANSE_OIDC_GROUPS") or "groups",
    )


def _embedding(environ: Mapping[str, str]) -> Embedding:
    source, model = environ.get("HANSE_EMBEDDING") or "built-in", environ.get("HANSE_EMBEDDING_MODEL", "")
    if source not in {"built-in", "none"}:
        source = _base_url("HANSE_EMBEDDING", source)
        if not model:
            raise ConfigError("HANSE_EMBEDDING_MODEL is needed with an HANSE_EMBEDDING that is a URL")
    return Embedding(source=source, model=model[:64], key=_secret(environ, "HANSE_EMBEDDING_KEY"))
