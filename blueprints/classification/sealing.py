"""Signed records: who has the public key can tell, without asking anybody, that this installation measured this."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from blueprints.classification.record import TYPE, bytes_to_sign
from kernel.canonical import digest
from kernel.errors import Invalid

FIELDS: Final = frozenset({"record", "signature", "key_id", "facts"})


@dataclass(frozen=True, slots=True)
class Signer:
    """The installation's own key for records, and the name it goes by."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def key_id(self) -> str:
        """The name of the key: the start of its public half's SHA-256."""
        return key_id_of(self.key.public_key())

    def sign(self, record: Mapping[str, object]) -> str:
        """Returns the signature of a record, in base64."""
        return base64.b64encode(self.key.sign(bytes_to_sign(record))).decode("ascii")


def key_id_of(key: Ed25519PublicKey) -> str:
    """Returns the name of a public key."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def exported(
    record: Mapping[str, object], *, signature: str, key_id: str, facts: Mapping[str, object]
) -> dict[str, object]:
    """Returns the document in which a record leaves the house: all that is needed to check it, but the public key."""
    return {"record": dict(record), "signature": signature, "key_id": key_id, "facts": dict(facts)}


def verify(document: Any, key: Ed25519PublicKey) -> Mapping[str, Any]:
    """Returns the record of an exported document. Raises `Invalid` unless the key signed it and the facts are its own.

    Whether it still holds is another question: see `record.holds`.
    """
    if not isinstance(document, Mapping) or set(document) - FIELDS or not isinstance(document.get("record"), Mapping):
        raise Invalid("This is no exported record.", code="record_shape")
    record: Mapping[str, Any] = document["record"]
    if record.get("type") != TYPE:
        raise Invalid(f"This is no record of the type {TYPE}.", code="record_shape")
    try:
        signature = base64.b64decode(str(document.get("signature")), validate=True)
        key.verify(signature, bytes_to_sign(record))
    except (InvalidSignature, binascii.Error, ValueError):
        raise Invalid(f"The key {key_id_of(key)} did not sign this record.", code="record_signature") from None
    if "facts" in document and _digest_of(document["facts"]) != record.get("facts_sha256"):
        raise Invalid("The facts beside the record are not the ones that it was made from.", code="record_facts")
    return record


def _digest_of(facts: object) -> str:
    try:
        return digest(facts)
    except ValueError:
        return ""
