"""Opens what the portal can only seal, and puts it on requests to the one origin it is bound to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.snapshot import SealedCredential, Server, Snapshot
from kernel.errors import Unavailable
from kernel.secrets import Secret
from registry.scrub import Patterns, patterns_for, scrub
from registry.sealing import SUITE, binding

# What the gateway itself says on each request; a credential must not speak in its place.
_OWN_HEADERS: Final = frozenset(
    {"host", "content-length", "content-type", "accept", "connection", "transfer-encoding", "te", "upgrade", "expect"}
)


@dataclass(frozen=True, slots=True)
class Opened:
    """What goes on each request to one server, and what must not come back from it."""

    headers: tuple[tuple[bytes, Secret], ...]
    patterns: Patterns = field(repr=False)

    def clean(self, text: bytes) -> bytes:
        """Returns the text without any of these secrets."""
        return scrub(text, self.patterns)[0] if self.headers else text


NOTHING: Final = Opened((), patterns_for(()))
"""No credential at all."""


@dataclass(slots=True)
class Vault:
    """Holds the gateway's private key and what was opened with it. Without the key nothing opens, so nothing is called."""

    key_path: Path
    _key: X25519PrivateKey | None = field(default=None, repr=False)
    _opened: dict[tuple[str, SealedCredential], Secret] = field(default_factory=dict, repr=False)
    _servers: dict[str, tuple[Server, Opened]] = field(default_factory=dict, repr=False)

    def open_for(self, server: Server) -> Opened:
        """Returns the opened credentials of a server. Raises `Unavailable` when one is bound elsewhere or does not open."""
        held = self._servers.get(server.uid)
        # The very same server: one whose address changed is another, and its credential is checked anew.
        if held is not None and held[0] is server:
            return held[1]
        headers = tuple((item.header.lower().encode(), self._open(server, item)) for item in server.credentials)
        opened = Opened(headers, patterns_for([value.reveal() for _, value in headers]))
        self._servers[server.uid] = (server, opened)
        return opened

    def forget_all_but(self, snapshot: Snapshot) -> None:
        """Drops from memory whatever the registry no longer holds."""
        kept = snapshot.registry.known
        for uid in [uid for uid, (server, _) in self._servers.items() if kept.get(uid) is not server]:
            del self._servers[uid]
        held = {(uid, item) for uid, server in kept.items() for item in server.credentials}
        for key in [key for key in self._opened if key not in held]:
            del self._opened[key]

    def _open(self, server: Server, item: SealedCredential) -> Secret:
        if not server.origin or item.origin != server.origin or item.header.lower() in _OWN_HEADERS:
            raise Unavailable("The server's credential is bound to another address.", code="credential_origin")
        key = (server.uid, item)
        if key not in self._opened:
            info = binding(server_uid=server.uid, origin=item.origin, header=item.header)
            try:
                self._opened[key] = Secret(SUITE.decrypt(item.sealed, self._private_key(), info=info))
            except (InvalidTag, ValueError):
                raise Unavailable("The server's credential does not open.", code="credential_unreadable") from None
        return self._opened[key]

    def _private_key(self) -> X25519PrivateKey:
        if self._key is None:
            try:
                key = load_pem_private_key(self.key_path.read_bytes(), password=None)
            except (OSError, ValueError, TypeError):
                raise Unavailable(
                    "The gateway has no key to open credentials.", code="credential_key_missing"
                ) from None
            if not isinstance(key, X25519PrivateKey):
                raise Unavailable("The gateway has no key to open credentials.", code="credential_key_missing")
            self._key = key
        return self._key
