"""One process for everything: the gateway's addresses go to its raw ASGI application, the rest to Django as WSGI."""

from typing import Any, Final

from a2wsgi import WSGIMiddleware

from gateway.app import wants
from portal import health
from portal.gateway_asgi import app as gateway
from portal.wsgi import application as portal

PORTAL_THREADS: Final = 8

_portal = WSGIMiddleware(portal, workers=PORTAL_THREADS)  # type: ignore[arg-type]  # two spellings of WSGI
health.CHECKS["gateway"] = gateway.ready


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Passes a request on by its path; the lifespan is the gateway's, because it alone has something to start."""
    if scope["type"] == "lifespan" or (scope["type"] == "http" and wants(scope["path"])):
        await gateway(scope, receive, send)
    elif scope["type"] == "http":
        await _portal(scope, receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
