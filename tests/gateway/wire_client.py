"""A client that sends exactly what a test says, well-formed or not."""

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def result(self) -> Any:
        return self.json["result"]


def modern(method: str, params: dict[str, Any] | None = None, *, id: Any = 1) -> dict[str, Any]:  # noqa: A002
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": {**(params or {}), "_meta": META}}


def modern_headers(message: dict[str, Any]) -> dict[str, str]:
    headers = {"MCP-Protocol-Version": VERSION, "Mcp-Method": message["method"]}
    params = message.get("params", {})
    name = params.get("name", params.get("uri"))
    return headers | ({"Mcp-Name": name} if name is not None else {})


@dataclass
class Client:
    base: str
    path: str
    token: str | None

    def send(
        self, body: bytes, headers: list[tuple[str, str]], *, method: str = "POST", path: str | None = None
    ) -> Got:
        place = urlsplit(self.base)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
        try:
            names = {name.lower() for name, _ in headers}
            connection.putrequest(method, path or self.path, skip_host="host" in names, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if "content-length" not in names:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            raw = response.read()
            return Got(response.status, {key.lower(): value for key, value in response.getheaders()}, raw)
        finally:
            connection.close()

    def headers(self, **extra: str) -> list[tuple[str, str]]:
        bearer = [("Authorization", f"Bearer {self.token}")] if self.token else []
        return [*bearer, ("Content-Type", "application/json"), *((k.replace("_", "-"), v) for k, v in extra.items())]

    def ask(self, method: str, params: dict[str, Any] | None = None, *, id: Any = 1) -> Got:  # noqa: A002
        """Sends one request of the modern revision."""
        message = modern(method, params, id=id)
        headers = [*self.headers(), *modern_headers(message).items()]
        return self.send(json.dumps(message).encode(), headers)

    def call(self, name: str, arguments: Any = None, *, id: Any = 1) -> Got:  # noqa: A002
        return self.ask("tools/call", {"name": name, "arguments": arguments or {}}, id=id)

    def ask_legacy(self, method: str, params: Any = None, *, version: str | None = "2025-11-25", id: Any = 1) -> Got:  # noqa: A002
        """Sends one request of a handshake revision; `id=None` makes it a notification."""
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        if id is not None:
            message["id"] = id
        headers = self.headers(**({"MCP_Protocol_Version": version} if version else {}))
        return self.send(json.dumps(message).encode(), headers)


def wait_until(condition, what: str, seconds: float = 10.0) -> float:
    """Returns how long it took. An event of the gateway's own cannot be seen from here, so this asks again and again."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, what
        time.sleep(0.005)
    return time.monotonic() - began
