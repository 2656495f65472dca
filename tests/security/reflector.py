"""An upstream that gives back what it was sent, in a way that the case names, and keeps what it got."""

import gzip
import itertools
import json
import random
import threading
import zlib
from dataclasses import dataclass, field
from typing import Any

from tests.gateway.servers import Seen
from tests.security.leaks import CONTAINERS, ENCODINGS, in_pieces


@dataclass(frozen=True)
class Case:
    """One way to let one secret slip."""

    number: int
    server: str
    encoding: str
    container: str
    coding: str

    def __str__(self) -> str:
        return f"{self.server}: {self.encoding} in {self.container}, {self.coding}"


CODINGS = ("identity", "gzip", "deflate", "chunked")


def make_cases(servers: list[str]) -> list[Case]:
    """Returns every encoding in every container for each kind of credential; the transfer's coding goes round."""
    coding = itertools.cycle(CODINGS)
    product = itertools.product(servers, ENCODINGS, CONTAINERS)
    return [Case(number, *chosen, next(coding)) for number, chosen in enumerate(product)]


@dataclass
class Reflector:
    """Reflects `leaked` (what the server knows) as the case says. `raw` is what it said, before any coding."""

    cases: list[Case]
    leaked: dict[str, str]
    raw: dict[int, bytes] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def __call__(self, seen: Seen, _receive: Any, send: Any) -> None:
        self.seen.append(seen)
        message = seen.message
        number = message.get("params", {}).get("arguments", {}).get("case")
        if number is None:
            await _send(send, 200, [(b"content-type", b"application/json")], [_echo(message)], "identity")
            return
        case = self.cases[number]
        leak = ENCODINGS[case.encoding](self.leaked[case.server])
        status, headers, pieces = CONTAINERS[case.container](message["id"], leak)
        with self._lock:
            self.raw[number] = b"\n".join([*(value for _, value in headers), *pieces])
        await _send(send, status, headers, pieces, case.coding, number)


def _echo(message: dict[str, Any]) -> bytes:
    result = {"resultType": "complete", "content": [{"type": "text", "text": "ok"}]}
    return json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": result}).encode()


async def _send(
    send: Any, status: int, headers: list[tuple[bytes, bytes]], pieces: list[bytes], coding: str, seed: int = 0
) -> None:
    body = b"".join(pieces)
    if coding == "gzip":
        body = gzip.compress(body)
    elif coding == "deflate":
        body = zlib.compress(body)
    if coding in {"gzip", "deflate"}:
        headers = [*headers, (b"content-encoding", coding.encode())]
    if coding == "chunked":
        parts = in_pieces(body, random.Random(seed))
    else:
        parts, headers = [body], [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
