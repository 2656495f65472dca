"""Small documents as internal APIs have them, and a way to write others."""

import json
from pathlib import Path
from typing import Any

from registry.openapi.apis import Api, read_api
from registry.openapi.reading import read_document

HERE = Path(__file__).parent
ORDERS = (HERE / "orders.yaml").read_text(encoding="utf-8")


def described(name: str) -> Api:
    """Returns what one of the documents here describes."""
    return read_api(read_document((HERE / name).read_bytes()))


def document(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Returns a document of OpenAPI 3.1 with these paths."""
    return {"openapi": "3.1.0", "info": {"title": "Small", "version": "1"}, "paths": paths, **more}


def many(operations: int, *, tag: str = "bulk") -> dict[str, Any]:
    """Returns a document with so many operations, in paths of ten, each with a tag of its hundred."""
    paths = {
        f"/area{n // 100}/things{n}": {"get": {"operationId": f"read{n}", "tags": [f"{tag}{n // 100}"]}}
        for n in range(operations)
    }
    return document(paths)


def as_text(tree: Any) -> str:
    """Returns a document as JSON text."""
    return json.dumps(tree)
