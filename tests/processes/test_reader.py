"""The process that reads PDF and Word files, as if a document had taken it over: what can its code still do?"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from portal.cli import processes

pytestmark = pytest.mark.skipif(
    not processes.has_fence(), reason="THIS KERNEL HAS NO LANDLOCK: the reader's confinement was not tested"
)

ATTACKS = """
import json, os, socket, sys
root, secret, elsewhere, port, version = sys.argv[1:6]
sys.path.insert(0, root)
from registry.context.reading import child

def planted():
    with open(elsewhere + "/planted", "w") as file:
        file.write("x")

def connected():
    with socket.create_connection(("127.0.0.1", int(port)), 2):
        pass

def listened():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))

attempts = {
    "a secret": lambda: open(secret).read(),
    "the environment of the worker": lambda: open(f"/proc/{os.getppid()}/environ", "rb").read(),
    "its memory": lambda: open(f"/proc/{os.getppid()}/mem", "rb").read(1),
    "a file of the system": lambda: open("/etc/passwd").read(),
    "names in the data directory": lambda: os.listdir(os.path.dirname(secret)),
    "write elsewhere": planted,
    "a program": lambda: os.posix_spawn("/bin/true", ["true"], {}),
}
if int(version) >= 4:
    attempts |= {"connect": connected, "listen": listened}

def attack(content):
    won = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            if error.errno not in (1, 13):
                won.append(f"{name}: {error}")
        else:
            won.append(name)
    os.write(2, json.dumps(won).encode())
    raise child.Unreadable("done")

child._READERS["pdf"] = attack
sys.argv = ["child", "pdf", "1000000000", "30", "40000000"]
if len(os.environ.get("FREE", "")):
    child.fence.abi_version = lambda: 0
child.main()
"""


def won_by(tmp_path: Path, *, free: bool) -> list[str]:
    secret = tmp_path / "secrets" / "key.pem"
    secret.parent.mkdir()
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryDirectory() as elsewhere:
        given = [str(processes.ROOT), str(secret), elsewhere, str(server.getsockname()[1])]
        version = str(processes.fence.abi_version())
        done = subprocess.run(
            [sys.executable, "-I", "-c", ATTACKS, *given, version],
            input=b"%PDF",
            capture_output=True,
            check=True,
            env={"PATH": os.defpath} | ({"FREE": "1"} if free else {}),
        )
    assert json.loads(done.stdout) == {"fault": "done"}
    return json.loads(done.stderr)


def test_a_document_that_takes_its_reader_over_finds_nothing(tmp_path):
    assert won_by(tmp_path, free=False) == []


def test_the_same_attempts_succeed_without_the_confinement(tmp_path):
    won = won_by(tmp_path, free=True)
    assert {"a secret", "the environment of the worker", "a file of the system", "write elsewhere", "a program"} <= set(
        won
    )
