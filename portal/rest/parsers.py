"""Request bodies: small, strict JSON. Everything else is refused before any view sees it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Final, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from kernel.errors import TooLarge

MAX_BODY: Final = 262_144
MAX_DEPTH: Final = 32


class StrictJSONParser(BaseParser):
    """RFC 8259 without its loopholes: no duplicate key, no NaN, no lone surrogate, no deep nesting, no big body."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Returns the value. Reads at most one byte more than the limit, whatever the length header says."""
        limit = getattr((parser_context or {}).get("view"), "max_body", MAX_BODY)
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(f"A body has at most {limit} bytes.", limit=limit)
        try:
            value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except RecursionError:
            raise TooLarge(f"JSON is nested at most {MAX_DEPTH} deep here.", limit=MAX_DEPTH) from None
        except ValueError as error:
            raise ParseError("The body is not JSON.") from error
        if _is_deeper(value, MAX_DEPTH):
            raise TooLarge(f"JSON is nested at most {MAX_DEPTH} deep here.", limit=MAX_DEPTH)
        return value


class AlwaysJSON(BaseContentNegotiation):
    """Answers in JSON whatever `Accept` says, as RFC 9110 allows: a client sees the problem, not a 406."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Returns the JSON parser for JSON, for everything else none."""
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Returns the JSON renderer."""
        return next(iter(renderers)), "application/json"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _is_deeper(root: object, limit: int) -> bool:
    layer = [root]
    for _ in range(limit):
        layer = [child for node in layer for child in _children(node)]
        if not layer:
            return False
    return True


def _children(node: object) -> Sequence[object]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else ()
