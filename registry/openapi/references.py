"""References inside a document. Nothing outside it is ever asked for, whatever a reference names."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from registry.openapi.faults import LeftOut, pointer, refuse, shown

MAX_HOPS: Final = 16
_SHOWN: Final = 5
_VALUES: Final = frozenset({"example", "examples", "default", "enum", "const"})
"""Below these keys stand values, in which `$ref` is a word like any other."""


def check_local(document: Mapping[str, Any]) -> None:
    """Raises `Invalid` with the places when anything refers to another file or address."""
    found = list(_remote(document))
    if found:
        places = "; ".join(f"{shown(place)} refers to {shown(ref, 60)}" for place, ref in found[:_SHOWN])
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        refuse(
            "remote", f"The document refers to what is outside it, which is never fetched: {places}{more}. Bundle it."
        )


def _remote(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    queue: list[tuple[Any, tuple[object, ...]]] = [(document, ())]
    while queue:
        node, path = queue.pop()
        if isinstance(node, Mapping):
            ref = node.get("$ref")
            if isinstance(ref, str) and not ref.startswith("#"):
                yield pointer(*path), ref
            queue.extend(
                (value, (*path, key)) for key, value in node.items() if key not in _VALUES and not key.startswith("x-")
            )
        elif isinstance(node, list):
            queue.extend((value, (*path, index)) for index, value in enumerate(node))


class References:
    """Finds what a local reference names. Raises `LeftOut` for one that leads nowhere, outside, or round in a circle."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def follow(self, node: Any) -> Any:
        """Returns the node itself, or what it refers to at the end of the chain."""
        for _ in range(MAX_HOPS):
            if not isinstance(node, Mapping) or not isinstance(node.get("$ref"), str):
                return node
            node = self.target(node["$ref"])
        raise LeftOut("a reference leads round in a circle")

    def target(self, ref: str) -> Any:
        """Returns what stands at a reference such as `#/components/schemas/Pet`."""
        if not ref.startswith("#/"):
            raise LeftOut(f"the reference {shown(ref)} does not name a place in this document")
        node: Any = self._document
        for part in ref[2:].split("/"):
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and name in node:
                node = node[name]
            elif isinstance(node, list) and name.isdecimal() and int(name[:9]) < len(node):
                node = node[int(name[:9])]
            else:
                raise LeftOut(f"the reference {shown(ref)} leads nowhere")
        return node
