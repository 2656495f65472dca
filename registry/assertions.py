"""What the gateway says of a call to an internal server: who asks, through which agent, in which team, about what.

Signed with a key that only the gateway has, so that nobody else can say it; about exactly one body for exactly one
server, good for some seconds and once, so that it says nothing of any other call. Pure: both sides import it.
"""

import base64
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kernel.errors import Unauthenticated

HEADER: Final = b"hanse-assertion"
SECONDS: Final = 15.0
"""How long an assertion is good. It is made when the request is written, so it only has to arrive."""
MAX_BYTES: Final = 2_000
_SKEW: Final = 1.0
_HEAD: Final = base64.urlsafe_b64encode(b'{"alg":"Ed25519","typ":"hanse-call+jwt"}').rstrip(b"=")
_NAMES: Final = frozenset({"sub", "act", "dlg", "team", "cap", "tool"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Both identities of a call, the delegation between them, and how sensitive what they see may be."""

    sub: str
    act: str
    dlg: str
    team: str
    cap: int
    tool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """An assertion that holds. `caller` is None for a look: it names nobody, so nothing may be called with it."""

    call: str
    server: str
    issued: float
    caller: Caller | None


def sign(key: Ed25519PrivateKey, said: Assertion, body: bytes) -> bytes:
    """Returns the assertion about this body as a JWS that any library reads."""
    claims: dict[str, Any] = {"aud": said.server, "jti": said.call, "iat": said.issued, "body": _digest(body)}
    claims |= asdict(said.caller) if said.caller is not None else {}
    signed = _HEAD + b"." + _encoded(json.dumps(claims, separators=(",", ":")).encode())
    return signed + b"." + _encoded(key.sign(signed))


class Checker:
    """Believes each assertion once. What was issued before it began is refused: it may have been used already."""

    def __init__(self, key: Ed25519PublicKey, began: float) -> None:
        self._key = key
        self._began = began
        self._used: OrderedDict[str, float] = OrderedDict()

    def check(self, text: bytes, *, server: str, body: bytes, now: float) -> Assertion:
        """Returns what is said of this body to this server now. Raises `Unauthenticated` for everything else."""
        said, digest = _opened(text, self._key)
        if said.server != server or digest != _digest(body):
            raise Unauthenticated("The assertion is about another call.", code="assertion_of_another")
        if not max(self._began, now - SECONDS) <= said.issued <= now + _SKEW:
            raise Unauthenticated("The assertion is not of this moment.", code="assertion_expired")
        self._forget(now)
        if said.call in self._used:
            raise Unauthenticated("The assertion was used before.", code="assertion_used")
        self._used[said.call] = said.issued
        return said

    def _forget(self, now: float) -> None:
        while self._used and next(iter(self._used.values())) < now - SECONDS - 2 * _SKEW:
            self._used.popitem(last=False)


def _opened(text: bytes, key: Ed25519PublicKey) -> tuple[Assertion, str]:
    """Returns what was signed, and the digest of the body that it is about."""
    signed, _, signature = text[:MAX_BYTES].rpartition(b".")
    head, _, payload = signed.partition(b".")
    try:
        key.verify(_decoded(signature) if head == _HEAD else b"", signed)
        return _said(json.loads(_decoded(payload)))
    except (InvalidSignature, ValueError, KeyError, TypeError):
        raise Unauthenticated("Only the gateway calls here.", code="assertion_invalid") from None


def _said(claims: Mapping[str, Any]) -> tuple[Assertion, str]:
    named = _NAMES & claims.keys()
    caller = Caller(**{name: claims[name] for name in _NAMES}) if named else None
    said = Assertion(call=claims["jti"], server=claims["aud"], issued=float(claims["iat"]), caller=caller)
    return said, claims["body"]


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
