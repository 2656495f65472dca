"""An HTTP API in a thread that records what reached it, byte for byte, and answers as a test says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.gateway.servers import reply, serve_asgi


@dataclass
class Asked:
    """One request as it arrived: the raw target, before any server or framework decoded a part of it."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass
class Api:
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked, Any], Any] | None = None
    url: str = ""

    def __enter__(self) -> Self:
        self._served = serve_asgi(lambda _port: self)
        self.url = self._served.__enter__().url
        return self

    def __exit__(self, *exc: object) -> None:
        self._served.__exit__(None, None, None)

    def reset(self) -> None:
        self.asked.clear()
        self.answer = None

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
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        asked = Asked(
            scope["method"], scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1"), headers, body
        )
        self.asked.append(asked)
        await (self.answer or _answer_well)(asked, send)


async def _answer_well(asked: Asked, send: Any) -> None:
    await reply(send, b'{"state":"open","total":12.50}')
