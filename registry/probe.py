"""Looks at a server through the official SDK, and takes in what it shows.

A probe goes through the gateway like everything else: only there can the server's credential be opened. How to get
there is named by the setting `PROBE_ROUTE`, because the registry stands below the gateway and the portal.
"""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final, Protocol

from django.conf import settings
from django.utils.module_loading import import_string
from mcp import Client, MCPError
from mcp.client import Transport

from kernel.errors import DomainError
from registry.contract import OLDER
from registry.models import Server
from registry.rules import MAX_TOOLS
from registry.surfaces import Shown

SECONDS: Final = 20.0
MAX_PAGES: Final = 20


class Route(Protocol):
    """The way to a server. A `bare` one goes without the server's credential."""

    def __call__(self, server: Server, *, bare: bool = False) -> AbstractAsyncContextManager[Transport]:
        """Returns the way, to be entered."""


def probe(server: Server) -> Shown:
    """Returns what the server shows now, or why it does not. Never raises for what a server does."""
    route: Route = import_string(settings.PROBE_ROUTE)
    return asyncio.run(_probe(server, route))


async def _probe(server: Server, route: Route) -> Shown:
    began = time.monotonic()
    try:
        async with asyncio.timeout(SECONDS), route(server) as transport:
            shown = await look(transport)
    except Exception as error:  # noqa: BLE001 - whatever a hostile server provokes is the probe's finding
        took = int((time.monotonic() - began) * 1000)
        return Shown(ok=False, error=_reason(error), duration_ms=took)
    return replace(shown, bare=await _answers_bare(server, route)) if server.url else shown


async def _answers_bare(server: Server, route: Route) -> bool:
    """Tells whether the server shows its tools to who brings no credential: then whoever reaches it can call it."""
    try:
        async with asyncio.timeout(SECONDS), route(server, bare=True) as transport:
            return (await look(transport)).ok
    except Exception:  # noqa: BLE001 - every way of not answering is the answer that is wanted here
        return False


async def look(target: Any) -> Shown:
    """Returns what a server shows over any transport of the SDK: all pages of its tools, up to a limit."""
    began = time.monotonic()
    tools: list[dict[str, Any]] = []
    async with Client(target, read_timeout_seconds=SECONDS) as client:
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            tools += [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None or len(tools) >= MAX_TOOLS:
                break
        protocol = str(client.protocol_version)
        ping = await _answers_ping(client) if protocol in OLDER else None
    took = int((time.monotonic() - began) * 1000)
    return Shown(ok=True, protocol=protocol, tools=tools, duration_ms=took, ping=ping)


async def _answers_ping(client: Client) -> bool:
    """Only the older revisions have a ping."""
    try:
        await client.send_ping()
    except MCPError:
        return False
    return True


def _reason(error: BaseException) -> str:
    """Returns one short line; groups are opened, because the first cause inside is what a person can act on."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return f"No answer within {SECONDS:.0f} s."
    text = error.message if isinstance(error, DomainError) else str(error)
    # The words may be the server's own: whatever no column holds or no page shows becomes a blank.
    return "".join(char if char.isprintable() else " " for char in f"{type(error).__name__}: {text}"[:300])
