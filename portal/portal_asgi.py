"""The portal as a process of its own, without the gateway."""

from typing import Any

from a2wsgi import WSGIMiddleware

from portal.wsgi import application as portal

_portal = WSGIMiddleware(portal, workers=8)  # type: ignore[arg-type]  # two spellings of WSGI


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Passes every request to Django."""
    if scope["type"] == "http":
        await _portal(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _answer_lifespan(receive, send)
    else:
        await send({"type": "websocket.close", "code": 1000})


async def _answer_lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
