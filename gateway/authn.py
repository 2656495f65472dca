"""Who calls: a bearer token, verified once, then found by its digest until it expires."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from gateway.wire import Limits
from kernel.errors import Unauthenticated

_ALGORITHMS: Final = ["EdDSA", "Ed25519"]
_TYPES: Final = frozenset({"JWT", "jwt", "at+jwt", "application/at+jwt"})
_PROBE_TYPES: Final = frozenset({"probe+jwt"})
_KEYS_EVERY: Final = 1.0
"""Seconds between two looks at the key file: a stranger's key ids must not cost a file read each."""

_REGISTRY: Final = jws.JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified token says. Both identities are always there; whether they may do anything is decided later."""

    person: str
    agent: str
    delegation: str
    audience: str
    jti: str
    issued: float
    not_before: float
    expires: float
    tools: frozenset[str] | None = None


class TokenRefused(Unauthenticated):
    """A token that we signed and that does not open this door: who showed it is known, so it can be recorded."""

    def __init__(self, message: str, *, code: str, grant: Grant) -> None:
        super().__init__(message, code=code)
        self.grant = grant


class Keys:
    """The public keys that tokens are signed with, read again when their file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: Mapping[str, OKPKey] = {}
        self._stamp: tuple[int, int] = (0, 0)
        self._looked = -_KEYS_EVERY

    def find(self, kid: str) -> OKPKey | None:
        """Returns the Ed25519 key of this id; a key that was taken out of the file is gone within a second."""
        self._look()
        return self._keys.get(kid)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < _KEYS_EVERY:
            return
        self._looked = now
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._keys = _read_keys(self._path.read_bytes())
                self._stamp = stamp
        except (OSError, ValueError, KeyError, TypeError, JoseError):
            # No keys, nobody comes in. The next look may find them again.
            self._keys, self._stamp = {}, (0, 0)

    @property
    def stamp(self) -> tuple[int, int]:
        """Returns what changes when the key file does; a cached token is good for one stamp only."""
        self._look()
        return self._stamp


def _read_keys(text: bytes) -> dict[str, OKPKey]:
    found: dict[str, OKPKey] = {}
    document = orjson.loads(text)
    items = document.get("keys") if isinstance(document, dict) else None
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict):
            continue
        if item.get("kty") == "OKP" and item.get("crv") == "Ed25519" and isinstance(item.get("kid"), str):
            public = {name: item[name] for name in ("kty", "crv", "x", "kid")}
            found[item["kid"]] = OKPKey.import_key(public)
    return found


@dataclass(slots=True)
class Verifier:
    """Turns bearer tokens into grants. `issuer` is who may sign; the audience is the caller's business."""

    issuer: str
    keys: Keys
    limits: Limits
    _known: dict[bytes, Grant] = field(default_factory=dict)
    _stamp: tuple[int, int] = (0, 0)

    def verify(self, authorization: bytes | None, now: float) -> Grant:
        """Returns the grant of an `Authorization` value. Raises `Unauthenticated`; `missing` when there was no token."""
        token = _bearer(authorization, self.limits)
        stamp = self.keys.stamp
        if stamp != self._stamp:
            self._known.clear()
            self._stamp = stamp
        digest = hashlib.sha256(token).digest()
        grant = self._known.get(digest)
        if grant is None:
            grant = self._read(token)
            self._remember(digest, grant)
        if grant.expires <= now:
            self._known.pop(digest, None)
            raise TokenRefused("The token has expired.", code="token_expired", grant=grant)
        if max(grant.not_before, grant.issued) > now + self.limits.clock_skew:
            raise TokenRefused("The token is not valid yet.", code="token_not_yet_valid", grant=grant)
        return grant

    def _remember(self, digest: bytes, grant: Grant) -> None:
        if len(self._known) >= self.limits.tokens_cached:
            del self._known[next(iter(self._known))]
        self._known[digest] = grant

    def _read(self, token: bytes) -> Grant:
        return _grant(_claims(token, self.keys), self.issuer)


def verify_probe(verifier: Verifier, authorization: bytes | None, audience: str, now: float) -> None:
    """Raises `Unauthenticated` unless this is a probe's token for this audience. Probes are rare, so nothing is kept."""
    claims = _claims(_bearer(authorization, verifier.limits), verifier.keys, _PROBE_TYPES)
    if claims.get("iss") != verifier.issuer or _text(claims, "aud") != audience or "act" in claims or "sub" in claims:
        raise Unauthenticated("The token is for another address.", code="token_audience")
    skew = verifier.limits.clock_skew
    if not _moment(claims, "nbf") - skew <= now < _moment(claims, "exp"):
        raise Unauthenticated("The token has expired.", code="token_expired")


def _bearer(authorization: bytes | None, limits: Limits) -> bytes:
    if not authorization:
        raise Unauthenticated("This address needs a bearer token.", code="token_missing")
    scheme, _, token = authorization.strip(b" \t").partition(b" ")
    token = token.strip(b" ")
    if scheme.lower() != b"bearer" or not token or len(token) > limits.token_bytes:
        raise Unauthenticated("The Authorization header holds no bearer token.", code="token_malformed")
    return token


def _claims(token: bytes, keys: Keys, types: frozenset[str] = _TYPES) -> Mapping[str, Any]:
    try:
        signed = jws.extract_compact(token)
        header = signed.headers()
        # The algorithm is ours to choose, never the token's: one family, one key type, one list.
        if header.get("alg") not in _ALGORITHMS or header.get("typ", "JWT") not in types or "crit" in header:
            raise Unauthenticated("The token is of a kind that is not accepted.", code="token_malformed")
        key = keys.find(str(header.get("kid", "")))
        if key is None or not jws.validate_compact(signed, key, registry=_REGISTRY):
            raise Unauthenticated("The token's signature does not hold.", code="token_signature")
        claims = orjson.loads(signed.payload)
    except (JoseError, ValueError, TypeError, KeyError):
        raise Unauthenticated("The token cannot be read.", code="token_malformed") from None
    if not isinstance(claims, dict):
        raise Unauthenticated("The token cannot be read.", code="token_malformed")
    return claims


def _grant(claims: Mapping[str, Any], issuer: str) -> Grant:
    if claims.get("iss") != issuer:
        raise Unauthenticated("The token was issued by somebody else.", code="token_issuer")
    actor = claims.get("act")
    tools = claims.get("tools")
    return Grant(
        person=_text(claims, "sub"),
        agent=_text(actor if isinstance(actor, dict) else {}, "sub"),
        delegation=_text(claims, "dlg"),
        audience=_text(claims, "aud"),
        jti=_text(claims, "jti"),
        issued=_moment(claims, "iat"),
        not_before=_moment(claims, "nbf"),
        expires=_moment(claims, "exp"),
        tools=None if tools is None else _names(tools),
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    # An audience list would let one token roam between resources, so exactly one string is accepted.
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise Unauthenticated("The token lacks what it must say.", code="token_claims")
    return value


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unauthenticated("The token lacks what it must say.", code="token_claims")
    return float(value)


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise Unauthenticated("The token lacks what it must say.", code="token_claims")
    return frozenset(value)
