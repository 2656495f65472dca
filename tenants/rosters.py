"""Lists of people, agents and groups as somebody pastes them: one a line, fields between commas. Pure: no database."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from tenants.rules import MAX_GROUP, Profile, Role, is_group_name

ROLES: Final[Mapping[str, Role]] = {
    "lead": Role.TEAM_LEAD,
    "team lead": Role.TEAM_LEAD,
    "team_lead": Role.TEAM_LEAD,
    "member": Role.MEMBER,
    "reviewer": Role.REVIEWER,
}
MAX_LINES: Final = 500
MAX_NAME: Final = 120
_ADDRESS: Final = re.compile(r"[^\s@,<>]{1,64}@[^\s@,<>]{1,180}")
_NOT_IN_A_SLUG: Final = re.compile(r"[^a-z0-9]+")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PersonLine:
    """Somebody for a role."""

    line: int
    name: str
    address: str
    role: Role


@dataclass(frozen=True, slots=True)
class AgentLine:
    """An agent for the team."""

    line: int
    name: str
    slug: str
    profile: Profile


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group of the identity provider for a role."""

    line: int
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why a line cannot be taken; the first line is 1."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.text}"


def read_people(text: str) -> tuple[list[PersonLine], list[LineFault]]:
    """Returns people and faults, in the order of their lines. The same address twice for the same role is a fault."""
    return _read(text, _person, lambda row: (row.address, row.role))


def read_agents(text: str) -> tuple[list[AgentLine], list[LineFault]]:
    """Returns agents and faults, in the order of their lines. A profile that is left out is `reader`."""
    return _read(text, _agent, lambda row: row.slug)


def read_groups(text: str) -> tuple[list[GroupLine], list[LineFault]]:
    """Returns groups and faults, in the order of their lines. A name may hold commas, so the role is always written."""
    return _read(text, _group, lambda row: (row.name, row.role), lambda line: line.rpartition(",")[::2])


def slug_from(name: str) -> str:
    """Returns a short name made of a name: `Payments, Nordic` becomes `payments-nordic`; empty when nothing is left."""
    return _NOT_IN_A_SLUG.sub("-", name.lower()).strip("-")[:48].strip("-")


def _read(
    text: str,
    parse: Callable[[int, list[str]], T],
    key: Callable[[T], object],
    split: Callable[[str], Iterable[str]] = lambda line: line.split(","),
) -> tuple[list[T], list[LineFault]]:
    rows: list[T] = []
    faults: list[LineFault] = []
    seen: dict[object, int] = {}
    for number, line in _lines(text):
        if len(rows) + len(faults) >= MAX_LINES:
            faults.append(LineFault(number, f"more than {MAX_LINES} at once."))
            break
        try:
            row = parse(number, [part.strip() for part in split(line)])
        except ValueError as error:
            faults.append(LineFault(number, str(error)))
            continue
        if (first := seen.setdefault(key(row), number)) != number:
            faults.append(LineFault(number, f"the same as line {first}."))
        else:
            rows.append(row)
    return rows, faults


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _person(number: int, fields: list[str]) -> PersonLine:
    if len(fields) not in {2, 3}:
        raise ValueError("write name, address, role.")
    name, address = fields[0], fields[1].lower()
    word = fields[2].lower() if len(fields) == 3 and fields[2] else "member"
    if not 0 < len(name) <= MAX_NAME:
        raise ValueError(f"a name has 1 to {MAX_NAME} characters.")
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"“{address[:60]}” is no address.")
    if word not in ROLES:
        raise ValueError(f"“{word[:40]}” is no role; one of lead, member, reviewer.")
    return PersonLine(number, name, address, ROLES[word])


def _group(number: int, fields: list[str]) -> GroupLine:
    name, word = fields[0], fields[1].lower()
    if not name:
        raise ValueError("write group, role.")
    if word not in ROLES:
        raise ValueError(f"“{word[:40]}” is no role; one of lead, member, reviewer.")
    if not is_group_name(name):
        raise ValueError(f"a group has 1 to {MAX_GROUP} printable characters.")
    return GroupLine(number, name, ROLES[word])


def _agent(number: int, fields: list[str]) -> AgentLine:
    if len(fields) not in {1, 2}:
        raise ValueError("write name, profile.")
    slug, word = slug_from(fields[0]), fields[1].lower() if len(fields) == 2 and fields[1] else Profile.READER
    if not slug or len(fields[0]) > MAX_NAME:
        raise ValueError("a name has letters or digits.")
    if word not in list(Profile):
        raise ValueError(f"“{word[:40]}” is no profile; one of {', '.join(Profile)}.")
    return AgentLine(number, fields[0], slug, Profile(word))
