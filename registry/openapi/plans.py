"""The plan of a request: where each argument of a tool goes. Data, never code; part of what an approver pins."""

import re
from dataclasses import dataclass
from typing import Any, Final

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
PLACES: Final = ("path", "query", "header")
STYLES: Final = ("plain", "repeat", "comma", "deep", "json")
JSON_BODY: Final = "json"
FORM_BODY: Final = "form"

UNSENDABLE: Final = frozenset(
    {"host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "content-length"}
    | {
        "content-type",
        "content-encoding",
        "accept",
        "accept-encoding",
        "range",
        "authorization",
        "cookie",
        "set-cookie",
    }
    | {"forwarded", "via", "origin", "referer", "traceparent", "tracestate", "baggage", "x-real-ip"}
    | {"x-original-url", "x-rewrite-url", "x-http-method", "x-http-method-override", "x-method-override"}
)
"""Headers that no argument fills: they frame the message, name who asks, or change what is asked for."""
_UNSENDABLE_STARTS: Final = ("proxy-", "sec-", "mcp-", "x-forwarded-", "x-hanse-")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,64}")
_TEMPLATE: Final = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2}|\{[^{}/]+\})*")
_HOLE: Final = re.compile(r"\{([^{}/]+)\}")
_MEDIA: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")


class Unplanned(ValueError):
    """A plan that cannot be used. The message says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One argument: the place in the request that it goes to, the name it has there, and how it is written."""

    argument: str
    place: str
    name: str
    style: str = "plain"


@dataclass(frozen=True, slots=True)
class Body:
    """The argument that is the request's body."""

    argument: str
    media: str
    kind: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How a call becomes one HTTP request. `path` is below the server's own path, with `{name}` for path arguments."""

    method: str
    path: str
    parts: tuple[Part, ...] = ()
    body: Body | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns the plan as it stands in a tool's definition."""
        parts = [{"argument": p.argument, "in": p.place, "name": p.name, "style": p.style} for p in self.parts]
        plan: dict[str, Any] = {"method": self.method, "path": self.path, "parameters": parts}
        if self.body is not None:
            plan["body"] = {"argument": self.body.argument, "media": self.body.media, "kind": self.body.kind}
        return plan


def read_plan(plan: Any) -> Plan:
    """Returns a checked plan. Raises `Unplanned` for anything that `check_plan` would not have let in."""
    try:
        parts = tuple(Part(p["argument"], p["in"], p["name"], p["style"]) for p in plan["parameters"])
        found = plan.get("body")
        body = None if found is None else Body(found["argument"], found["media"], found["kind"])
        made = Plan(plan["method"], plan["path"], parts, body)
        check_plan(made)
    except (KeyError, TypeError, AttributeError):
        raise Unplanned("it is not a plan") from None
    return made


def check_plan(plan: Plan) -> None:
    """Raises `Unplanned` unless method, template, places, names and media type are what they may be."""
    if plan.method not in METHODS:
        raise Unplanned(f"the method {plan.method[:16]} is not sent")
    holes = holes_of(plan.path)
    filled = [part.name for part in plan.parts if part.place == "path"]
    if len(set(holes)) != len(holes) or sorted(holes) != sorted(filled):
        raise Unplanned("the path's template and its parameters do not match")
    for part in plan.parts:
        _check_part(part)
    if plan.body is not None:
        if not _MEDIA.fullmatch(plan.body.media) or plan.body.kind not in {JSON_BODY, FORM_BODY}:
            raise Unplanned("its body has a media type that is not sent")
        if plan.method in {"GET", "DELETE"}:
            raise Unplanned(f"a {plan.method} request with a body is not sent")


def holes_of(path: str) -> list[str]:
    """Returns the names in a path template. Raises `Unplanned` for one that is not a plain path."""
    if not _TEMPLATE.fullmatch(path) or len(path) > 500:
        raise Unplanned("its path is not plain: it begins with / and holds no query, space or open brace")
    if "//" in path or any(segment.lower().replace("%2e", ".") in {".", ".."} for segment in path.split("/")):
        raise Unplanned("its path holds an empty, . or .. segment")
    return _HOLE.findall(path)


def is_sendable(header: str) -> bool:
    """Tells whether an argument may fill a header of this name, in lower case."""
    return bool(_TOKEN.fullmatch(header)) and header not in UNSENDABLE and not header.startswith(_UNSENDABLE_STARTS)


def _check_part(part: Part) -> None:
    if part.place not in PLACES or part.style not in STYLES:
        raise Unplanned("a parameter goes to a place or in a style that is not known")
    if part.place == "header" and not is_sendable(part.name.lower()):
        raise Unplanned(f"no argument fills the header {part.name[:64]}")
    if part.place != "query" and part.style not in {"plain", "comma"}:
        raise Unplanned("a path or header parameter has a style of a query")


def split_path(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the literal pieces of a template and the names between them; there is one more piece than names."""
    pieces = _HOLE.split(path)
    return tuple(pieces[0::2]), tuple(pieces[1::2])
