"""The keys that pages need: the public one that seals credentials, and the private one that signs agent tokens."""

import hashlib
from base64 import b64decode
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from django.conf import settings
from joserfc.jwk import OKPKey

from kernel.errors import Unavailable
from portal.keys import token_key_path
from tenants.identity.tokens import Issuer


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The gateway's public key and the name it goes by: the start of its SHA-256."""

    public: X25519PublicKey
    key_id: str


def sealing_key() -> SealingKey:
    """Returns the key that credentials are sealed to. The portal never has its private half."""
    try:
        raw = b64decode((settings.HANSE.public_dir / "hpke.pub").read_bytes())
    except OSError as error:
        raise Unavailable("The gateway's public key is not there yet, so nothing can be sealed.") from error
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
