"""Canonical JSON (RFC 8785) and digests over it: equal meaning, equal bytes."""

import hashlib

import orjson
import rfc8785


def canonical_json(value: object) -> bytes:
    """Returns the RFC 8785 bytes of a JSON value. Raises `ValueError` for what JSON cannot hold (NaN, 2**53 and more)."""
    return rfc8785.dumps(value)  # type: ignore[arg-type]


def canonical_record(record: dict[str, object]) -> bytes:
    """Returns the RFC 8785 bytes of a record with ASCII keys and no floats, at a tenth of the general cost.

    Only under that condition are orjson's sorted keys and number forms those of RFC 8785; a property test holds it.
    """
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def digest(value: object) -> str:
    """Returns the SHA-256 of the canonical JSON of `value`, as 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
