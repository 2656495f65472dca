"""python -m gateway.stdio --socket PATH [--config FILE or -]: runs local servers until it is told to stop."""

import argparse
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn

from gateway.stdio.app import App
from gateway.stdio.runner import Runner
from gateway.stdio.specs import ServerSpec, read_specs
from kernel.errors import DomainError

CANNOT_START = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.stdio", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to serve on, made with mode 0600")
    parser.add_argument("--config", help="JSON list of servers: a file, or - for standard input")
    options = parser.parse_args()
    try:
        specs = read_specs(_read_config(options.config))
        listener = listen(options.socket)
    except (DomainError, OSError, ValueError) as error:
        sys.stderr.write(f"stdio runner: {error}\n")
        return CANNOT_START
    serve(options.socket, listener, specs)
    return 0


def serve(path: Path, listener: socket.socket, specs: Mapping[str, ServerSpec]) -> None:
    """Returns when a signal ended it: every server is gone then, and so is the socket."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has stopped; the way out from there is ours.
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        App(Runner(path.parent / "stdio-homes", specs=specs)),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])
    path.unlink(missing_ok=True)


def _read_config(name: str | None) -> Any:
    if name is None:
        return []
    return json.loads(sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8"))


def listen(path: Path) -> socket.socket:
    """Returns a listening socket that only its owner may open. A runner that already listens there is left alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if path.exists():
        if _answers(path):
            raise OSError(f"another runner listens on {path}")
        path.unlink()
    # The mask and not a chmod afterwards: there is no moment at which others could connect.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(512)
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


if __name__ == "__main__":
    sys.exit(main())
