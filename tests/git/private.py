"""A git server on loopback that wants credentials: dulwich's own behind a door that a test opens and closes."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from wsgiref.simple_server import make_server

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

from kernel.secrets import Secret
from registry.git.access import Sealed, Vault, seal_login
from registry.git.fetching import address_of
from tests.git.serving import _Quiet, _Threads

TOKEN = "ghp_canaryCANARY0123456789abcdefXYZ"
SUBJECT = "source:0190a1b2-0000-7000-8000-000000000001"


def basic(username: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{token}".encode()).decode()


@dataclass
class Door:
    """Who may come in, and what was shown at the door."""

    port: int
    allowed: set[str] = field(default_factory=set)
    seen: list[str | None] = field(default_factory=list)
    refusal: int = 401

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/r"


@contextmanager
def guarded(repository: Path, *allowed: str) -> Iterator[Door]:
    """Yields a server that gives this repository, at `/r`, to who shows one of these headers."""
    door = Door(0, set(allowed))
    opened = Repo(str(repository))
    inner: Callable[..., Any] = make_wsgi_chain(DictBackend({"/r": opened}))

    def outer(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        shown = environ.get("HTTP_AUTHORIZATION")
        door.seen.append(shown)
        if shown in door.allowed:
            return inner(environ, start)
        start(f"{door.refusal} No", [("Content-Type", "text/plain"), ("WWW-Authenticate", 'Basic realm="git"')])
        return [f"You showed {shown}".encode()]

    server = make_server("127.0.0.1", 0, outer, _Threads, _Quiet)
    door.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield door
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        opened.close()


def vault_at(place: Path) -> tuple[Vault, X25519PrivateKey]:
    """Returns a vault with a key of its own, and that key."""
    key = X25519PrivateKey.generate()
    path = place / "repository.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Vault(path), key


def sealed_for(
    url: str,
    key: X25519PrivateKey,
    *,
    token: str = TOKEN,
    kind: str = "basic",
    username: str = "",
    subject: str = SUBJECT,
) -> Sealed:
    """Returns a credential as it would be kept for an address."""
    blob = seal_login(
        subject=subject, address=address_of(url), kind=kind, username=username, secret=Secret(token.encode()),
        public_key=key.public_key(),
    )  # fmt: skip
    return Sealed(subject, kind, blob)
