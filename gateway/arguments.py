"""Compares the arguments of a call with the tool's approved input schema, before anything is recorded as allowed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.snapshot import Tool
from registry.schemas import Shape, Unusable, compile_schema

_MAX_KEPT: Final = 512
"""A shape takes 25 kB or so, and a worker has 80 MB for everything."""


@dataclass(slots=True)
class Shapes:
    """The compiled schemas of the tools that were called. One per worker.

    Kept by the approved definition itself, not by the tool's name: what is approved anew is compiled anew, and what a
    new snapshot reads unchanged is not.
    """

    _kept: dict[bytes, Shape | Unusable] = field(default_factory=dict)

    def find(self, tool: Tool) -> Shape:
        """Returns what the tool's arguments must look like. Raises `Unusable` where that cannot be checked."""
        found = self._kept.get(tool.shown)
        if found is None:
            if len(self._kept) >= _MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            found = self._kept[tool.shown] = _compile(tool)
        if isinstance(found, Unusable):
            raise found
        return found


def _compile(tool: Tool) -> Shape | Unusable:
    schema: Any = orjson.loads(tool.shown).get("inputSchema")
    if not isinstance(schema, Mapping):
        return Unusable("it is not an object")
    try:
        return compile_schema(schema)
    except Unusable as error:
        return error
