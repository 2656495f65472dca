"""An API as its document describes it: what it is called, where it says it is, what it asks for, and its operations."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Never

from kernel.errors import Invalid
from registry.openapi.faults import LeftOut, refuse, shown
from registry.openapi.operations import Operation, read_operations
from registry.openapi.references import References, check_local

MAX_TAKEN: Final = 100
"""How many operations of one API can be tools: a model that is shown more finds none of them."""

_VERSION: Final = re.compile(r"3\.[01]\.[0-9]{1,3}(?:-[a-z0-9.]{1,20})?")
_VARIABLE: Final = re.compile(r"\{([^{}]{1,60})\}")
_MAX_SERVERS: Final = 10


@dataclass(frozen=True, slots=True)
class Proposal:
    """A credential that the document asks for: a proposal for who sets it, never a secret."""

    kind: str
    header: str
    said: str


@dataclass(frozen=True, slots=True)
class Api:
    """What one document describes."""

    title: str
    version: str
    servers: tuple[str, ...]
    proposals: tuple[Proposal, ...]
    operations: tuple[Operation, ...]

    @property
    def usable(self) -> tuple[Operation, ...]:
        """Returns the operations that can be tools."""
        return tuple(operation for operation in self.operations if operation.definition is not None)


def read_api(document: Mapping[str, Any]) -> Api:
    """Returns what the document describes. Raises `Invalid` when it is not OpenAPI, or reaches outside itself."""
    version = document.get("openapi")
    if "swagger" in document:
        refuse("version", "This is Swagger 2.0. Convert it to OpenAPI 3.0 or 3.1 first.")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        refuse("version", f"Only OpenAPI 3.0 and 3.1 are read, and this says {shown(version, 20)}.")
    if not isinstance(document.get("paths"), Mapping):
        refuse("paths", "The document has no paths, so there is nothing to call.")
    check_local(document)
    schemes = _schemes(document)
    info = document.get("info")
    facts = info if isinstance(info, Mapping) else {}
    return Api(
        shown(facts.get("title", ""), 120),
        shown(facts.get("version", ""), 40),
        _servers(document),
        tuple(_proposal(scheme) for scheme in schemes),
        read_operations(document, _secret_names(schemes)),
    )


def take_operations(
    api: Api, *, keys: Iterable[str] = (), tags: Iterable[str] = (), paths: Iterable[str] = ()
) -> tuple[Operation, ...]:
    """Returns the operations that are named, bear one of the tags, or stand below one of the paths.

    Without any choice it is all of them, where that is not too many. Raises `Invalid` when it is, or for a key that is
    not there or cannot be a tool.
    """
    wanted, tagged, below = set(keys), set(tags), tuple(paths)
    if not (wanted or tagged or below):
        return _few_enough(api.usable, len(api.operations))
    known = {operation.key: operation for operation in api.operations}
    for key in sorted(wanted):
        if key not in known:
            _refuse_choice(f"The document has no operation {shown(key)}.")
        if known[key].left_out:
            _refuse_choice(f"{shown(key)} cannot be a tool: {known[key].left_out}")
    return _few_enough(
        tuple(
            operation
            for operation in api.usable
            if operation.key in wanted or tagged & set(operation.tags) or _is_below(operation.path, below)
        ),
        len(api.operations),
    )


def still_there(api: Api, keys: Iterable[str]) -> tuple[str, ...]:
    """Returns those of the keys that the document has and that can be tools."""
    usable = {operation.key for operation in api.usable}
    return tuple(key for key in keys if key in usable)


def _is_below(path: str, starts: tuple[str, ...]) -> bool:
    return any(path == start or path.startswith(start.rstrip("/") + "/") for start in starts)


def _few_enough(chosen: tuple[Operation, ...], of: int) -> tuple[Operation, ...]:
    if len(chosen) > MAX_TAKEN:
        _refuse_choice(
            f"That is {len(chosen):,} of the document's {of:,} operations; at most {MAX_TAKEN} of one API become "
            "tools. Choose some by tag, by path or one by one."
        )
    if not chosen:
        _refuse_choice("That is no operation at all, so there would be no tool.")
    return chosen


def _refuse_choice(sentence: str) -> Never:
    raise Invalid(sentence, errors={"operations": [sentence]}, code="operations_refused")


def _servers(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the addresses that the document names, variables filled with their defaults. Nothing is looked at."""
    found: list[str] = []
    listed = document.get("servers")
    for server in listed[:_MAX_SERVERS] if isinstance(listed, list) else []:
        url = server.get("url") if isinstance(server, Mapping) else None
        if isinstance(url, str) and len(url) <= 500:
            variables = server.get("variables")
            found.append(_filled(url, variables if isinstance(variables, Mapping) else {}))
    return tuple(shown(url, 500) for url in found if url.startswith(("https://", "http://")))


def _filled(url: str, variables: Mapping[str, Any]) -> str:
    def default(match: re.Match[str]) -> str:
        facts = variables.get(match[1])
        value = facts.get("default") if isinstance(facts, Mapping) else None
        return value if isinstance(value, str) else match[0]

    return _VARIABLE.sub(default, url)


def _schemes(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    components = document.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, Mapping) else None
    references = References(document)
    found = []
    for scheme in list(schemes.values())[:20] if isinstance(schemes, Mapping) else []:
        try:
            followed = references.follow(scheme)
        except LeftOut:
            continue
        if isinstance(followed, Mapping):
            found.append(followed)
    return found


def _secret_names(schemes: list[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(str(scheme.get("name", "")).lower() for scheme in schemes if scheme.get("type") == "apiKey")


def _proposal(scheme: Mapping[str, Any]) -> Proposal:
    kind, where = scheme.get("type"), scheme.get("in")
    name = shown(scheme.get("name", ""), 64)
    way = str(scheme.get("scheme", "")).lower()
    if kind == "http" and way in {"bearer", "basic"}:
        return Proposal(way, "authorization", f"The document asks for {way} authentication.")
    if kind == "apiKey" and where == "header":
        return Proposal("header", name, f"The document asks for a key in the header {name}.")
    if kind in {"oauth2", "openIdConnect"}:
        said = (
            "The document asks for OAuth: give a token that lives long enough, because the gateway does not renew it."
        )
        return Proposal("bearer", "authorization", said)
    said = f"The document asks for {shown(kind, 20)} in {shown(where, 20)}, which the gateway does not send."
    return Proposal("", "", said)
