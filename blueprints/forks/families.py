"""Families: the same change in several forks, found by its content. What many teams need by themselves belongs above."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from blueprints.forks.derivation import derive
from kernel.canonical import digest

_NOT_CONTENT: Final = frozenset({"reason", "after"})
_PARAMETERS: Final = frozenset(
    {"minutes", "max_turns", "max_visits", "expires_hours", "max", "width", "retries", "default"}
)


@dataclass(frozen=True, slots=True)
class Family:
    """One change and the forks that make it, by name in order."""

    digest: str
    operation: dict[str, Any]
    forks: tuple[str, ...]


def change_digest(operation: Mapping[str, Any]) -> str:
    """Returns the digest of what an operation changes; its reason and the neighbour it was put behind do not count."""
    return digest({name: value for name, value in operation.items() if name not in _NOT_CONTENT})


def families(forks: Mapping[str, Iterable[Mapping[str, Any]]], *, least: int = 2) -> list[Family]:
    """Returns the changes that at least so many forks make, the most frequent first; `forks` are operations by name."""
    members: dict[str, set[str]] = {}
    shown: dict[str, dict[str, Any]] = {}
    for name in sorted(forks):
        for operation in forks[name]:
            key = change_digest(operation)
            members.setdefault(key, set()).add(name)
            shown.setdefault(key, {field: value for field, value in operation.items() if field not in _NOT_CONTENT})
    found = [Family(key, shown[key], tuple(sorted(names))) for key, names in members.items() if len(names) >= least]
    return sorted(found, key=lambda family: (-len(family.forks), family.digest))


def only_parameters(operations: Iterable[Mapping[str, Any]]) -> bool:
    """Tells whether a fork sets nothing but caps, budget and defaults: it should be configuration, not a fork."""
    listed = list(operations)
    return bool(listed) and all(
        operation["op"] == "set_field" and _is_parameter(operation["path"]) for operation in listed
    )


def _is_parameter(path: str) -> bool:
    return path.startswith("/budget/") or (
        path.startswith(("/nodes/", "/inputs/")) and not _PARAMETERS.isdisjoint(path.split("/")[3:])
    )


def detached(base: Mapping[str, Any], document: Mapping[str, Any], *, share: float = 0.5) -> bool:
    """Tells whether so little of the base is left in a full copy that following its versions means nothing."""
    kept = {node["id"] for node in base["nodes"]} & {node["id"] for node in document["nodes"]}
    return len(kept) < share * len(base["nodes"]) or len(derive(base, document)) > 4 * len(base["nodes"])
