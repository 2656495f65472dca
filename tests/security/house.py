"""The house that is attacked: a server that misbehaves on request, and what a test needs to know of the rest."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import psutil
import psycopg

from tests.gateway.servers import Seen, reply, result_of
from tests.gateway.wire_client import Client
from tests.kill.installation import Installation

FLOOD = 1 << 30


@dataclass
class Target:
    """The books server: echoes, floods when asked to, and shows whatever tools a step gives it."""

    seen: list[Seen] = field(default_factory=list)
    shown: bytes = b""
    flooded: list[int] = field(default_factory=list)

    async def __call__(self, seen: Seen, receive: Any, send: Any) -> None:
        message = seen.message
        method, arguments = message["method"], message.get("params", {}).get("arguments", {})
        if method == "tools/call":
            self.seen.append(seen)
        if arguments.get("text") == "flood":
            await self._flood(receive, send)
        elif method == "tools/list":
            head = b'{"jsonrpc":"2.0","id":' + json.dumps(message["id"]).encode() + b',"result":'
            await reply(send, head + self.shown + b"}")
        elif method == "server/discover":
            info = {"io.modelcontextprotocol/serverInfo": {"name": "books", "version": "1"}}
            common = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
            found = {**common, "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "_meta": info}
            await reply(send, result_of(seen, found))
        else:
            await reply(send, result_of(seen, {"resultType": "complete", "content": []}))

    async def _flood(self, receive: Any, send: Any) -> None:
        """Sends until the other side has gone, or the gigabyte is out."""
        sent, piece = 0, b" " * (1 << 20)
        place = len(self.flooded)
        self.flooded.append(0)
        gone = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        while sent < FLOOD and not gone.done():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)
            sent += len(piece)
            self.flooded[place] = sent
        gone.cancel()


@dataclass
class World:
    """The running installation, its administrator's connection, and a client whose calls are allowed."""

    installation: Installation
    target: Target
    admin: psycopg.Connection
    client: Client
    delegation: tuple[int, str]
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def gateway(self) -> str:
        return self.installation.gateway_url

    def token(self, **changes: Any) -> str:
        return self.installation.tokens.mint(**{"dlg": self.delegation[1], **changes})

    def with_token(self, token: str) -> Client:
        return Client(self.gateway, "/mcp/ledger", token)

    def reasons(self) -> list[str]:
        """Returns the reasons of the refusal that was recorded last."""
        query = "SELECT leaf FROM audit_event WHERE kind = 'denied' ORDER BY id DESC LIMIT 1"
        found: list[str] = json.loads(self.admin.execute(query).fetchone()[0])["reasons"]
        return found

    def memory(self, name: str) -> float:
        """Returns the resident megabytes of a process."""
        return psutil.Process(self.installation.running[name].pid).memory_info().rss / (1 << 20)
