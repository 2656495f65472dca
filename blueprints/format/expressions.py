"""Expressions are CEL. Here they are parsed and their names are read; what evaluates them is the runtime."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cel

ROOTS: Final = ("inputs", "nodes", "checks", "run", "repository")
_STRING: Final = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
_MEMBER: Final = re.compile(
    r"(?<![\w.])(inputs|nodes|checks)\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*(?:\"(\w+)\"|'(\w+)')\s*\])?"
)
_PLACE: Final = re.compile(r"<input>:(\d+):(\d+): (.*)")


@dataclass(frozen=True, slots=True)
class Expression:
    """What an expression names: its free words, and the members of inputs, nodes and checks (None: not readable)."""

    words: frozenset[str]
    members: frozenset[tuple[str, str | None]]


class NotCel(ValueError):
    """The text is not CEL; says where."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Returns the names in a CEL expression. Raises `NotCel`; evaluates nothing."""
    try:
        program = cel.compile(text)
    except ValueError as error:
        raise NotCel(_first_fault(str(error))) from None
    words = frozenset(program.variables())
    return Expression(words, frozenset(_members(text)))


def _members(text: str) -> set[tuple[str, str | None]]:
    strings = [(found.start(), found.end()) for found in _STRING.finditer(text)]
    return {
        (found[1], found[2] or found[3] or found[4])
        for found in _MEMBER.finditer(text)
        if not any(start < found.start() < end for start, end in strings)
    }


def _first_fault(said: str) -> str:
    found = _PLACE.search(said)
    return f"character {found[2]}: {found[3][:160]}" if found else "it cannot be parsed"
