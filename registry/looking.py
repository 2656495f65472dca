"""Looks at a server through the official SDK."""

import time
from typing import Any, Final

from mcp import Client, MCPError

from registry.contract import OLDER
from registry.rules import MAX_TOOLS, PROBE_SECONDS
from registry.surfaces import Shown

MAX_PAGES: Final = 20


async def look(target: Any) -> Shown:
    """Returns what a server shows over any transport of the SDK: all pages of its tools, up to a limit."""
    began = time.monotonic()
    tools: list[dict[str, Any]] = []
    async with Client(target, read_timeout_seconds=PROBE_SECONDS) as client:
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
