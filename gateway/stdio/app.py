"""The runner's HTTP face: stateless MCP 2026-07-28 at /<server uid>, and its administration below /-/."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

import orjson

from gateway.envelope import MODERN_VERSION, Answerable, fold_headers, read_call
from gateway.rewrite import write_json
from gateway.stdio.channel import Answer, Message, StdioError
from gateway.stdio.runner import Runner
from gateway.stdio.server import Server
from gateway.stdio.specs import sort_specs
from gateway.wire import (
    INVALID_PARAMS,
    JSON_TYPE,
    METHOD_NOT_FOUND,
    UNSUPPORTED_VERSION,
    UPSTREAM,
    Call,
    Era,
    Limits,
    Refusal,
    Reply,
    read_body,
    render_error,
    result_reply,
    write_reply,
)
from kernel.errors import DomainError, NotFound

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LIMITS: Final = Limits(body_bytes=8 << 20, depth=128)
_COMPLETE: Final = {"resultType": "complete"}
_UNCACHED: Final = {**_COMPLETE, "ttlMs": 0, "cacheScope": "private"}


class App:
    """A raw ASGI application. It trusts its socket's permissions for who calls, and nothing for what is said."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            reply = await self._answer(scope, receive)
            if reply is not None:
                await write_reply(send, reply)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._runner.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._runner.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> Reply | None:
        """Returns the answer, or None when the caller has gone."""
        path: str = scope["path"]
        try:
            if path.startswith("/-/"):
                return await self._administer(scope["method"], path, scope, receive)
            return await self._serve(self._runner.server(path[1:]), scope, receive)
        except Answerable as error:
            return render_error(error.refusal, error.call_id)
        except DomainError as error:
            return render_error(error, None)

    async def _administer(self, method: str, path: str, scope: Scope, receive: Receive) -> Reply:
        if (method, path) == ("POST", "/-/servers"):
            body = await read_body(fold_headers(scope["headers"], LIMITS), receive, LIMITS.body_bytes)
            specs, refused = sort_specs(_read_list(body))
            await self._runner.replace(specs, refused)
            return Reply(200, orjson.dumps({"servers": len(specs), "refused": refused}), (JSON_TYPE,))
        if method != "GET" or path not in {"/-/servers", "/-/health"}:
            raise NotFound("No such page.")
        servers = self._runner.describe()
        if path == "/-/health":
            running = sum(server["state"] == "running" for server in servers)
            return Reply(200, orjson.dumps({"ok": True, "servers": len(servers), "running": running}), (JSON_TYPE,))
        return Reply(200, orjson.dumps(servers, default=str), (JSON_TYPE,))

    async def _serve(self, server: Server, scope: Scope, receive: Receive) -> Reply | None:
        if scope["method"] != "POST":
            raise Refusal("Only POST is served.", status=405, headers=((b"allow", b"POST"),), code="method_not_allowed")
        headers = fold_headers(scope["headers"], LIMITS)
        call = read_call(headers, await read_body(headers, receive, LIMITS.body_bytes), LIMITS)
        if call.era is not Era.MODERN:
            data = {"supported": [MODERN_VERSION], "requested": call.version}
            raise Answerable(Refusal("Unsupported protocol version", number=UNSUPPORTED_VERSION, data=data), call.id)
        if call.id is None:
            # Every exchange stands alone, so no notification has anything to refer to.
            return Reply(202)
        return await _while_connected(_respond(server, call, call.id), receive)


def _read_list(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal("The body is not valid JSON.", code="json_invalid") from None


async def _while_connected(work: Awaitable[Reply], receive: Receive) -> Reply | None:
    """Returns the reply, or None after cancelling the work because the caller hung up, which means cancel."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_hang_up(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, watching):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(server: Server, call: Call, call_id: bytes) -> Reply:
    try:
        handler = _METHODS.get(call.method)
        if handler is None:
            refusal = Refusal("Method not found", status=404, number=METHOD_NOT_FOUND, code="method_not_found")
            return render_error(refusal, call_id)
        return await handler(server, call, call_id)
    except DomainError as error:
        return render_error(error, call_id)
    except StdioError as error:
        data = {"code": error.code, "sent": error.sent}
        return _error_reply(call_id, {"code": UPSTREAM, "message": error.message, "data": data}, exact=False)


async def _discover(server: Server, call: Call, call_id: bytes) -> Reply:
    await server.connect()
    capabilities = server.info.get("capabilities")
    result: Message = {
        **_UNCACHED,
        "supportedVersions": [MODERN_VERSION],
        "capabilities": {"tools": {}} if isinstance(capabilities, dict) and "tools" in capabilities else {},
        "_meta": {"io.modelcontextprotocol/serverInfo": server.info.get("serverInfo")},
    }
    if isinstance(server.info.get("instructions"), str):
        result["instructions"] = server.info["instructions"]
    return result_reply(call_id, write_json(result, exact=True))


async def _list_tools(server: Server, call: Call, call_id: bytes) -> Reply:
    cursor = call.params.get("cursor")
    answer = await server.call("tools/list", {} if cursor is None else {"cursor": cursor}, exact=call.exact)
    return _answer_reply(call_id, answer, _UNCACHED)


async def _call_tool(server: Server, call: Call, call_id: bytes) -> Reply:
    name, arguments = call.params.get("name"), call.params.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise Refusal("tools/call needs a name and an object of arguments.", number=INVALID_PARAMS, code="params")
    # Only what the call means goes on: the caller's envelope belongs to the hop that ends here.
    answer = await server.call("tools/call", {"name": name, "arguments": arguments}, exact=call.exact)
    return _answer_reply(call_id, answer, _COMPLETE)


_METHODS: Final[dict[str, Callable[[Server, Call, bytes], Awaitable[Reply]]]] = {
    "server/discover": _discover,
    "tools/list": _list_tools,
    "tools/call": _call_tool,
}


def _answer_reply(call_id: bytes, answer: Answer, extra: Message) -> Reply:
    """Returns the server's answer in the words of the newer revision."""
    if "error" in answer.message:
        return _error_reply(call_id, answer.message["error"], exact=answer.exact)
    return result_reply(call_id, write_json({**answer.message["result"], **extra}, exact=answer.exact))


def _error_reply(call_id: bytes, error: Message, *, exact: bool) -> Reply:
    body = b'{"jsonrpc":"2.0","id":' + call_id + b',"error":' + write_json(error, exact=exact) + b"}"
    return Reply(200, body, (JSON_TYPE,))
