"""What a bench sends: requests of the 2026-07-28 wire as bytes, with a place for the id."""

from collections.abc import Mapping
from typing import Final

import orjson

from portal.bench.load import PLACE

VERSION: Final = "2026-07-28"
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "hanse-bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_TEXT: Final = f"call {PLACE.decode()} of a bench, about as long as what small tools are given"


def call_request(path: str, tool: str, extra: Mapping[str, str]) -> str:
    """Returns a `tools/call`; the id is in the message and in the argument, so that two replies never look alike."""
    params = {"name": tool, "arguments": {"text": _TEXT}, "_meta": _META}
    return _request(path, "tools/call", params, {"mcp-name": tool, **extra})


def call_reply() -> str:
    """Returns the body that the upstream's answer to `call_request` has, direct or through the gateway."""
    result = {"resultType": "complete", "content": [{"type": "text", "text": _TEXT}]}
    return _open_place(orjson.dumps({"jsonrpc": "2.0", "id": PLACE.decode(), "result": result})).decode()


def list_request(path: str, extra: Mapping[str, str]) -> str:
    """Returns a `tools/list`."""
    return _request(path, "tools/list", {"_meta": _META}, extra)


def _request(path: str, method: str, params: object, extra: Mapping[str, str]) -> str:
    body = _open_place(orjson.dumps({"jsonrpc": "2.0", "id": PLACE.decode(), "method": method, "params": params}))
    headers = {
        "host": "127.0.0.1",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": VERSION,
        "mcp-method": method,
        **extra,
        "content-length": str(len(body)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n{body.decode()}"


def _open_place(body: bytes) -> bytes:
    """The id is a number on the wire: its place has no quotes around it."""
    return body.replace(b'"id":"' + PLACE + b'"', b'"id":' + PLACE)
