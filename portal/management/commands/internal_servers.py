"""`./manage.py internal_servers`: the process in which context is searched for agents. `up` starts it."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from kernel import clock
from portal.keys import assertion_public_path
from registry.assertions import Checker
from registry.serving import InternalServers


class Command(BaseCommand):
    """Serves the internal MCP servers to the gateway, on a unix socket."""

    help = "Serve the internal MCP servers to the gateway until told to stop."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Serves until a signal ends it; the socket is gone then."""
        path = settings.HANSE.internal_socket
        checker = Checker(_public_key(assertion_public_path(settings.HANSE)), began=clock.now().timestamp())
        listener = listen(path)
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn raises the signal again once it has stopped; the way out from there is ours.
            signal.signal(number, lambda *_: None)
        config = uvicorn.Config(
            InternalServers(checker),
            loop="uvloop",
            http="httptools",
            lifespan="on",
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=5,
            server_header=False,
        )
        uvicorn.Server(config).run(sockets=[listener])
        path.unlink(missing_ok=True)


def listen(path: Path) -> socket.socket:
    """Returns a listening socket that only its owner may open. What an earlier process left there is replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mask and not a chmod afterwards: there is no moment at which others could connect.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(128)
    return listener


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise CommandError(f"{path} holds no public key to check the gateway's assertions with")
    return key
