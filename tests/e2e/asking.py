"""Asks `context.search` once through the official SDK's client: `python -m tests.e2e.asking ADDRESS QUESTION`."""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def ask(address: str, question: str) -> object:
    """Returns the structured answer."""
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(address, http_client=http)) as client,
    ):
        result = await client.call_tool("context.search", {"query": question})
        assert not result.is_error, result.content
        return result.structured_content


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(ask(*sys.argv[1:]))))
