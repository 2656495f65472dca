"""Serves the demo estate's applications: two MCP servers on one loopback port, each behind a key of its own.

`python -m portal.demo.serving DIRECTORY PORT`
"""

import contextlib
import hmac
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import uvicorn
from mcp.server import MCPServer
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from portal.demo.ledger import ledger_server
from portal.demo.pipeline import pipeline_server

HEADER: Final = "x-internal-key"


class KeyGate:
    """Lets a request through to an application only with its key, in constant time; the application knows no person."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", [])).get(HEADER.encode(), b"")
        if scope["type"] == "http" and not hmac.compare_digest(given, self._key):
            await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, send)


def application(directory: Path) -> Starlette:
    """Returns both applications under `/pipeline/mcp` and `/ledger/mcp`."""
    keys: dict[str, str] = json.loads((directory / "keys.json").read_text(encoding="utf-8"))
    apps = {
        "pipeline": _served(pipeline_server(directory / "pipeline.sqlite")),
        "ledger": _served(ledger_server(directory / "ledger.sqlite")),
    }

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for app in apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    mounts = [Mount(f"/{name}", app=KeyGate(app, keys[name])) for name, app in apps.items()]
    return Starlette(routes=mounts, lifespan=lifespan)


def _served(server: MCPServer) -> Any:
    return server.streamable_http_app(json_response=True, stateless_http=True)


if __name__ == "__main__":
    uvicorn.run(
        application(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False
    )
