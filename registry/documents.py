"""Reads of the documents of wrapped APIs, and what another choice or another document would do to their tools."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kernel.errors import NotFound
from registry import queries, rules
from registry.models import ApiDocument, Server
from registry.openapi.apis import Api, Proposal, read_api
from registry.openapi.operations import Operation
from registry.openapi.reading import read_document
from tenants.principals import Principal


@dataclass(frozen=True, slots=True)
class Preview:
    """What taking some operations would do to a server's tools: names, and for the changed ones both definitions."""

    added: tuple[str, ...]
    changed: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...]
    gone: tuple[str, ...]
    same: tuple[str, ...]


def document_of(principal: Principal, server: Server) -> ApiDocument:
    """Returns the documents of a wrapped API that the principal sees."""
    found = ApiDocument.objects.visible_to(principal).filter(server=server).select_related("taken_by", "proposed_by")
    kept = found.first()
    if kept is None:
        raise NotFound("This server is no wrapped API, so it has no document.", code="not_wrapped")
    return kept


@lru_cache(maxsize=8)
def described(text: str | bytes) -> Api:
    """Returns what a document describes. Raises `Invalid` with what is wrong with it.

    A large one takes a second or two to read, and people look at the same one again and again. Nobody changes what is
    returned.
    """
    return read_api(read_document(text))


def proposals_of(principal: Principal, server: Server) -> tuple[Proposal, ...]:
    """Returns the credentials that a wrapped API's present document asks for."""
    return described(document_of(principal, server).text).proposals


def preview(principal: Principal, server: Server, operations: Sequence[Operation]) -> Preview:
    """Returns what taking these operations would do, compared with what the server's tools are now."""
    rows = queries.tools(principal).filter(server=server, seen__isnull=False)
    present: dict[str, Mapping[str, Any]] = {tool.name: tool.seen or {} for tool in rows}
    coming = {operation.name: rules.pinned_definition(operation.definition or {}) for operation in operations}
    both = sorted(coming.keys() & present.keys())
    changed = [name for name in both if rules.pin_of(present[name]) != rules.pin_of(coming[name])]
    return Preview(
        added=tuple(sorted(coming.keys() - present.keys())),
        changed=tuple((name, present[name], coming[name]) for name in changed),
        gone=tuple(sorted(present.keys() - coming.keys())),
        same=tuple(name for name in both if name not in changed),
    )
