"""Answers the gateway for the internal servers: checks who vouches, then lets the official SDK speak.

An ASGI application for one address, which only the gateway has the key to. What costs time runs in threads, a bounded
number of them, with a bounded number of calls waiting; a search holds nobody else up.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, Final

from django.db import close_old_connections
from mcp import types
from mcp.server.lowlevel import Server as Speaker
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError

from kernel import clock
from kernel.errors import DomainError, Invalid, Unauthenticated
from registry.asking import find_asking
from registry.assertions import HEADER, Assertion, Checker
from registry.models import Server
from registry.providers import ProvidedTool, provider_of
from registry.schemas import compile_schema
from tenants.rules import Tier
from tenants.scope import ALL, tenant_scope

THREADS: Final = 4
MOST_WAITING: Final = 64
MAX_BODY: Final = 1 << 20

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_LOG: Final = logging.getLogger(__name__)
_SAID: Final[ContextVar[Assertion]] = ContextVar("said")


class InternalServers:
    """The application. `checker` holds the gateway's public key, and what was vouched for already."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._threads = ThreadPoolExecutor(THREADS, "internal")
        self._inside = 0
        speaker: Speaker[Any] = Speaker("hanse", on_list_tools=self._list, on_call_tool=self._call)
        # Whoever gets this far was vouched for; a browser's tricks with host names are the gateway's to refuse.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._speaking = StreamableHTTPSessionManager(
            speaker, json_response=True, stateless=True, security_settings=security, max_request_body_size=MAX_BODY
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; also speaks the lifespan protocol."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] == "/readyz":
            await _reply(send, 200, {"status": "ok"})
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        text = next((value for name, value in scope["headers"] if name == HEADER), b"")
        try:
            said = self._checker.check(
                text, server=scope["path"].removeprefix("/"), body=body, now=clock.now().timestamp()
            )
        except Unauthenticated as error:
            _LOG.warning("refused: %s", error.error_code)
            await _reply(send, 401, {"error": error.error_code, "message": error.message})
            return
        if self._inside >= MOST_WAITING:
            await _reply(send, 503, {"error": "busy", "message": "Too many calls are waiting."})
            return
        self._inside += 1
        token = _SAID.set(said)
        try:
            await self._speaking.handle_request(scope, _again(body), send)
        finally:
            _SAID.reset(token)
            self._inside -= 1

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._speaking.run():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        self._threads.shutdown(cancel_futures=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def _list(self, _context: Any, _params: Any) -> types.ListToolsResult:
        tools = await self._in_thread(shipped_on, _SAID.get().server)
        return types.ListToolsResult(tools=[types.Tool.model_validate(tool.definition) for tool in tools])

    async def _call(self, _context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        said = _SAID.get()
        if said.caller is None or said.caller.tool != params.name:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        result: types.CallToolResult = await self._in_thread(answer, said, params.arguments or {})
        return result

    async def _in_thread(self, act: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _with_database, act, *arguments)


def shipped_on(uid: str) -> tuple[ProvidedTool, ...]:
    """Returns the tools of one of our servers as this release ships them; none for a server that is not ours."""
    with tenant_scope(ALL):
        server = Server.objects.filter(uid=uid, transport=Server.Transport.INTERNAL).select_related("owner").first()
        provider = provider_of(server.url.removeprefix("hanse:").partition("/")[0]) if server else None
        if server is None or provider is None:
            return ()
        return provider.tools_in(None if server.is_merged else Tier(server.owner.tier))


def answer(said: Assertion, arguments: Mapping[str, Any]) -> types.CallToolResult:
    """Returns what the tool says. A refusal and a fault of the arguments are results that a model can read."""
    try:
        structured = dict(_run(said, arguments))
    except DomainError as error:
        return _result(_sentence(error), is_error=True)
    text = json.dumps(structured, ensure_ascii=False, separators=(",", ":"))
    return _result(text, structured=structured)


def _run(said: Assertion, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    with tenant_scope(ALL):
        asking = find_asking(said)
    tool = next((tool for tool in shipped_on(said.server) if said.caller and tool.name == said.caller.tool), None)
    if tool is None:
        raise Invalid("This release does not have the tool.")
    if fault := compile_schema(tool.definition["inputSchema"]).fault(arguments):
        raise Invalid(f"The arguments do not fit: {fault}")
    with tenant_scope(asking.owners):
        return tool.run(asking, arguments)


def _sentence(error: DomainError) -> str:
    errors = error.errors if isinstance(error, Invalid) else {}
    return " ".join([error.message, *(f"{name}: {' '.join(said)}" for name, said in errors.items())])


def _result(text: str, *, structured: dict[str, Any] | None = None, is_error: bool = False) -> types.CallToolResult:
    content = types.TextContent(type="text", text=text)
    return types.CallToolResult(content=[content], structured_content=structured, is_error=is_error)


def _with_database(act: Callable[..., Any], *arguments: Any) -> Any:
    """Runs in a thread that keeps its connection, unless the connection has died meanwhile."""
    close_old_connections()
    try:
        return act(*arguments)
    finally:
        close_old_connections()


async def _body(receive: Receive) -> bytes:
    """Returns the whole body; one that is too long is cut, and then nothing vouches for it."""
    parts, size, more = [], 0, True
    while more and size <= MAX_BODY:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes) -> Receive:
    """Returns a `receive` that gives the body once, and then waits: the connection is still there."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return receive


async def _reply(send: Send, status: int, body: Mapping[str, Any]) -> None:
    content = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
