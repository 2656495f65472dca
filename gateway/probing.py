"""The way of a probe: what a server says of itself, asked with its credential, by whoever keeps the registry.

A probe names neither person nor agent, so it may look and nothing else: only the methods below pass, and its token is
of another kind than an agent's, for one server, for a minute. Messages go through as the official SDK wrote them.
"""

import time
from collections.abc import Mapping
from typing import Final

import orjson

from gateway.authn import verify_probe
from gateway.flow import Parts
from gateway.snapshot import Server
from gateway.upstream import target_of
from gateway.wire import Receive, Refusal, Reply, read_body
from kernel.errors import NotFound

PREFIX: Final = "/-/upstream/"
METHODS: Final = frozenset(
    {"server/discover", "initialize", "notifications/initialized", "ping", "tools/list", "notifications/cancelled"}
)
_SENT: Final = (b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"mcp-session-id")
_RETURNED: Final = frozenset({b"content-type", b"mcp-session-id"})
_SECONDS: Final = 20.0


async def answer_probe(
    parts: Parts, audience: str, uid: str, headers: Mapping[bytes, bytes], receive: Receive
) -> Reply:
    """Returns the server's own answer without any injected secret. Raises `Unauthenticated` for any other token."""
    verify_probe(parts.verifier, headers.get(b"authorization"), audience, time.time())
    body = await read_body(headers, receive, parts.limits.body_bytes)
    _check_method(body)
    server = parts.keeper.current().registry.known.get(uid)
    if server is None:
        raise NotFound("There is no such server.", code="server_unknown")
    return await _pass_on(parts, server, headers, body)


async def _pass_on(parts: Parts, server: Server, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
    opened = parts.vault.open_for(server)
    sent = [(b"content-type", b"application/json"), (b"accept", b"application/json, text/event-stream")]
    sent += [(name, headers[name]) for name in _SENT if name in headers]
    sent += [(name, value.reveal()) for name, value in opened.headers]
    reply = await parts.upstream.egress.post(
        target_of(server, parts.upstream.stdio_socket),
        sent,
        body,
        timeout=_SECONDS,
        max_bytes=parts.limits.upstream_bytes,
        partition=f"probe {server.uid}",
    )
    clean = opened.clean(reply.body)
    kept = tuple((name, opened.clean(value)) for name, value in reply.headers if name.lower() in _RETURNED)
    return Reply(reply.status, clean, kept)


def _check_method(body: bytes) -> None:
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal("The body is not valid JSON.", code="json_invalid") from None
    if not isinstance(message, dict) or message.get("method") not in METHODS:
        raise Refusal("A probe only looks.", status=403, code="probe_method")
