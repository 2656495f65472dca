"""Builds the rows of the log. Pure: the gateway, the portal and the sequencer make records in one way.

A row goes to the SQL function `audit_append`; its `leaf` is the canonical JSON that the Merkle tree covers. What was
said (arguments, result, facts) is not in the leaf, only a salted commitment to it is, so it can be erased later.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from kernel.canonical import canonical_record
from kernel.clock import timestamp
from kernel.errors import TooLarge
from kernel.ids import new_uid_text

LEAF_VERSION: Final = 1
MAX_LEAF_BYTES: Final = 65_535  # an entry bundle counts each entry in 16 bits
SALT_BYTES: Final = 32

Row = dict[str, object]


class Kind(StrEnum):
    """What a record says about: a call about to be made, refused, answered, never answered, or a change in the house."""

    INTENT = "intent"
    DENIED = "denied"
    OUTCOME = "outcome"
    UNKNOWN = "unknown"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Log:
    """The stream to write to: its number, its public id and the scope that owns it."""

    stream: int
    uid: str
    scope: int


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: opaque ids, as text. A call always has all three; a change by a person has the first alone."""

    person: str | None
    agent: str | None = None
    delegation: str | None = None


def commitment(salt: bytes, body: bytes) -> str:
    """Returns SHA-256(salt || body) in hex. Nobody can guess the body from it while the 32-byte salt is unknown."""
    return hashlib.sha256(salt + body).hexdigest()


def intent(
    log: Log,
    actor: Actor,
    *,
    call: str,
    verb: str,
    object: str,  # noqa: A002
    arguments: bytes,
    reasons: Sequence[str] = (),
    pin: str | None = None,
    snapshot: int | None = None,
    keep: bool = True,
) -> Row:
    """Returns the row to make durable before a call goes out. `keep=False` stores the salt but not the arguments."""
    facts: Row = {"decision": "allow", "reasons": list(reasons), "pin": pin, "snapshot": snapshot}
    return _row(log, actor, Kind.INTENT, call, verb, object, facts, part="arguments", body=arguments, keep=keep)


def denied(
    log: Log,
    actor: Actor,
    *,
    call: str,
    verb: str,
    object: str,  # noqa: A002
    arguments: bytes,
    reasons: Sequence[str],
    pin: str | None = None,
    snapshot: int | None = None,
    keep: bool = True,
) -> Row:
    """Returns the row of a call that was refused and never left the house."""
    facts: Row = {"decision": "deny", "reasons": list(reasons), "pin": pin, "snapshot": snapshot}
    return _row(log, actor, Kind.DENIED, call, verb, object, facts, part="arguments", body=arguments, keep=keep)


def outcome(
    log: Log,
    actor: Actor,
    *,
    call: str,
    verb: str,
    object: str,  # noqa: A002
    result: str,
    ms: int,
    body: bytes,
    keep: bool = True,
) -> Row:
    """Returns the row of how a call ended: `result` is its class (ok, error, timeout ...), `body` what came back."""
    facts: Row = {"result": result, "ms": ms}
    return _row(log, actor, Kind.OUTCOME, call, verb, object, facts, part="result", body=body, keep=keep)


def unknown(log: Log, actor: Actor, *, call: str, verb: str, object: str) -> Row:  # noqa: A002
    """Returns the row for an intent whose outcome never came: the call may or may not have happened."""
    return _row(log, actor, Kind.UNKNOWN, call, verb, object, {"result": "unknown"})


def change(
    log: Log,
    actor: Actor,
    *,
    verb: str,
    object: str,  # noqa: A002
    facts: bytes,
    reasons: Sequence[str] = (),
) -> Row:
    """Returns the row of a change that a person made in the house; `facts` is canonical JSON and can be erased."""
    return _row(log, actor, Kind.CHANGE, None, verb, object, {"reasons": list(reasons)}, part="facts", body=facts)


def encode(rows: Iterable[Mapping[str, object]]) -> str:
    """Returns the one text parameter of `SELECT audit_append(%s::jsonb)`."""
    return orjson.dumps(list(rows)).decode()


def _row(
    log: Log,
    actor: Actor,
    kind: Kind,
    call: str | None,
    verb: str,
    object: str,  # noqa: A002
    facts: Row,
    *,
    part: str = "",
    body: bytes = b"",
    keep: bool = True,
) -> Row:
    row: Row = {
        "uid": new_uid_text(),
        "kind": kind.value,
        "call": call,
        "at": timestamp(),
        "person": actor.person,
        "agent": actor.agent,
        "delegation": actor.delegation,
        "verb": verb,
        "object": object.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        "decision": facts.get("decision", ""),
        "result": facts.get("result", ""),
    }
    leaf: Row = {key: value for key, value in row.items() if value}  # they are text or None
    for key, value in facts.items():
        if value is not None and value != "":
            leaf[key] = value
    leaf["v"], leaf["stream"] = LEAF_VERSION, log.uid
    if part:
        salt = os.urandom(SALT_BYTES)
        leaf["commitments"] = {part: commitment(salt, body)}
        row["salt"], row["body"] = salt.hex(), body.decode() if keep else None
    row["stream"], row["scope"], row["leaf"] = log.stream, log.scope, _leaf_text(leaf)
    return row


def _leaf_text(leaf: Row) -> str:
    data = canonical_record(leaf)
    if len(data) > MAX_LEAF_BYTES:
        raise TooLarge(
            "The audit record is longer than 65,535 bytes, so the call cannot be recorded.", limit=MAX_LEAF_BYTES
        )
    return data.decode()
