"""Starts `manage.py up` for tests and reads what it prints."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from portal.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent.parent


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HANSE_", "DJANGO_", "PYTEST_"))}
    return kept | changes


@dataclass
class Up:
    """A running (or refused) `up`."""

    data: Path
    arguments: Sequence[str] = ()
    port: int = field(default_factory=lambda: free_ports(2))
    changes: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        command = [sys.executable, "manage.py", "up", "--port", str(self.port), "--data", str(self.data)]
        self.process = subprocess.Popen(
            [*command, *self.arguments],
            cwd=ROOT,
            env=environment(**self.changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            family = self.family()
            self.process.kill()
            psutil.wait_procs(family, timeout=20)
        self.process.wait()
        self.process.stdout.close()

    def wait_ready(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if "Ctrl-C stops it" in line:
                return
        raise AssertionError("\n".join(self.lines))

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        rest, _ = self.process.communicate(timeout=60)
        self.lines += rest.splitlines()
        return self.process.returncode

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, word: str) -> psutil.Process:
        return next(process for process in self.family() if any(word in part for part in process.cmdline()))

    def get(self, path: str) -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()
