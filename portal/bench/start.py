"""From the command to an answer: a second `up`, and a gateway worker by itself."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.bench import estate as estates
from portal.bench import machine
from portal.bench.figures import Figure, Report
from portal.bench.gateway import SERVER
from portal.bench.installation import installed, server_version, temporary_data
from portal.bench.processes import is_ready, serving_gateway
from portal.cli.processes import MANAGE
from portal.ports import free_ports

_PATIENCE = 300.0


def measure(*, quick: bool = False) -> Report:
    """Returns the figures of starting; `quick` leaves out the demo estate and repeats nothing."""
    rounds = 1 if quick else 3
    with temporary_data() as data:
        first, *again = [_up(data, quick=quick) for _start in range(1 + rounds)]
    with installed() as config:
        estate = estates.make_estate(1)
        estates.add_server(estate, SERVER, estates.three_tools())
        workers = []
        for _start in range(rounds):
            with serving_gateway(config) as gateway:
                workers.append((gateway.started_in, gateway.memory_mb()))
        described = machine.describe(config.data, postgresql=server_version(config))
    middle = statistics.median
    figures = [
        Figure(name="second `up` to ready", value=middle(again), unit="s", target=8.0, digits=1),
        Figure(name="first `up` to ready, packages there", value=first, unit="s", digits=1),
        Figure(
            name="gateway worker, start to serving",
            value=middle([started for started, _memory in workers]),
            unit="s",
            target=1.0,
        ),
        Figure(
            name="gateway worker, memory (RSS)",
            value=middle([memory["rss"] for _started, memory in workers]),
            unit="MB",
            target=80,
            digits=0,
        ),
        Figure(
            name="gateway worker, memory (PSS)",
            value=middle([memory["pss"] for _started, memory in workers]),
            unit="MB",
            digits=0,
        ),
    ]
    return Report(bench="start", machine=described, figures=figures)


def _up(data: Path, *, quick: bool) -> float:
    """Returns the seconds from the command to the first moment at which `/readyz` is content."""
    port = free_ports(2)
    command = [sys.executable, str(MANAGE), "up", "--data", str(data), "--port", str(port)]
    began = time.monotonic()
    with _running([*command, *(["--empty"] if quick else [])]) as process:
        while not is_ready(port):
            if process.poll() is not None or time.monotonic() - began > _PATIENCE:
                raise RuntimeError("`up` did not become ready")
            time.sleep(0.02)
        return time.monotonic() - began


@contextmanager
def _running(command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HANSE_", "DATABASE_", "CELERY_"))
    }
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
