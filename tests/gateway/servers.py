"""Real servers in threads: any ASGI application, and an upstream whose behaviour a test chooses."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn


@dataclass
class Served:
    url: str
    app: Any
    server: uvicorn.Server


@contextmanager
def serve_asgi(make: Callable[[int], Any]) -> Iterator[Served]:
    """Serves the application that `make` returns for a free port, with its lifespan, until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = make(port)
    config = uvicorn.Config(app, log_level="error", loop="uvloop", http="httptools", lifespan="on", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < until, "the server did not start in time"
        time.sleep(0.01)
    try:
        yield Served(f"http://127.0.0.1:{port}", app, server)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


@dataclass
class Seen:
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value.decode() for key, value in self.headers if key == name.encode()]
        return values[0] if values else None

    @property
    def message(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Upstream:
    """Keeps every request it gets. `answer` is awaited with (seen, send) and may do anything to the connection."""

    seen: list[Seen] = field(default_factory=list)
    answer: Callable[[Seen, Any, Any], Any] | None = None
    url: str = ""

    def __enter__(self) -> Self:
        self._served = serve_asgi(lambda _port: self)
        self.url = self._served.__enter__().url
        return self

    def __exit__(self, *exc: object) -> None:
        self._served.__exit__(None, None, None)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        seen = Seen(scope["path"], list(scope["headers"]), body)
        self.seen.append(seen)
        await (self.answer or answer_echo)(seen, receive, send)

    def reset(self) -> None:
        self.seen.clear()
        self.answer = None


async def reply(send: Any, body: bytes, *, status: int = 200, kind: bytes = b"application/json") -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def result_of(seen: Seen, result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": seen.message["id"], "result": result}, separators=(",", ":")).encode()


async def answer_echo(seen: Seen, receive: Any, send: Any) -> None:
    text = json.dumps(seen.message["params"]["arguments"])
    await reply(send, result_of(seen, {"resultType": "complete", "content": [{"type": "text", "text": text}]}))
