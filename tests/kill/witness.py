"""Those who look on while processes are killed: clients, an upstream that keeps what it got, and a keeper of checkpoints."""

import asyncio
import http.client
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from registry.rules import pinned_definition
from tests.gateway.estate import SCHEMA
from tests.gateway.servers import Seen, reply, result_of
from tests.gateway.wire_client import modern, modern_headers
from tests.kill.installation import Asking

TOOLS = [{"name": name, "description": f"Does {name}.", "inputSchema": SCHEMA} for name in ("echo", "write", "destroy")]
TOOLS.append({"name": "secret_read", "description": "Does secret_read.", "inputSchema": SCHEMA})


@dataclass(frozen=True)
class Arrival:
    """One tool call as the upstream got it. `known`: what the log held at that moment; None when it could not say."""

    text: str
    tool: str
    at: float
    known: bool | None = None


@dataclass
class Receiver:
    """Answers as the books server, after asking the log whether it knows of the call."""

    seed: int
    arrivals: list[Arrival] = field(default_factory=list)
    ask: Asking | None = None
    lists: int = 0

    async def __call__(self, seen: Seen, _receive: Any, send: Any) -> None:
        at = time.time()
        message = seen.message
        if message["method"] == "tools/call":
            name, text = message["params"]["name"], message["params"]["arguments"]["text"]
            call = UUID((seen.header("traceparent") or "").split("-")[1])
            known = await asyncio.to_thread(self._is_known, call) if name == "write" else None
            self.arrivals.append(Arrival(text, name, at, known))
            await asyncio.sleep(random.random() * 0.02)
            result: dict[str, Any] = {"content": [{"type": "text", "text": text}]}
        else:
            result = self._look(message["method"])
        await reply(send, result_of(seen, {"resultType": "complete", **result}))

    def _is_known(self, call: UUID) -> bool | None:
        found = self.ask("SELECT 1 FROM audit_event WHERE call = %s AND kind = 'intent'", (call,)) if self.ask else None
        return None if found is None else bool(found)

    def _look(self, method: str) -> dict[str, Any]:
        common = {"ttlMs": 0, "cacheScope": "private"}
        if method == "tools/list":
            # Another tool each time, so that each probe finds something to put down.
            self.lists += 1
            extra = {"name": f"new_{self.lists}", "inputSchema": SCHEMA}
            return {**common, "tools": [*map(pinned_definition, TOOLS), extra]}
        info = {"io.modelcontextprotocol/serverInfo": {"name": "books", "version": "1"}}
        return {**common, "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "_meta": info}


@dataclass(frozen=True)
class Said:
    """What a client was told. `call` is the name that the gateway gave to the call."""

    text: str
    tool: str
    status: int
    code: str
    call: str

    @property
    def is_acknowledged(self) -> bool:
        return self.status == 200 and self.code == ""


@dataclass
class Caller:
    """Calls one tool after the other with an argument that occurs once, until told to stop."""

    name: str
    url: str
    path: str
    token: str
    tools: list[str]
    seed: int
    said: list[Said] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)

    def run(self, stop: threading.Event) -> None:
        chance = random.Random(f"{self.seed}-{self.name}")
        connection = None
        number = 0
        while not stop.is_set():
            number += 1
            text, tool = f"{self.name}.{number}", chance.choice(self.tools)
            try:
                connection = connection or self._connect()
                self.said.append(self._call(connection, tool, text))
                away = self.said[-1].status == 503
            except (OSError, http.client.HTTPException) as error:
                self.broken[type(error).__name__] += 1
                connection, away = None, True
            # Who asks a gateway that is not there all the time takes the processor from its start.
            stop.wait(chance.random() * (0.2 if away else 0.02))

    def _connect(self) -> http.client.HTTPConnection:
        place = urlsplit(self.url)
        return http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)

    def _call(self, connection: http.client.HTTPConnection, tool: str, text: str) -> Said:
        message = modern("tools/call", {"name": tool, "arguments": {"text": text}})
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            **modern_headers(message),
        }
        connection.request("POST", self.path, json.dumps(message).encode(), headers)
        response = connection.getresponse()
        body = json.loads(response.read())
        code = str(body.get("error", {}).get("data", {}).get("code", ""))
        return Said(text, tool, response.status, code, response.headers.get("hanse-call", ""))


@dataclass
class Keeper:
    """Keeps every signed checkpoint that it sees, as somebody outside would."""

    ask: Asking
    directory: Path
    kept: dict[str, Path] = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        query = "SELECT DISTINCT ON (stream_id) note FROM audit_checkpoint ORDER BY stream_id, size DESC"
        while not stop.wait(0.25):
            for (note,) in self.ask(query) or []:
                if note not in self.kept:
                    path = self.directory / f"checkpoint-{len(self.kept)}"
                    path.write_text(note)
                    self.kept[note] = path
