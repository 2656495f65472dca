"""The write-only half of credentials: seal to a public key (HPKE, RFC 9180). There is no open here.

The portal holds public keys alone, so a credential form is write-only by mathematics. A server's credential is sealed
for the gateway and bound to one server, one origin and one header; a repository's is sealed for the worker and bound to
whose it is, one address and one kind. Moved anywhere else, neither opens.
"""

from typing import Final, Protocol

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from kernel.canonical import canonical_json

SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_PREFIX: Final = b"hanse/credential/v1 "
_REPOSITORY: Final = b"hanse/repository-credential/v1 "


class Key(Protocol):
    """A public key and its name."""

    @property
    def public(self) -> X25519PublicKey:
        """What credentials are sealed to."""

    @property
    def key_id(self) -> str:
        """Its name."""


def binding(*, server_uid: str, origin: str, header: str) -> bytes:
    """Returns the HPKE `info` of a credential: the same bytes must be given to open it."""
    return _PREFIX + canonical_json({"server": server_uid, "origin": origin, "header": header.lower()})


def seal(value: bytes, public_key: X25519PublicKey, *, server_uid: str, origin: str, header: str) -> bytes:
    """Returns the encapsulated key followed by the ciphertext of a whole header value."""
    return SUITE.encrypt(value, public_key, info=binding(server_uid=server_uid, origin=origin, header=header))


def repository_binding(*, subject: str, address: str, kind: str) -> bytes:
    """Returns the HPKE `info` of a repository's credential. `subject` says whose it is: what kind of thing, and its uid."""
    return _REPOSITORY + canonical_json({"subject": subject, "address": address, "kind": kind})


def seal_for_worker(value: bytes, public_key: X25519PublicKey, *, subject: str, address: str, kind: str) -> bytes:
    """Returns the encapsulated key followed by the ciphertext of a whole header value."""
    return SUITE.encrypt(value, public_key, info=repository_binding(subject=subject, address=address, kind=kind))
