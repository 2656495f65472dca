"""Resources are what an internal server's `<name>.read` reads: the same call, in another shape, through the same steps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from gateway.surface import Surface
from gateway.upstream import Answer
from gateway.wire import INVALID_PARAMS, Call, Era, Refusal

READ: Final = "resources/read"
_MOST: Final = 20_000
_MIME: Final = "text/markdown"
_MEMBERS: Final[Mapping[str, str]] = {"resources/list": "resources", "resources/templates/list": "resourceTemplates"}


def as_call(call: Call, surface: Surface) -> Call:
    """Returns the tool call that reads a resource; of an address that nobody here reads, the call of no tool."""
    uri = call.params.get("uri")
    if not isinstance(uri, str):
        raise Refusal("resources/read needs a uri.", number=INVALID_PARAMS, code="params_malformed")
    scheme = uri.partition("://")[0]
    tool = surface.known.get(f"{scheme}.read")
    name = f"{scheme}.read" if tool is not None and tool.server.internal == scheme else uri[:64]
    return replace(call, params={"name": name, "arguments": {"uri": uri, "limit": _MOST}})


def as_contents(answer: Answer, uri: str, ttl_ms: int) -> Answer:
    """Returns a tool's answer as the contents of the resource; a failure of the tool is an error here."""
    result = answer.result or {}
    structured = result.get("structuredContent")
    if answer.error is not None or answer.kind == "cancelled":
        return answer
    if answer.kind != "ok" or not isinstance(structured, Mapping):
        return Answer(answer.kind, error={"code": INVALID_PARAMS, "message": _words(result), "data": {"uri": uri}})
    facts = {key: value for key, value in structured.items() if key not in {"text", "uri"}}
    item = {"uri": uri, "mimeType": _MIME, "text": structured.get("text", ""), "_meta": {"hanse/provenance": facts}}
    cached = {"ttlMs": ttl_ms, "cacheScope": "private", "resultType": "complete"}
    return Answer("ok", result={"contents": [item], **cached})


def listing(call: Call, surface: Surface) -> bytes:
    """Returns a list of resources, which is empty, or of the templates of addresses that this caller can read."""
    member = _MEMBERS[call.method]
    names = [surface.known[name].server.internal for name in surface.allowed if name.endswith(".read")]
    templates = [
        {"uriTemplate": f"{name}://{{+address}}", "name": name, "mimeType": _MIME}
        for name in sorted(set(filter(None, names)))
    ]
    result: dict[str, Any] = {member: templates if member == "resourceTemplates" else []}
    if call.era is Era.MODERN:
        result |= {"resultType": "complete", "ttlMs": surface.ttl_ms, "cacheScope": "private"}
    return orjson.dumps(result)


def _words(result: Mapping[str, Any]) -> str:
    content = result.get("content")
    first = content[0] if isinstance(content, list) and content else None
    return str(first.get("text", ""))[:_MOST] if isinstance(first, Mapping) else "The resource cannot be read."
