"""OpenAPI and Swagger descriptions: one section for each operation. References are followed within the document only."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from registry.context.reading.sections import Outline, Reading, Unreadable

MAX_OPERATIONS: Final = 2_000
MAX_ALIASES: Final = 100
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SIGN: Final = re.compile(rb"^\s*[\"']?(?:openapi|swagger)[\"']?\s*:", re.MULTILINE)
_LOOKED_AT: Final = 8_192
_SHOWN: Final = 30

Node = Mapping[str, Any]


def is_openapi(content: bytes) -> bool:
    """Tells whether a JSON or YAML file says that it describes an API."""
    head = content[:_LOOKED_AT]
    return (
        _SIGN.search(head) is not None
        or re.match(rb"\s*\{.{0,2000}?[\"'](?:openapi|swagger)[\"']\s*:", head, re.DOTALL) is not None
    )


def read_openapi(text: str) -> Reading:
    """Returns the sections of an API description. A remote reference is named, never followed."""
    document = _loaded(text)
    if not isinstance(document, Mapping) or not {"openapi", "swagger"} & document.keys():
        raise Unreadable("It is JSON or YAML, and no OpenAPI description; only those are read.")
    info = _mapping(document.get("info"))
    title = str(info.get("title") or "API")
    outline = Outline()
    outline.heading(1, title)
    outline.block(_text(info.get("description")) or f"{title}, version {info.get('version', 'not said')}.")
    for number, (path, method, operation) in enumerate(_operations(document), start=1):
        if number > MAX_OPERATIONS:
            raise Unreadable(f"It has more than {MAX_OPERATIONS:,} operations.")
        outline.heading(2, f"{method.upper()} {path}")
        outline.block("\n".join(_described(document, method, path, operation)), is_whole=True)
    return outline.reading(title)


def _loaded(text: str) -> object:
    if text.count("&") > MAX_ALIASES and re.findall(r"(?m)[:\-]\s+&\w+", text)[MAX_ALIASES:]:
        raise Unreadable(f"It has more than {MAX_ALIASES} YAML anchors.")
    try:
        return json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader=yaml.CSafeLoader)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise Unreadable(f"It cannot be read as JSON or YAML: {str(error).splitlines()[0][:150]}") from None


def _operations(document: Node) -> Iterator[tuple[str, str, Node]]:
    for path, item in _mapping(document.get("paths")).items():
        for method in _METHODS:
            if isinstance(operation := _mapping(item).get(method), Mapping):
                yield str(path), method, operation


def _described(document: Node, method: str, path: str, operation: Node) -> Iterator[str]:
    yield f"{method.upper()} {path} {_text(operation.get('operationId'))}".rstrip()
    yield from filter(None, [_text(operation.get("summary")), _text(operation.get("description"))])
    for parameter in _list(operation.get("parameters"))[:_SHOWN]:
        found = _resolved(document, parameter)
        yield f"Parameter {found.get('name', '?')} ({found.get('in', '?')}): {_text(found.get('description'))}".rstrip(
            ": "
        )
    if body := _resolved(document, operation.get("requestBody")):
        yield f"Body: {_text(body.get('description')) or ', '.join(map(str, _mapping(body.get('content'))))}"
    for status, response in list(_mapping(operation.get("responses")).items())[:_SHOWN]:
        yield f"{status}: {_text(_resolved(document, response).get('description'))}"


def _resolved(document: Node, node: object) -> Node:
    """Follows references inside the document, a few steps deep, so that none goes round in a circle."""
    for _step in range(8):
        reference = _mapping(node).get("$ref")
        if not isinstance(reference, str):
            break
        if not reference.startswith("#/"):
            return {"name": reference, "description": f"described elsewhere ({reference}), which is not read"}
        node = document
        for part in reference[2:].split("/"):
            node = _mapping(node).get(part.replace("~1", "/").replace("~0", "~"))
    return _mapping(node)


def _mapping(node: object) -> Node:
    return node if isinstance(node, Mapping) else {}


def _list(node: object) -> list[object]:
    return node if isinstance(node, list) else []


def _text(node: object) -> str:
    return node.strip() if isinstance(node, str) else ""
