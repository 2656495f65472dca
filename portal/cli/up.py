"""`manage.py up`: everything that a running Hanse needs, in the foreground, from one command."""

import argparse
import contextlib
import fcntl
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from portal.cli import prepared, processes
from portal.cli.supervise import Supervisor
from portal.config import ADDRESS, Config, ConfigError, load
from portal.database import check_broker, check_reachable, prepare_database
from portal.keys import first_note_path, prepare_keys, write_atomically
from portal.postgres import DatabaseError, log_path, start_server, stop_server, wait_until_ready

READY_SECONDS: Final = 60.0
DEFAULT_PORT: Final = 8000
USAGE_OR_STATE: Final = 2  # exit code: what the operator gave or left there cannot work; nothing was changed


class RefusalError(Exception):
    """`up` cannot start. The text is one line for the operator."""


def main(arguments: list[str]) -> int:
    """Runs everything until it is stopped. Returns 0 after a stop, 2 after a refusal, else the failed process's code."""
    chosen = _parse(arguments)
    try:
        environment = _environment(chosen)
        config = load(environment)
        with _only_one(config), _free_ports(config, split=chosen.split):
            prepare_keys(config)
            # Read again: the first run signs its sessions and links with the key that all later ones find.
            return _run(load(environment), empty=chosen.empty, split=chosen.split)
    except (RefusalError, ConfigError, DatabaseError) as error:
        print(f"hanse: {error}", file=sys.stderr)
    except PermissionError as error:
        print(f"hanse: {error.filename or ''} {error.strerror or error}".replace("  ", " "), file=sys.stderr)
    return USAGE_OR_STATE


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py up", description=__doc__)
    parser.add_argument("--empty", action="store_true", help="start without the demo estate")
    parser.add_argument("--split", action="store_true", help="run gateway and portal as two groups of processes")
    parser.add_argument("--port", type=int, help="port of the portal (with --split the gateway has the next one)")
    parser.add_argument("--data", type=Path, help="directory that holds everything the installation keeps")
    return parser.parse_args(arguments)


def _environment(chosen: argparse.Namespace) -> dict[str, str]:
    environment = dict(os.environ)
    # Said aloud, so that where it ran the last time does not decide where it runs now.
    environment["HANSE_PORT"] = str(chosen.port or environment.get("HANSE_PORT") or DEFAULT_PORT)
    environment.setdefault("HANSE_URL", f"http://localhost:{environment['HANSE_PORT']}")
    if chosen.data is not None:
        environment["HANSE_DATA"] = str(chosen.data)
    if chosen.split and "HANSE_GATEWAY_URL" not in environment:
        environment["HANSE_GATEWAY_URL"] = f"http://localhost:{load(environment).port + 1}"
    return environment


@contextlib.contextmanager
def _only_one(config: Config) -> Iterator[None]:
    """Holds the data directory. The kernel lets go of it when we end, however we end."""
    try:
        config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(config.data / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RefusalError(f"the data directory {config.data} cannot be used: {error.strerror}") from None
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = lock.read().strip() or "unknown"
            raise RefusalError(f"the data directory {config.data} is in use by process {other}") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextlib.contextmanager
def _free_ports(config: Config, *, split: bool) -> Iterator[None]:
    """Refuses before anything is touched when a port is taken."""
    for port in (config.port, config.port + 1) if split else (config.port,):
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((config.host, port))
            except OSError as error:
                raise RefusalError(
                    f"port {port} on {config.host} cannot be used: {error.strerror}. "
                    f"Give another one with --port, or stop who has it."
                ) from None
    yield


def _run(config: Config, *, empty: bool, split: bool) -> int:
    began = time.monotonic()
    address = {"port": config.port, "url": config.url, "gateway_url": config.gateway_url}
    write_atomically(config.data / ADDRESS, json.dumps(address).encode(), mode=0o644)
    server = _open_database(config)
    try:
        with Supervisor() as supervisor:
            if server is not None:
                supervisor.watch("database", server)
            prepare_database(config)
            check_broker(config)
            processes.prepare_audit_key(config)
            _prepare_state(config, empty=empty)
            return _serve(supervisor, config, split=split, began=began)
    finally:
        if server is not None:
            stop_server(server)


def _open_database(config: Config) -> "subprocess.Popen[bytes] | None":
    if not config.is_embedded:
        check_reachable(config.database_url, what="DATABASE_URL")
        return None
    server = start_server(config)
    try:
        wait_until_ready(server, config.dsn("superuser"), log_path(config))
    except BaseException:
        stop_server(server)
        raise
    return server


def _prepare_state(config: Config, *, empty: bool) -> None:
    """Migrates and fills the database in a process of its own, as the owner; that role exists nowhere else."""
    if prepared.is_prepared(config):
        return
    command = [sys.executable, str(processes.MANAGE), "prepare", *(["--empty"] if empty else [])]
    environment = processes.environment_for(config, "owner")
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        raise RefusalError("the database could not be brought up to date; the reason is above, nothing was started")
    prepared.remember(config)


def _serve(supervisor: Supervisor, config: Config, *, split: bool, began: float) -> int:
    if split and not processes.has_fence():
        supervisor.say("this kernel has no Landlock (Linux 5.13): the portal runs apart from the gateway, but as the")
        supervisor.say("same user it COULD read the gateway's key. Run the two as different users instead.")
    for child in processes.children(config, split=split):
        supervisor.start(child)
    if not supervisor.run_until(lambda: _is_ready(config, split=split), seconds=READY_SECONDS):
        if supervisor.asked_to_stop:
            return 0
        if supervisor.ended():
            return supervisor.run()
        supervisor.say(f"not ready after {READY_SECONDS:.0f} s; {config.url}/readyz names what is missing")
        return 1
    supervisor.say(f"ready in {time.monotonic() - began:.1f} s: {config.url}")
    if config.gateway_url != config.url:
        supervisor.say(f"gateway: {config.gateway_url}")
    _tell_how_to_sign_in(supervisor, config)
    supervisor.say("Ctrl-C stops it; everything is kept.")
    return supervisor.run()


def _tell_how_to_sign_in(supervisor: Supervisor, config: Config) -> None:
    note = first_note_path(config)
    if note.exists():
        for line in note.read_text(encoding="utf-8").splitlines():
            supervisor.say(line)
        note.unlink()
    elif (config.data / "demo-passwords.txt").exists():
        supervisor.say(f"who can sign in: {config.data / 'demo-passwords.txt'}")


def _is_ready(config: Config, *, split: bool) -> bool:
    places = [(config.port, "/readyz")] + ([(config.port + 1, "/readyz")] if split else [])
    return all(_answers(config.host, port, path) for port, path in places) and _listens(config.internal_socket)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asked:
        return asked.connect_ex(str(path)) == 0


def _answers(host: str, port: int, path: str) -> bool:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what to ask, not where to listen
    connection = http.client.HTTPConnection(reachable, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
