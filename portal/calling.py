"""One governed call as any client makes it: over HTTP, with a token, through the gateway. There is no way around it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx2
from django.conf import settings

from kernel import clock
from kernel.errors import Unavailable

PROTOCOL: Final = "2026-07-28"
SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True)
class Called:
    """What came back: the HTTP status, the JSON-RPC answer, and the call's id in the log, None when it has none."""

    status: int
    body: Mapping[str, Any]
    call: UUID | None

    @property
    def shown(self) -> Any:
        """The result, or the error."""
        return self.body.get("result", self.body.get("error", self.body))

    @property
    def ok(self) -> bool:
        """Whether the tool did what it was asked."""
        result = self.body.get("result")
        return isinstance(result, Mapping) and not result.get("isError")


def call_tool(*, team: str, token: str, tool: str, arguments: Mapping[str, Any]) -> Called:
    """Returns what the gateway answered. Raises `Unavailable` when nothing, or no gateway, answers there."""
    url = f"{settings.HANSE.gateway_url}/mcp/{team}"
    answer = _post(url, token, tool, arguments)
    call = answer.headers.get("hanse-call", "")
    return Called(answer.status_code, read_body(answer), UUID(call) if call else None)


def read_body(answer: httpx2.Response) -> dict[str, Any]:
    """Returns the JSON-RPC answer. Raises `Unavailable` when what answers there is no gateway."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Unavailable(
            f"What answers at {answer.url} (HTTP {answer.status_code}) is no gateway. "
            f"Where it runs apart, HANSE_GATEWAY_URL names it."
        )
    return body


def _post(url: str, token: str, tool: str, arguments: Mapping[str, Any]) -> httpx2.Response:
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": tool,
            "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": PROTOCOL,
                "io.modelcontextprotocol/clientInfo": {"name": "hanse-call", "version": clock.now().strftime("%Y")},
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    }
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": PROTOCOL,
        "mcp-method": "tools/call",
        "mcp-name": tool,
    }
    try:
        return httpx2.post(url, json=message, headers=headers, timeout=SECONDS, trust_env=False)
    except httpx2.HTTPError as error:
        raise Unavailable(f"The gateway at {url} does not answer: {error}. Is `up` running?") from None
