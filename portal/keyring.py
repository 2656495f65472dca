"""The keys that pages need: the public ones that seal credentials, and the private ones that sign tokens and records."""

import hashlib
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from django.conf import settings
from joserfc.jwk import OKPKey

from blueprints.classification.sealing import Signer
from kernel.errors import Invalid, Unavailable
from portal.keys import (
    records_key_path,
    records_public_path,
    repository_public_path,
    sealing_public_path,
    token_key_path,
)
from tenants.identity.tokens import Issuer


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A public key that credentials are sealed to, and the name it goes by: the start of its SHA-256."""

    public: X25519PublicKey
    key_id: str


def sealing_key() -> SealingKey:
    """Returns the key that credentials of servers are sealed to. The portal never has its private half."""
    return _public_key(sealing_public_path(settings.HANSE), "The gateway's")


def repository_key() -> SealingKey:
    """Returns the key that credentials of repositories are sealed to. Its private half is the worker's alone."""
    return _public_key(repository_public_path(settings.HANSE), "The worker's")


def _public_key(path: Path, whose: str) -> SealingKey:
    try:
        raw = b64decode(path.read_bytes())
    except OSError as error:
        raise Unavailable(f"{whose} public key is not there yet, so nothing can be sealed.") from error
    return SealingKey(X25519PublicKey.from_public_bytes(raw), hashlib.sha256(raw).hexdigest()[:16])


def token_issuer() -> Issuer:
    """Returns who signs agent tokens."""
    try:
        pem = token_key_path(settings.HANSE).read_text(encoding="ascii")
    except OSError as error:
        raise Unavailable("The key that signs tokens is not there yet.") from error
    key = OKPKey.import_key(pem)
    named = OKPKey.import_key({**key.as_dict(private=True), "kid": key.thumbprint()})
    return Issuer(settings.HANSE.url, named, settings.HANSE.gateway_url)


def record_signer() -> Signer:
    """Returns who signs classification records."""
    try:
        pem = records_key_path(settings.HANSE).read_bytes()
    except OSError as error:
        raise Unavailable("The key that signs records is not there yet.") from error
    key = load_pem_private_key(pem, password=None)
    assert isinstance(key, Ed25519PrivateKey)  # noqa: S101 - `portal.keys` made it
    return Signer(key)


def record_verifier(path: Path | None = None) -> Ed25519PublicKey:
    """Returns the public key of a file, or this installation's own, that verifies classification records."""
    place = path or records_public_path(settings.HANSE)
    try:
        key = load_pem_public_key(place.read_bytes())
    except OSError as error:
        raise Invalid(f"{place} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Invalid(f"{place} holds no public key in PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Invalid(f"{place} holds a key of another kind than Ed25519.")
    return key
