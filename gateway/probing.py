"""The way of a probe: what a server says of itself, asked with its credential, by whoever keeps the registry.

A probe names neither person nor agent, so it may look and nothing else: only the methods below pass, and its token is
of another kind than an agent's, for one server, for a minute. A message is read strictly and written anew, so that the
server cannot read another method in it than the one that was looked at here.

A wrapped HTTP API speaks no MCP, so the gateway answers in its place: that it lists no tool (they come from its
document), once its address was found allowed and something there answered over HTTP, whatever it was.
"""

import json
import time
from collections.abc import Mapping
from typing import Final

from gateway.authn import verify_probe
from gateway.credentials import NOTHING
from gateway.egress import UpstreamError
from gateway.flow import Parts
from gateway.legacy import DISCOVERED
from gateway.rewrite import read_json, write_json
from gateway.snapshot import Server
from gateway.wire import METHOD_NOT_FOUND, Receive, Refusal, Reply, read_body, result_reply
from kernel.errors import NotFound, Unavailable

PREFIX: Final = "/-/upstream/"
METHODS: Final = frozenset(
    {"server/discover", "initialize", "notifications/initialized", "ping", "tools/list", "notifications/cancelled"}
)
_MEMBERS: Final = frozenset({"jsonrpc", "id", "method", "params"})
_SENT: Final = (b"mcp-protocol-version", b"mcp-method", b"mcp-session-id")
_RETURNED: Final = frozenset({b"content-type", b"mcp-session-id"})
_BARE: Final = b"hanse-bare"
"""Who probes asks with it to be sent on without the credential: does the server want it at all?"""
_SECONDS: Final = 20.0
_NO_TOOLS: Final = b'{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[]}'


async def answer_probe(
    parts: Parts, audience: str, uid: str, headers: Mapping[bytes, bytes], receive: Receive
) -> Reply:
    """Returns the server's own answer without any injected secret. Raises `Unauthenticated` for any other token."""
    verify_probe(parts.verifier, headers.get(b"authorization"), audience, time.time())
    body = await read_body(headers, receive, parts.limits.body_bytes)
    message = _read_look(body, headers, parts.limits.depth)
    server = parts.keeper.current().registry.known.get(uid)
    if server is None:
        raise NotFound("There is no such server.", code="server_unknown")
    if server.wrapped:
        return await _answer_for(parts, server, message)
    return await _pass_on(parts, server, headers, message)


async def _pass_on(parts: Parts, server: Server, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
    opened = NOTHING if _BARE in headers else parts.vault.open_for(server)
    sent = [(b"content-type", b"application/json"), (b"accept", b"application/json, text/event-stream")]
    sent += [(name, headers[name]) for name in _SENT if name in headers]
    sent += [(name, value.reveal()) for name, value in opened.headers]
    vouch = parts.voucher.for_look(server)
    sent += [vouch(body)] if vouch is not None else []
    reply = await parts.upstream.egress.post(
        parts.upstream.target(server),
        sent,
        body,
        timeout=_SECONDS,
        max_bytes=parts.limits.upstream_bytes,
        partition=f"{'bare' if _BARE in headers else 'probe'} {server.uid}",
    )
    clean = opened.clean(reply.body)
    kept = tuple((name, opened.clean(value)) for name, value in reply.headers if name.lower() in _RETURNED)
    return Reply(reply.status, clean, kept)


async def _answer_for(parts: Parts, server: Server, message: bytes) -> Reply:
    asked = json.loads(message)
    call_id, method = json.dumps(asked.get("id")).encode(), asked["method"]
    if method == "server/discover":
        return result_reply(call_id, DISCOVERED)
    if method != "tools/list":
        raise Refusal("A wrapped API is only looked at.", status=404, number=METHOD_NOT_FOUND, code="method_not_found")
    await _reach(parts, server)
    return result_reply(call_id, _NO_TOOLS)


async def _reach(parts: Parts, server: Server) -> None:
    """Raises `Unavailable` unless anything answers. OPTIONS asks for nothing, and no credential is shown for that."""
    try:
        await parts.upstream.egress.post(
            parts.upstream.target(server),
            [(b"accept", b"*/*")],
            b"",
            timeout=_SECONDS,
            max_bytes=parts.limits.upstream_bytes,
            partition=f"probe {server.uid}",
            verb=b"OPTIONS",
        )
    except UpstreamError as error:
        raise Unavailable(error.message, code="upstream_unreachable") from None


def _read_look(body: bytes, headers: Mapping[bytes, bytes], depth: int) -> bytes:
    """Returns the one message, written anew. A member of another spelling would be a second method to some readers."""
    message, exact = read_json(body, depth=depth)
    if not isinstance(message, dict) or message.keys() - _MEMBERS:
        raise Refusal("A probe is one JSON-RPC message and nothing beside it.", code="message_malformed")
    method = message.get("method")
    if (
        not isinstance(method, str)
        or method not in METHODS
        or headers.get(b"mcp-method", method.encode()) != method.encode()
    ):
        raise Refusal("A probe only looks.", status=403, code="probe_method")
    return write_json(message, exact=exact)
