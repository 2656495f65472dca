"""Records with blanks: what all calls of one tool by one caller have in common is written as JSON once.

A form is cut from a record that `audit.records` made, so that a filled form and a made record never differ in kind.
"""

import os
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final, Self

import orjson

from audit.records import SALT_BYTES, Actor, Log, Row, commitment, denied, intent, outcome
from kernel.clock import timestamp
from kernel.ids import RANDOM_BYTES, new_uid_text

_RESULT: Final = re.compile(r"[a-z0-9_.-]{1,36}")  # at most as long as the sample's, and nothing that JSON escapes


class Form:
    """One kind of record with its blanks. Filling it costs half of making the record."""

    __slots__ = ("_pick", "_text")

    def __init__(self, text: bytes, order: tuple[int, ...]) -> None:
        self._text = text
        self._pick: Callable[[tuple[bytes, ...]], tuple[bytes, ...]] = itemgetter(*order)

    @classmethod
    def intent(
        cls, log: Log, actor: Actor, *, verb: str, target: str, reasons: Sequence[str], pin: str, snapshot: int
    ) -> Self:
        """Returns the form of `records.intent`; `target` is the object."""

        def make(call: str, body: bytes, _result: str, _ms: int) -> Row:
            return intent(
                log,
                actor,
                call=call,
                verb=verb,
                object=target,
                arguments=body,
                reasons=reasons,
                pin=pin,
                snapshot=snapshot,
            )

        return cls._cut(make)

    @classmethod
    def denied(
        cls, log: Log, actor: Actor, *, verb: str, target: str, reasons: Sequence[str], pin: str, snapshot: int
    ) -> Self:
        """Returns the form of `records.denied`."""

        def make(call: str, body: bytes, _result: str, _ms: int) -> Row:
            return denied(
                log,
                actor,
                call=call,
                verb=verb,
                object=target,
                arguments=body,
                reasons=reasons,
                pin=pin,
                snapshot=snapshot,
            )

        return cls._cut(make)

    @classmethod
    def outcome(cls, log: Log, actor: Actor, *, verb: str, target: str) -> Self:
        """Returns the form of `records.outcome`."""

        def make(call: str, body: bytes, result: str, ms: int) -> Row:
            return outcome(log, actor, call=call, verb=verb, object=target, result=result, ms=ms, body=body)

        return cls._cut(make)

    @classmethod
    def _cut(cls, make: Callable[[str, bytes, str, int], Row]) -> Self:
        """Makes a record of values that occur nowhere else and cuts the text wherever one of them stands."""
        call, said, result = new_uid_text(), new_uid_text(), new_uid_text()
        ms = int.from_bytes(os.urandom(6), "big") | 1 << 48  # more digits than any real one
        row = make(call, said.encode(), result, ms)
        (committed,) = orjson.loads(str(row["leaf"]))["commitments"].values()
        values = [row["uid"], row["at"], call, row["salt"], f'"{said}"', committed, result, str(ms)]
        blanks = {str(value): place for place, value in enumerate(values)}
        pieces = re.split(f"({'|'.join(map(re.escape, blanks))})", orjson.dumps(row).decode())
        text = "%s".join(piece.replace("%", "%%") for piece in pieces[::2])
        return cls(text.encode(), tuple(blanks[piece] for piece in pieces[1::2]))

    def fill(self, *, call: str, body: bytes, keep: bool = True, result: str = "none", ms: int = 0) -> bytes:
        """Returns the row as JSON, with an id, a moment and a salt of its own."""
        random = os.urandom(SALT_BYTES + RANDOM_BYTES)
        salt = random[:SALT_BYTES]
        values = (
            new_uid_text(random[SALT_BYTES:]).encode(),
            timestamp().encode(),
            call.encode(),
            salt.hex().encode(),
            orjson.dumps(body.decode()) if keep else b"null",
            commitment(salt, body).encode(),
            _plain(result),
            b"%d" % ms,
        )
        return self._text % self._pick(values)


@lru_cache(maxsize=256)
def _plain(result: str) -> bytes:
    if not _RESULT.fullmatch(result):
        raise ValueError("the class of a result is a short word")
    return result.encode()
