"""What a rule of the role sweeps is made of: one way to use a route, and who gets which status at home and abroad."""

from dataclasses import dataclass
from typing import Any

WHO = ("admin", "steward", "lead", "member", "reviewer", "outsider", "stranger", "nobody")


@dataclass(frozen=True)
class Case:
    """One way to use a route: its names, body, headers and query, given the team's things."""

    own: str
    other: str
    names: Any = lambda things: {}
    body: Any = lambda things, world: None
    headers: Any = lambda things: {}
    query: str = ""


def slug_of(kind: str) -> Any:
    return lambda things: {"slug": getattr(things, kind).slug}


def uid_of(kind: str) -> Any:
    return lambda things: {"uid": str(getattr(things, kind).uid)}


def version_of(kind: str) -> Any:
    return lambda things: {"If_Match": f'"{getattr(things, kind).version}.x"'}


def says(**body: Any) -> Any:
    return lambda things, world: body


# fmt: off
#                            admin stwrd lead  membr revwr outsd strgr nobody
ALL_SEE     = "200 200 200 200 200 200 200 401"
HOME_SEES   = "200 200 200 200 200 404 404 401"
ABROAD_SEES = "200 404 404 404 404 200 404 401"
# fmt: on
