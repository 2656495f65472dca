"""From the wizard's first page to the first governed call, in a real house: machine time, and what a person does."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from portal.bench import machine
from portal.bench.figures import Figure, Report
from portal.bench.forms import Visitor
from portal.bench.installation import server_version, temporary_data
from portal.bench.processes import is_ready
from portal.cli.processes import MANAGE, ROOT
from portal.config import load
from portal.demo.loading import PASSWORDS
from portal.ports import HOST, free_ports

_PATIENCE: Final = 300.0
_KEY: Final = "bench-key"
ADMIN: Final = "mara@nordhafen.example"
LEAD: Final = "jonas@nordhafen.example"


def measure(*, quick: bool = False) -> Report:
    """Returns machine time and interactions of walks through the wizard, each for another team."""
    with temporary_data() as data, _house(data) as (base, upstream, password):
        walks = [_walk(base, upstream, password, f"Bench team {number}") for number in range(1 if quick else 3)]
        house = load({"HANSE_DATA": str(data / "house")})
        described = machine.describe(data, postgresql=server_version(house))
    worst, interactions = max(seconds for seconds, _ in walks), max(done for _, done in walks)
    figures = [
        Figure(name="start to first governed call, machine time", value=worst, unit="s", target=180, digits=1),
        Figure(name="interactions of both people", value=interactions, unit="", target=25, digits=0),
    ]
    note = f"{len(walks)} walks, the slowest; an admin and a lead over plain HTTP, so without a browser's own time"
    return Report(bench="onboarding", machine=described, figures=figures, notes=(note,))


def _walk(base: str, upstream: str, password: str, name: str) -> tuple[float, int]:
    admin, lead = _signed_in(base, ADMIN, password), _signed_in(base, LEAD, password)
    began = time.monotonic()
    admin.open("/onboarding/")
    admin.press("Begin", name=name)
    admin.press("Stand it up", domains="cloud", lead=LEAD)
    link = re.findall(r'id="onboarding-link"[^>]*>([^<]+)<', admin.text)[0]
    lead.open(link)
    lead.interactions += 1
    lead.press("Take them in", agents=f"{name} helper, builder")
    lead.press("Bring it", title="On call", text="Call the lead first.")
    lead.open(f"{link.rstrip('/')}/server/")
    lead.interactions += 1
    key = {"credential_kind": "header", "header": "X-Internal-Key", "credential": _KEY}
    lead.press("Register and look at it", name=f"{name} ledger", url=upstream, **key)
    while "Tools to approve" not in lead.text:
        if time.monotonic() - began > _PATIENCE:
            raise RuntimeError(f"the server was not looked at: {lead.url}")
        time.sleep(0.2)
        lead.open(lead.url)
    lead.press("Approve and activate")
    lead.press("Make the call")
    lead.send("/call/make/")
    if "First governed call after" not in lead.text:
        raise RuntimeError("the call was not made")
    return time.monotonic() - began, admin.interactions + lead.interactions


def _signed_in(base: str, email: str, password: str) -> Visitor:
    visitor = Visitor(base)
    visitor.open("/accounts/login/")
    visitor.press("Sign in", login=email, password=password)
    visitor.interactions = 0
    return visitor


@contextmanager
def _house(data: Path) -> Iterator[tuple[str, str, str]]:
    """Yields the address of a demo house, that of an application that it may reach, and everybody's password."""
    port = free_ports(3)
    applications = data / "applications"
    applications.mkdir()
    (applications / "keys.json").write_text(json.dumps({"pipeline": _KEY, "ledger": _KEY}), encoding="utf-8")
    served = [sys.executable, "-m", "portal.demo.serving", str(applications), str(port + 2)]
    up = [sys.executable, str(MANAGE), "up", "--data", str(data / "house"), "--port", str(port)]
    with _running(served), _running(up, HANSE_UPSTREAM_ALLOW=f"{HOST}:{port + 2}") as process:
        began = time.monotonic()
        while not is_ready(port):
            if process.poll() is not None or time.monotonic() - began > _PATIENCE:
                raise RuntimeError("`up` did not become ready")
            time.sleep(0.1)
        said = (data / "house" / PASSWORDS).read_text(encoding="utf-8")
        yield f"http://localhost:{port}", f"http://{HOST}:{port + 2}/ledger/mcp", said.splitlines()[0].split()[-1]


@contextmanager
def _running(command: list[str], **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("HANSE_", "DATABASE_", "CELERY_"))
    }
    process = subprocess.Popen(command, env=kept | {"PYTHONPATH": str(ROOT), **more}, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
