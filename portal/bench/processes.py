"""The processes of a bench: the gateway as `up --split` starts it on one core, upstream and load on another."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from portal.bench.load import Measured, Plan
from portal.bench.upstream import CREDENTIAL
from portal.cli.processes import ROOT, children
from portal.config import Config
from portal.ports import HOST

_PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that serves. `started_in` is the time from its start to the first moment at which it could."""

    pid: int
    port: int
    started_in: float

    def cpu_seconds(self) -> float:
        """Returns the CPU time of the process so far, its threads and the kernel's work for it included."""
        return cpu_seconds(self.pid)

    def memory_mb(self) -> dict[str, float]:
        """Returns resident and proportional memory."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii")
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in text.splitlines() if "kB" in line}
        return {"rss": sizes["Rss"], "pss": sizes["Pss"]}


def cores() -> tuple[int, int]:
    """Returns the core of the gateway and the core of upstream and load; the same one where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def cpu_seconds(pid: int) -> float:
    """Returns user and system time of one process."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def database_cpu_seconds(config: Config) -> float:
    """Returns the CPU time of all PostgreSQL processes of the installation that run now."""
    postmaster = int((config.data / "postgres" / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
    spent = 0.0
    for child in psutil.Process(postmaster).children():
        with suppress(psutil.NoSuchProcess):  # the connection that we counted rows with may end at this moment
            spent += cpu_seconds(child.pid)
    return spent


def give_core(config: Config) -> None:
    """Keeps PostgreSQL off the gateway's core, so that "one gateway core" is the gateway's alone."""
    postmaster = int((config.data / "postgres" / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
    for pid in (postmaster, *(child.pid for child in psutil.Process(postmaster).children())):
        os.sched_setaffinity(pid, {cores()[1]})


@contextmanager
def serving_gateway(config: Config) -> Iterator[Gateway]:
    """Yields the gateway of `up --split` as a process on its core, ready to decide and to record."""
    child = next(child for child in children(config, split=True) if child.name == "gateway")
    began = time.monotonic()
    with _running(child.command, child.environment, cores()[0]) as process:
        while not is_ready(config.port + 1):
            if process.poll() is not None or time.monotonic() - began > _PATIENCE:
                raise RuntimeError("the gateway did not start")
            time.sleep(0.01)
        yield Gateway(process.pid, config.port + 1, time.monotonic() - began)


@contextmanager
def running_sequencer(config: Config) -> Iterator[None]:
    """Runs the sequencer as `up --split` starts it, on whatever core is free."""
    child = next(child for child in children(config, split=True) if child.name == "sequencer")
    with _running(child.command, child.environment, None):
        yield


@contextmanager
def serving_upstream(port: int, header: str, credential: str) -> Iterator[int]:
    """Yields the process id of the upstream once it listens."""
    command = [sys.executable, "-m", "portal.bench.upstream", str(port), header]
    environment = {**_environment(), CREDENTIAL: credential}
    with _running(command, environment, cores()[1]) as process:
        until = time.monotonic() + _PATIENCE
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the upstream did not start")
            time.sleep(0.01)
        yield process.pid


def run_load(plan: Plan) -> Measured:
    """Returns what a load process on its core measured."""
    done = subprocess.run(
        [sys.executable, "-m", "portal.bench.load"],
        input=json.dumps(asdict(plan)).encode(),
        env=_environment(),
        stdout=subprocess.PIPE,
        preexec_fn=_pinned(cores()[1]),
        check=True,
    )
    return Measured(**json.loads(done.stdout))


def is_ready(port: int) -> bool:
    """Tells whether `/readyz` on this port says so."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], core: int | None
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        list(command),
        env=dict(environment),
        preexec_fn=None if core is None else _pinned(core),  # noqa: PLW1509 - one system call, takes no lock
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pinned(core: int) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, {core})


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT)}


def _listens(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True
