"""A whole installation in a directory of its own: its database on disk with fsync, its processes as `up` starts them.

Unlike `manage.py up` nobody stops the rest when a process dies: each can be killed and started again by itself.
"""

import contextlib
import ctypes
import http.client
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psutil
import psycopg

from portal import config as hanse_config
from portal import dsn, keys, postgres
from portal.cli import processes
from portal.ports import free_ports
from registry.rules import pin_of
from tests.furnishing import copy_furnished
from tests.gateway.estate import Estate, TokenMaker, make_estate

ROOT = Path(__file__).resolve().parent.parent.parent
# So that it can be said afterwards whether a record was committed before the upstream got its first byte.
SERVER = {"track_commit_timestamp": "on", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
PROCESSES = ("gateway", "sequencer", "worker", "stdio")


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Returns when the condition holds; what happens in another process cannot be awaited, so it is asked for."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)


@dataclass
class Minter(TokenMaker):
    """Mints tokens for a gateway at another address than the portal, which issues them."""

    issuer: str

    def claims(self, **changes: Any) -> dict[str, Any]:
        return super().claims(**{"iss": self.issuer, **changes})


class Installation:
    """Begins as a copy of a furnished one and leaves nothing behind. `start` and `kill` act on one process each."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.place = Path(tempfile.mkdtemp(prefix="hanse-k"))
        self.place.chmod(0o755)
        copy_furnished(self.place / "data")
        self.port = free_ports(2)
        self.gateway_url = f"http://127.0.0.1:{self.port + 1}"
        self.config = hanse_config.load(
            {
                "HANSE_DATA": str(self.place / "data"),
                "HANSE_PORT": str(self.port),
                "HANSE_URL": f"http://127.0.0.1:{self.port}",
                "HANSE_GATEWAY_URL": self.gateway_url,
                "HANSE_UPSTREAM_ALLOW": "127.0.0.0/8",
            }
        )
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.started: dict[str, int] = dict.fromkeys(PROCESSES, 0)
        self.server: subprocess.Popen[bytes] | None = None
        self.estate: Estate

    def __enter__(self) -> Self:
        try:
            self._install()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()
        if self.server is not None:
            self.server.kill()
            self.server.wait()
        postgres.stop_leftover(self.config.data / "postgres")
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.rmtree(self.config.run_dir, ignore_errors=True)

    @property
    def superuser(self) -> str:
        return dsn.with_database(self.config.dsn("superuser"), "hanse")

    @property
    def tokens(self) -> "Minter":
        """Returns who mints tokens; its audiences are addresses of the gateway."""
        return Minter(self.estate, self.gateway_url, self.config.url)

    def _install(self) -> None:
        self.start_database()
        estate_keys = self.place / "keys"
        estate_keys.mkdir()
        self.estate = make_estate(self.superuser, self.upstream, estate_keys)
        self._share_keys(estate_keys)
        self._pin_tools()

    def _share_keys(self, estate_keys: Path) -> None:
        """Tokens of the estate and of the portal's own probes both open the gateway."""
        path = keys.token_jwks_path(self.config)
        both = [key for file in (path, estate_keys / "token.jwks.json") for key in json.loads(file.read_text())["keys"]]
        path.write_text(json.dumps({"keys": both}))
        shutil.copy(estate_keys / "hpke.pem", keys.sealing_key_path(self.config))
        keys.sealing_key_path(self.config).chmod(0o600)

    def _pin_tools(self) -> None:
        with psycopg.connect(self.superuser) as connection:
            for row, definition in connection.execute("SELECT id, definition FROM registry_tool").fetchall():
                connection.execute("UPDATE registry_tool SET pin = %s WHERE id = %s", (pin_of(definition), row))

    # The database

    def start_database(self) -> None:
        """Returns when the database answers. Must be called from the main thread, with which the server ends."""
        self.server = postgres.start_server(self.config, settings=SERVER)
        postgres.wait_until_ready(self.server, self.config.dsn("superuser"), postgres.log_path(self.config))

    def kill_postmaster(self) -> None:
        """Kills the server's first process only: its children are orphans for a moment."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    def kill_database(self) -> None:
        """Kills all of the server's processes at once, as a power cut would."""
        assert self.server is not None
        self.server.kill()
        for child in psutil.process_iter():
            if _is_inside(child, self.config.data / "postgres"):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self.server.wait()

    def kill_backend(self, chance: random.Random) -> None:
        """Kills one of the server's processes that serve a connection."""
        wait_for(self._backends, "no connection is served")
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            chance.choice(self._backends()).kill()

    def _backends(self) -> list[psutil.Process]:
        assert self.server is not None
        return [child for child in psutil.Process(self.server.pid).children() if _serves(child)]

    # The other processes

    def environment(self, role: str) -> dict[str, str]:
        return {**processes.environment_for(self.config, role), "HANSE_UPSTREAM_ALLOW": "127.0.0.0/8"}  # type: ignore[arg-type]

    def start(self, name: str) -> None:
        """Starts a process with the command and environment that `up --split` gives it."""
        child = next(child for child in processes.children(self.config, split=True) if child.name == name)
        assert name not in self.running or self.running[name].poll() is not None
        with self.log(name).open("ab") as log:
            self.running[name] = subprocess.Popen(
                list(child.command),
                env={**child.environment, "HANSE_UPSTREAM_ALLOW": "127.0.0.0/8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - calls the kernel only, takes no lock
            )
        self.started[name] = self.started.get(name, 0) + 1

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running[name].wait()

    def stop(self, name: str) -> int:
        """Returns the exit code after an orderly stop."""
        self.running[name].terminate()
        return self.running[name].wait(timeout=30)

    def log(self, name: str) -> Path:
        """Returns the file with everything that a process printed."""
        return self.place / f"{name}.out"

    def ready(self) -> bool:
        """Tells whether the gateway would take a call now."""
        return self.answers(self.gateway_url)

    def answers(self, base: str = "") -> bool:
        """Tells whether a process says that it is ready, the portal unless another is named."""
        try:
            return self.get("/readyz", base=base) == 200
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str, *, base: str = "") -> int:
        place = urlsplit(base or self.config.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def manage(self, *words: str, role: str = "app", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Returns what a command of `manage.py` printed, run in a database role."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words],
            env=self.environment(role),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


class Asking:
    """One connection that asks again after each crash of the database; returns None while it is away."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._lock = threading.Lock()
        self._connection: psycopg.Connection | None = None

    def __call__(self, query: str, values: tuple[object, ...] | Mapping[str, object] = ()) -> list[tuple] | None:
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=2)
                return self._connection.execute(query, values).fetchall()
            except psycopg.OperationalError:
                self.close()
                return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _serves(process: psutil.Process) -> bool:
    try:
        return " hanse " in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _is_inside(process: psutil.Process, directory: Path) -> bool:
    try:
        return Path(process.cwd()) == directory
    except (psutil.Error, OSError):
        return False
