"""What a git server is shown: made of what somebody typed, opened by who fetches, and cut out of whatever comes back.

A credential of a repository goes to the one origin of the one address that it is bound to, as the header `Authorization`
of requests over TLS, or without TLS to what the administrator listed. It is opened for one fetch, and held no longer.
"""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kernel.errors import Invalid, Unavailable
from kernel.secrets import Secret
from registry.addresses import ParsedUrl
from registry.scrub import Patterns, patterns_for, scrub
from registry.sealing import SUITE, repository_binding, seal_for_worker

KINDS: Final = (("basic", "User name and token"), ("bearer", "Bearer token"))
USERNAME: Final = "x-access-token"
"""Whom a token is shown for when nobody was named; most servers look at the token alone."""
UNOPENED: Final = (
    "The credential of this repository does not open: it was sealed for another address or key. Set it again."
)
MIN_SECRET: Final = 8
"""What is shorter stands in any text by chance, so it could not be cut out of what a server answers."""
MAX_SECRET: Final = 4_096
MAX_USERNAME: Final = 200
_VISIBLE: Final = re.compile(rb"[\x21-\x7e]+")
_HEADER: Final = re.compile(rb"(Basic|Bearer) [\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A credential as it is kept: whose it is, of which kind, and what only the worker can read."""

    subject: str
    kind: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """What is shown to one origin, and what must not come back from it."""

    origin: str
    header: Secret
    patterns: Patterns = field(repr=False)

    @property
    def is_shown(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.origin)

    def clean(self, data: bytes) -> bytes:
        """Returns bytes of the server without the secret, in whatever spelling it came back."""
        return scrub(data, self.patterns)[0] if self.is_shown else data

    def clean_text(self, text: str) -> str:
        """Returns words of the server without the secret."""
        return self.clean(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace") if self.is_shown else text


NOBODY: Final = Login("", Secret(b""), patterns_for(()))
"""What is shown for a repository that anybody may read: nothing."""


@dataclass(frozen=True, slots=True)
class Vault:
    """Opens credentials of repositories. The key is read for each fetch and kept by nobody."""

    key_path: Path

    def open(self, item: Sealed, target: ParsedUrl) -> Login:
        """Returns what to show at an address. Raises when it was sealed for another one, for another thing, or another key."""
        info = repository_binding(subject=item.subject, address=target.url, kind=item.kind)
        try:
            value = SUITE.decrypt(item.sealed, self._key(), info=info)
        except (InvalidTag, ValueError):
            value = b""
        if not _HEADER.fullmatch(value):
            raise Invalid(UNOPENED, code="credential_unreadable") from None
        return Login(target.origin, Secret(value), patterns_for([value]))

    def _key(self) -> X25519PrivateKey:
        try:
            key = load_pem_private_key(self.key_path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError):
            key = None
        if not isinstance(key, X25519PrivateKey):
            raise Unavailable(
                "There is no key here to open credentials of repositories.", code="credential_key_missing"
            )
        return key


def seal_login(
    *, subject: str, address: str, kind: str, username: str, secret: Secret, public_key: X25519PublicKey
) -> bytes:
    """Returns what can be kept of a credential: only the worker opens it, for this thing, address and kind."""
    value = _header_of(kind, username.strip(), secret.reveal())
    return seal_for_worker(value, public_key, subject=subject, address=address, kind=kind)


def _header_of(kind: str, username: str, secret: bytes) -> bytes:
    errors: dict[str, list[str]] = {}
    if kind not in dict(KINDS):
        errors["kind"] = [f"One of {', '.join(dict(KINDS))}."]
    if len(username) > MAX_USERNAME or ":" in username or not username.isprintable():
        errors["username"] = [f"At most {MAX_USERNAME} characters, and no colon."]
    if not MIN_SECRET <= len(secret) <= MAX_SECRET or any(octet < 0x20 or octet == 0x7F for octet in secret):
        errors["secret"] = [f"{MIN_SECRET} to {MAX_SECRET:,} bytes without control characters."]
    elif kind == "bearer" and not _VISIBLE.fullmatch(secret):
        errors["secret"] = ["A bearer token has no blanks and only plain characters."]
    if errors:
        raise Invalid("The credential cannot be used.", errors=errors)
    if kind == "bearer":
        return b"Bearer " + secret
    return b"Basic " + base64.b64encode((username or USERNAME).encode() + b":" + secret)
