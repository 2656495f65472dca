"""The official SDK on both sides: its client before the gateway, its server behind it, in both eras."""

import asyncio
import re

import httpx2
import psycopg
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError

from tests.gateway.estate import add_delegation, add_server, add_tool
from tests.gateway.servers import serve_asgi
from tests.gateway.wire_client import Client as WireClient
from tests.gateway.wire_client import wait_until

NO_REBINDING = TransportSecuritySettings(enable_dns_rebinding_protection=False)


def make_sdk_server(_port: int, *, json_response: bool):
    server = MCPServer("behind")

    @server.tool()
    def shout(text: str) -> str:
        return text.upper()

    @server.tool()
    def fail() -> str:
        raise ValueError("it broke")

    return server.streamable_http_app(json_response=json_response, transport_security=NO_REBINDING)


WAYS = {
    "modern-json": (True, "2026-07-28"),
    "modern-sse": (False, "2026-07-28"),
    "legacy-json": (True, "2025-11-25"),
    "legacy-sse": (False, "2025-06-18"),
}


@pytest.fixture(scope="module", params=WAYS)
def behind(request, gateway_database, estate, gateway, tokens):
    """Returns the slug of a server made with the official SDK, spoken to in one revision, and a delegation for it."""
    slug = f"sdk-{request.param}"
    json_response, protocol = WAYS[request.param]
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    with serve_asgi(lambda port: make_sdk_server(port, json_response=json_response)) as served:
        with psycopg.connect(gateway_database("superuser")) as connection:
            add_server(connection, estate, slug, "team", f"{served.url}/mcp", protocol=protocol)
            add_tool(connection, estate, slug, "shout", 0, schema=schema)
            add_tool(connection, estate, slug, "fail", 1)
            _, delegation = add_delegation(connection, estate, tool_groups=[slug])
        asking = WireClient(gateway.url, f"/mcp/{estate.team}", tokens.mint(dlg=delegation))
        # Delegations and tools are read apart, so the one may be known a moment before the other.
        wait_until(lambda: len(asking.ask("tools/list").result["tools"]) == 2, "the new server is not served")
        yield slug, delegation


def with_client(url: str, token: str, mode: str, work):
    async def run():
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            return await work(client)

    return asyncio.run(asyncio.wait_for(run(), 30))


@pytest.mark.parametrize("mode", ["2026-07-28", "auto", "legacy"])
def test_the_sdk_client_lists_and_calls_through_the_gateway(behind, gateway, tokens, estate, mode):
    slug, delegation = behind

    async def work(client):
        listed = await client.list_tools()
        answer = await client.call_tool(f"{slug}__shout", {"text": "hi"})
        return [tool.name for tool in listed.tools], answer

    names, answer = with_client(f"{gateway.url}/mcp/{estate.team}", tokens.mint(dlg=delegation), mode, work)
    assert names == [f"{slug}__fail", f"{slug}__shout"]
    assert answer.content[0].text == "HI"
    assert not answer.is_error


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
def test_a_tool_s_own_failure_is_a_result(behind, gateway, tokens, estate, events, mode):
    slug, delegation = behind

    async def work(client):
        return await client.call_tool("fail", {})

    url = f"{gateway.url}/mcp/{estate.team}/{slug}"
    answer = with_client(url, tokens.mint(dlg=delegation), mode, work)
    assert answer.is_error
    assert [event["result"] for event in events()][-1] == "tool_error"


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
def test_a_tool_that_is_not_there_is_an_invalid_parameter(behind, gateway, tokens, estate, mode):
    async def work(client):
        with pytest.raises(MCPError, match=re.escape("Unknown tool: nothing")) as caught:
            await client.call_tool("nothing", {})
        return caught.value.code

    _, delegation = behind
    code = with_client(f"{gateway.url}/mcp/{estate.team}", tokens.mint(dlg=delegation), mode, work)
    assert code == -32602
