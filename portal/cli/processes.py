"""What runs in an installation: each process with its command, its database role and what is hidden from it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from audit.keys import load_or_create, publish
from portal.cli.supervise import Child
from portal.config import Config, DatabaseRole
from portal.keys import GROUPS
from registry import fence

ROOT: Final = Path(__file__).resolve().parent.parent.parent
MANAGE: Final = ROOT / "manage.py"

# What a child may inherit from the operator's shell. Everything else it gets is written below.
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV", "USER")
_OWN_TABLE: Final[dict[DatabaseRole, tuple[DatabaseRole, ...]]] = {
    "owner": ("owner", "broker"),
    "app": ("app", "broker"),
    "gateway": ("gateway",),
    "audit": ("audit",),
    "broker": ("broker",),
}
_GROUP: Final[dict[DatabaseRole, str]] = {"owner": "owner", "app": "portal", "gateway": "gateway", "audit": "audit"}


def children(config: Config, *, split: bool) -> Iterator[Child]:
    """Yields the processes in the order in which they start; they stop in the reverse order."""
    # What takes longest to start goes first.
    if split:
        portal = _uvicorn(config, "portal.portal_asgi:app", config.port)
        yield _child(config, "portal", "app", portal, split=split, writes=[config.data / "files"])
        gateway = _uvicorn(config, "portal.gateway_asgi:app", config.port + 1)
        yield _child(config, "gateway", "gateway", gateway, split=split, writes=[])
    else:
        yield _both(config, _uvicorn(config, "portal.asgi:app", config.port))
    yield _child(config, "sequencer", "audit", [str(MANAGE), "sequencer"], split=split, writes=[])
    if port := demo_port(config):
        demo = ["-m", "portal.demo.serving", str(config.data / "demo"), port]
        yield Child(name="demo", command=[sys.executable, *demo], environment=_plain_environment())
    writes = [config.data / "files"]
    yield _child(config, "worker", "app", _worker(), split=split, writes=writes, reads_also="worker")
    # A directory of its own, so that nobody else behind a fence can put another socket in its place.
    internal = [str(MANAGE), "internal_servers"]
    yield _child(
        config, "internal", "app", internal, split=split, writes=[config.internal_socket.parent], hides_all=True
    )
    yield _child(config, "stdio", "gateway", _stdio(config), split=split, writes=None, hides_all=True)


def environment_for(config: Config, role: DatabaseRole) -> dict[str, str]:
    """Returns the environment of a process: its own database connections and no other's."""
    environment = _plain_environment()
    environment |= {name: value for name, value in os.environ.items() if _is_plain_setting(name)}
    environment |= {
        "HANSE_DATA": str(config.data),
        "HANSE_PORT": str(config.port),
        "HANSE_HOST": config.host,
        "HANSE_URL": config.url,
        "HANSE_GATEWAY_URL": config.gateway_url,
        "HANSE_ROLE": role,
        "HANSE_UPSTREAM_ALLOW": ",".join([*config.upstream_allow, *_demo_upstream(config)]),
        "HANSE_REPOSITORY_ROOTS": ",".join(map(str, [*config.repository_roots, *_demo_repositories(config)])),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    for owned in _OWN_TABLE[role]:
        environment[f"HANSE_DB_{owned.upper()}_DSN"] = config.dsn(owned)
    if role in {"app", "owner"}:
        environment |= _portal_secrets(config)
    return environment


def demo_port(config: Config) -> str:
    """Returns the port of the demo estate's applications; empty where there is no demo estate."""
    try:
        return (config.data / "demo" / "port").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def prepare_audit_key(config: Config) -> None:
    """Makes the key that signs checkpoints, once, and publishes its verifier."""
    signer = load_or_create(config.secrets_dir("audit") / "checkpoint.key")
    publish(signer, config.public_dir / "audit.vkey")


def has_fence() -> bool:
    """Tells whether the kernel can hide files from a process."""
    return sys.platform == "linux" and fence.abi_version() > 0


def fenced(config: Config, command: list[str], *, hidden: list[Path], writes: list[Path] | None) -> list[str]:
    """Returns the command behind the fence."""
    words = [sys.executable, "-I", fence.__file__]
    words += [word for path in hidden for word in ("--hide", str(path))]
    words += [word for path in writes or [] for word in ("--write", str(path))]
    return [*words, "--", *command]


def _both(config: Config, command: list[str]) -> Child:
    # One process holds the portal and the gateway, so it has the connections of both.
    gateway = environment_for(config, "gateway")
    environment = {**gateway, **environment_for(config, "app")}
    return Child(name="web", command=[sys.executable, *command], environment=environment)


def _child(
    config: Config,
    name: str,
    role: DatabaseRole,
    command: list[str],
    *,
    split: bool,
    writes: list[Path] | None,
    hides_all: bool = False,
    reads_also: str = "",
) -> Child:
    environment = environment_for(config, role)
    whole = [sys.executable, *command]
    if split and has_fence():
        scratch = config.data / "scratch" / name
        for path in (scratch, *(writes or [])):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        environment["TMPDIR"] = str(scratch)
        hidden = _hidden_from(config, set() if hides_all else {_GROUP[role], reads_also})
        whole = fenced(config, whole, hidden=hidden, writes=None if writes is None else [scratch, *writes])
    return Child(name=name, command=whole, environment=environment)


def _hidden_from(config: Config, read: set[str]) -> list[Path]:
    groups = [config.secrets_dir(group) for group in GROUPS if group not in read]
    return [*groups, config.data / "postgres", config.data / "logs"]


def _plain_environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # One core for one embedding: threads that wait for each other cost more than they give beside other work.
    return inherited | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"}


def _demo_repositories(config: Config) -> list[Path]:
    place = config.data / "demo" / "repositories"
    return [place] if place.is_dir() and "," not in str(place) else []


def _demo_upstream(config: Config) -> list[str]:
    # Loopback is refused as an upstream, except this one port, which is ours.
    port = demo_port(config)
    return [f"127.0.0.1:{port}"] if port else []


def _portal_secrets(config: Config) -> dict[str, str]:
    secrets = {"HANSE_SECRET_KEY": config.secret_key, "CELERY_BROKER_URL": config.broker_url}
    secrets["HANSE_MAIL_URL"] = config.mail_url
    secrets["HANSE_EMBEDDING_KEY"] = config.embedding.key
    if config.oidc:
        secrets["HANSE_OIDC_CLIENT_SECRET"] = config.oidc.client_secret
    return {name: value for name, value in secrets.items() if value}


def _is_plain_setting(name: str) -> bool:
    return name in {
        "HANSE_ALLOWED_HOSTS",
        "HANSE_DEBUG",
        "HANSE_EMBEDDING",
        "HANSE_EMBEDDING_MODEL",
        "HANSE_MAIL_FROM",
        "HANSE_OIDC_CLIENT_ID",
        "HANSE_OIDC_GROUPS",
        "HANSE_OIDC_NAME",
        "HANSE_OIDC_SCOPE",
        "HANSE_OIDC_SERVER_URL",
    }


def _uvicorn(config: Config, application: str, port: int) -> list[str]:
    return [
        *("-m", "uvicorn", application, "--host", config.host, "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header", "--log-level", "warning"),
        *("--timeout-graceful-shutdown", "5", "--ws", "none", "--proxy-headers"),
    ]


def _worker() -> list[str]:
    options = ["--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    return ["-m", "celery", "-q", "-A", "portal.celery", "worker", *options]


def _stdio(config: Config) -> list[str]:
    return ["-m", "gateway.stdio", "--socket", str(config.run_dir / "stdio.sock")]
