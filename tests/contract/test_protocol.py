"""Foreign clients before the running gateway and the official SDK's server behind it; every answer against the schema.

The schema is that of the official types package, of the very revision that the client asked in.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import psycopg
import pytest
from mcp import Client as SdkClient
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import Audio, Image, MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types import EmbeddedResource, ResourceLink, TextResourceContents
from mcp_types.jsonrpc import JSONRPCError, JSONRPCResponse
from mcp_types.methods import validate_server_result
from pydantic import BaseModel

from tests.gateway.estate import add_delegation, add_server, add_tool
from tests.gateway.servers import serve_asgi
from tests.gateway.wire_client import Client, Got, modern, modern_headers
from tests.kill.installation import Installation, wait_for

pytestmark = [pytest.mark.slow]

MODERN = "2026-07-28"
LEGACY = ("2025-03-26", "2025-06-18", "2025-11-25")
TOOLS = {"plain": 0, "shape": 0, "picture": 0, "sound": 0, "link": 0, "inside": 0, "nothing": 0, "sum": 1, "broken": 0}
OPEN_SCHEMA = {"type": "object"}


class Shape(BaseModel):
    """What a tool with an output schema returns."""

    name: str
    sides: int
    angles: list[float]


def everything(_port: int) -> Any:
    """Returns a server of the official SDK with a tool for each kind of content."""
    server = MCPServer("everything")

    @server.tool()
    def plain(text: str = "grüße 💥 \u2028") -> str:
        return text

    @server.tool()
    def shape() -> Shape:
        return Shape(name="square", sides=4, angles=[90.0] * 4)

    @server.tool()
    def picture() -> Image:
        return Image(data=b"\x89PNG" + bytes(range(256)), format="png")

    @server.tool()
    def sound() -> Audio:
        return Audio(data=bytes(range(256)), format="wav")

    @server.tool()
    def link() -> ResourceLink:
        return ResourceLink(type="resource_link", name="there", uri="file:///there")

    @server.tool()
    def inside() -> EmbeddedResource:
        inner = TextResourceContents(uri="file:///here", text="held", mime_type="text/plain")
        return EmbeddedResource(type="resource", resource=inner)

    @server.tool()
    def nothing() -> None:
        return None

    @server.tool(name="sum")
    def add(a: int, b: int) -> int:
        return a + b

    @server.tool()
    def broken() -> str:
        raise RuntimeError("it broke")

    away = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    return server.streamable_http_app(json_response=True, stateless_http=True, transport_security=away)


@dataclass
class World:
    """The gateway, and a token for a surface with the SDK's server."""

    url: str
    token: str

    @property
    def client(self) -> Client:
        return Client(self.url, "/mcp/ledger", self.token)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with serve_asgi(everything) as behind, Installation(behind.url) as installation:
        with psycopg.connect(installation.superuser) as connection:
            add_server(connection, installation.estate, "sdk", "team", f"{behind.url}/mcp")
            for name, effect in TOOLS.items():
                add_tool(connection, installation.estate, "sdk", name, effect, schema=OPEN_SCHEMA)
            _, delegation = add_delegation(connection, installation.estate, tool_groups=["sdk"])
        installation.start("gateway")
        wait_for(installation.ready, "the gateway does not become ready")
        yield World(installation.gateway_url, installation.tokens.mint(dlg=delegation))


def ask(world: World, version: str, method: str, params: dict[str, Any] | None = None) -> Got:
    if version == MODERN:
        return world.client.ask(method, params)
    return world.client.ask_legacy(method, params, version=version)


CALLS = {
    "plain": {"text": "a"}, "shape": {}, "picture": {}, "sound": {}, "link": {}, "inside": {}, "nothing": {},
    "sum": {"a": 2, "b": 40}, "broken": {},
}  # fmt: skip


def every_result_is_what_its_revision_says(world: World) -> None:
    for version in (MODERN, *LEGACY):
        listed = ask(world, version, "tools/list")
        check_result(version, "tools/list", listed)
        assert {tool["name"] for tool in listed.result["tools"]} == {f"sdk__{name}" for name in TOOLS}
        for name, arguments in CALLS.items():
            if version == "2025-03-26" and name == "link":
                continue  # links came with the next revision; a server that sends one speaks that
            got = ask(world, version, "tools/call", {"name": f"sdk__{name}", "arguments": arguments})
            check_result(version, "tools/call", got)
            assert bool(got.result.get("isError")) is (name == "broken"), (version, name)
    check_result(MODERN, "server/discover", ask(world, MODERN, "server/discover"))
    for version in (MODERN, *LEGACY):
        for method in ("resources/list", "resources/templates/list"):
            check_result(version, method, ask(world, version, method))
    for version in LEGACY:
        client = {"clientInfo": {"name": "x", "version": "1"}, "capabilities": {}}
        got = world.client.ask_legacy("initialize", {"protocolVersion": version, **client}, version=None)
        check_result(version, "initialize", got)
        check_result(version, "ping", ask(world, version, "ping"))


def check_result(version: str, method: str, got: Got) -> None:
    assert got.status == 200, (version, method, got.body)
    JSONRPCResponse.model_validate_json(got.body)
    validate_server_result(method, version, got.result)


def every_error_is_a_json_rpc_error(world: World) -> None:
    for version in (MODERN, *LEGACY):
        for method, params, number in (
            ("tools/call", {"name": "sdk__missing", "arguments": {}}, -32602),
            ("prompts/list", {}, -32601),
            ("resources/list", {"cursor": "x"}, -32602),
            ("resources/read", {"uri": "context://ledger/x"}, -32602),
            ("tools/list", {"cursor": "x"}, -32602),
        ):
            got = ask(world, version, method, params)
            assert JSONRPCError.model_validate_json(got.body).error.code == number, (version, method)
            assert got.json["id"] == 1
            assert isinstance(got.error["data"]["code"], str)


async def use_every_tool(client: SdkClient) -> dict[str, Any]:
    names = [tool.name for tool in (await client.list_tools()).tools]
    assert len(names) == len(TOOLS)
    return {name: await client.call_tool(f"sdk__{name}", arguments) for name, arguments in CALLS.items()}


def with_sdk(world: World, mode: str, work: Callable[[SdkClient], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        headers = {"Authorization": f"Bearer {world.token}"}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False) as http,
            SdkClient(streamable_http_client(f"{world.url}/mcp/ledger", http_client=http), mode=mode) as client,
        ):
            return await work(client)

    return asyncio.run(asyncio.wait_for(run(), 60))


def the_official_client_gets_every_kind_of_content(world: World) -> None:
    for mode in (MODERN, "auto", "legacy"):
        answers = with_sdk(world, mode, use_every_tool)
        kinds = {name: [item.type for item in answer.content] for name, answer in answers.items()}
        assert kinds["picture"] == ["image"]
        assert kinds["sound"] == ["audio"]
        assert kinds["link"] == ["resource_link"]
        assert kinds["inside"] == ["resource"]
        assert answers["plain"].content[0].text == "a"
        assert answers["shape"].structured_content == {"name": "square", "sides": 4, "angles": [90.0] * 4}
        assert answers["sum"].structured_content == {"result": 42}
        assert answers["broken"].is_error


def the_official_client_learns_of_errors(world: World) -> None:
    async def provoke(client: SdkClient) -> int:
        with pytest.raises(MCPError, match="Unknown tool: sdk__missing") as caught:
            await client.call_tool("sdk__missing", {})
        return caught.value.code

    for mode in (MODERN, "legacy"):
        assert with_sdk(world, mode, provoke) == -32602


def many_official_clients_share_one_gateway(world: World) -> None:
    async def add(client: SdkClient) -> list[int]:
        answers = await asyncio.gather(*(client.call_tool("sdk__sum", {"a": n, "b": n}) for n in range(20)))
        return [answer.structured_content["result"] for answer in answers]

    async def run() -> list[list[int]]:
        async def one(mode: str) -> list[int]:
            headers = {"Authorization": f"Bearer {world.token}"}
            async with (
                httpx2.AsyncClient(headers=headers, trust_env=False) as http,
                SdkClient(streamable_http_client(f"{world.url}/mcp/ledger", http_client=http), mode=mode) as client,
            ):
                return await add(client)

        return await asyncio.gather(*(one(mode) for mode in [MODERN, "legacy"] * 3))

    assert asyncio.run(asyncio.wait_for(run(), 90)) == [[2 * n for n in range(20)]] * 6


def curl_needs_nothing_but_its_options(world: World) -> None:
    if shutil.which("curl") is None:
        pytest.skip("NO CURL ON THIS MACHINE: it was not tried")
    params = {"name": "sdk__sum", "arguments": {"a": 1, "b": 2}}
    plain = {"jsonrpc": "2.0", "id": "c", "method": "tools/call", "params": params}
    old, _ = curl(world, plain, {})
    assert old["result"]["structuredContent"] == {"result": 3}
    message = modern("tools/call", params, id="c")
    new, heads = curl(world, message, modern_headers(message))
    assert (new["id"], new["result"]["structuredContent"]) == ("c", {"result": 3})
    assert "hanse-call:" in heads
    refused, heads = curl(world, plain, {"Authorization": "Bearer x"})
    assert refused["error"]["data"]["code"].startswith("token_")
    assert "www-authenticate: bearer" in heads


def curl(world: World, message: object, headers: dict[str, str]) -> tuple[Any, str]:
    """Returns the answer's body and its headers in lower case."""
    chosen = {"Authorization": f"Bearer {world.token}", "Content-Type": "application/json", **headers}
    words = [word for name, value in chosen.items() for word in ("-H", f"{name}: {value}")]
    command = ["curl", "-q", "--noproxy", "*", "-si", f"{world.url}/mcp/ledger", *words, "-d", json.dumps(message)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    heads, _, body = done.stdout.partition("\n\n")
    return json.loads(body), heads.lower()


CHECKS = (
    every_result_is_what_its_revision_says,
    every_error_is_a_json_rpc_error,
    the_official_client_gets_every_kind_of_content,
    the_official_client_learns_of_errors,
    many_official_clients_share_one_gateway,
    curl_needs_nothing_but_its_options,
)


def test_foreign_clients_are_understood(world, subtests):
    for check in CHECKS:
        with subtests.test(check.__name__):
            check(world)
