"""What a tool definition is, how it is pinned, named and judged. Pure: no database, no framework."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from kernel.canonical import canonical_json, digest
from registry.schemas import Unusable, compile_schema
from tenants.rules import Effect

SHOWN_FIELDS: Final = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""All of a definition that an agent's model reads. Icons and `_meta` are not shown to it."""

PINNED_FIELDS: Final = (*SHOWN_FIELDS, "request")
"""What an approver pins: that, and for an operation of a wrapped HTTP API the plan of its request."""

MAX_TOOLS: Final = 1_000
PROBE_SECONDS: Final = 20.0
MAX_DEFINITION_BYTES: Final = 64 * 1024
MAX_SCHEMA_DEPTH: Final = 24
MAX_DESCRIPTION: Final = 8_000
MAX_EXPOSED_NAME: Final = 64

_TOOL_NAME = re.compile(r"\A[A-Za-z0-9_.-]{1,128}\Z")
_NOT_EXPOSABLE = re.compile(r"[^A-Za-z0-9_-]")

# What a poisoned description tends to hold: orders to the model and places it should not look at (OWASP MCP03).
_SUSPICIOUS: Final = (
    (re.compile(r"<\s*(important|system|secret|instructions?)\b", re.IGNORECASE), "a tag that poses as an instruction"),
    (re.compile(r"\bignore (all |any )?(previous|prior|other)\b", re.IGNORECASE), "tells the model to ignore others"),
    (re.compile(r"\b(do not|don't|never) (tell|mention|inform|reveal)\b", re.IGNORECASE), "tells the model to hide"),
    (re.compile(r"(~/\.ssh|id_rsa|/etc/passwd|\.env\b|mcp\.json)", re.IGNORECASE), "names a sensitive path"),
    (re.compile(r"<!--"), "a hidden comment"),
)


def pinned_definition(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a tool that the pin covers, without absent fields."""
    return {field: tool[field] for field in PINNED_FIELDS if tool.get(field) is not None}


def shown_definition(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part that an MCP server says of its own tool. A plan of a request is ours, so none is taken from it."""
    return {field: tool[field] for field in SHOWN_FIELDS if tool.get(field) is not None}


def pin_of(definition: Mapping[str, Any]) -> str:
    """Returns the SHA-256 over the canonical JSON of the pinned definition: any change of meaning changes it."""
    return digest(pinned_definition(definition))


def exposed_name(server_slug: str, tool_name: str) -> str:
    """Returns the tool's name in a merged surface: `<server>__<tool>` within `[A-Za-z0-9_-]{1,64}`.

    The registry stores the mapping and keeps it unique; nobody parses it back. A name that had to be changed or cut
    ends in eight digits of its own hash, so two tools of one server never fall together.
    """
    plain = f"{server_slug}__{tool_name}"
    name = _NOT_EXPOSABLE.sub("_", plain)
    if name == plain and len(name) <= MAX_EXPOSED_NAME:
        return name
    return f"{name[: MAX_EXPOSED_NAME - 9]}_{sha256(plain.encode()).hexdigest()[:8]}"


def claimed_effect(annotations: Mapping[str, Any] | None) -> Effect:
    """Returns the effect that the server claims for a tool: only a proposal, the approver decides.

    Without hints a tool counts as destroying: that is the default of the MCP schema too.
    """
    hints = annotations or {}
    if hints.get("readOnlyHint") is True:
        return Effect.READ
    return Effect.WRITE if hints.get("destructiveHint") is False else Effect.DESTROY


def faults_of(tool: Mapping[str, Any]) -> list[str]:
    """Returns why a definition cannot be listed at all: a broken name, a schema that is too big or reaches out."""
    return [*_name_faults(tool.get("name")), *_schema_faults(tool)]


def warnings_of(tool: Mapping[str, Any]) -> list[str]:
    """Returns what an approver should look at: hidden characters, look-alikes and orders in what the model reads."""
    found: dict[str, None] = {}
    for place, text in _texts(pinned_definition(tool)):
        if _hidden_characters(text):
            found[f"{place}: hidden or direction-changing characters"] = None
        for pattern, what in _SUSPICIOUS:
            if pattern.search(text):
                found[f"{place}: {what}"] = None
    return list(found)


def is_tool_name(name: object) -> bool:
    """Tells whether the protocol lets a tool be called like this."""
    return isinstance(name, str) and _TOOL_NAME.match(name) is not None


def is_storable(tool: Mapping[str, Any]) -> bool:
    """Tells whether a definition can be kept: small enough, valid Unicode, and no NUL, which PostgreSQL refuses."""
    definition = pinned_definition(tool)
    try:
        size = len(canonical_json(definition))
    except (ValueError, TypeError, RecursionError):
        return False
    return size <= MAX_DEFINITION_BYTES and not any("\0" in text for _, text in _texts(definition))


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Returns the pinned fields in which two definitions differ, in their fixed order."""
    return [field for field in PINNED_FIELDS if before.get(field) != after.get(field)]


def _name_faults(name: object) -> Iterator[str]:
    if not is_tool_name(name):
        yield "the name is not 1 to 128 of A-Z, a-z, 0-9, _ . -"


def _schema_faults(tool: Mapping[str, Any]) -> Iterator[str]:
    schema = tool.get("inputSchema")
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        yield "the input schema is not an object schema"
    description = tool.get("description")
    if isinstance(description, str) and len(description) > MAX_DESCRIPTION:
        yield f"the description is longer than {MAX_DESCRIPTION} characters"
    for field in ("inputSchema", "outputSchema"):
        yield from (f"{field}: {fault}" for fault in _tree_faults(tool.get(field)))
    yield from _use_faults(schema)


def _use_faults(schema: object) -> Iterator[str]:
    # A tree that is at fault by itself is not worth the work, and may be too deep for it.
    if isinstance(schema, Mapping) and not any(_tree_faults(schema)):
        try:
            compile_schema(schema)
        except Unusable as error:
            yield f"inputSchema: arguments cannot be checked against it: {error}"


def _tree_faults(root: object) -> Iterator[str]:
    """Walks with a list, never by recursion: a hostile schema may be deeper than the stack."""
    queue: list[tuple[object, int]] = [(root, 0)]
    while queue:
        node, depth = queue.pop()
        if depth > MAX_SCHEMA_DEPTH:
            yield f"nested deeper than {MAX_SCHEMA_DEPTH}"
            return
        if isinstance(node, Mapping):
            ref = node.get("$ref")
            if isinstance(ref, str) and not ref.startswith("#"):
                yield "refers to something outside itself"
                return
            queue.extend((value, depth + 1) for value in node.values())
        elif isinstance(node, list):
            queue.extend((value, depth + 1) for value in node)


def _texts(root: object) -> Iterator[tuple[str, str]]:
    queue: list[tuple[str, object]] = [("", root)]
    while queue:
        place, node = queue.pop()
        if isinstance(node, str):
            yield place or "definition", node
        elif isinstance(node, Mapping):
            for key, value in node.items():
                yield f"{place}/{key}", str(key)
                queue.append((f"{place}/{key}", value))
        elif isinstance(node, list):
            queue.extend((f"{place}/{index}", value) for index, value in enumerate(node))


def _hidden_characters(text: str) -> bool:
    return any(unicodedata.category(char) in {"Cf", "Cc", "Co", "Cn"} and char not in "\n\r\t" for char in text)
