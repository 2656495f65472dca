"""A blueprint by keys: lists whose items have names become mappings, so that a place survives any reordering.

The header (`document`) says whose document it is. It is not content: no operation, difference or number looks at it.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from blueprints.format.shapes import ABSENT

KEYS: Final[dict[tuple[str, ...], str]] = {
    ("nodes",): "id",
    ("checks",): "id",
    ("permissions", "tools"): "name",
    ("permissions", "writes"): "kind",
    ("preconditions",): "signal",
}
"""The lists whose items are told apart by a field, and that field."""

HEADER: Final = ("blueprint", "document")
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keyed:
    """The content of a document with mappings for its keyed lists, and the order of each of those lists."""

    tree: dict[str, Any]
    orders: dict[Path, list[str]]


def keyed(document: Mapping[str, Any]) -> Keyed:
    """Returns the content of a document of the right shape by keys; it is copied, never shared."""
    tree = {name: copy.deepcopy(value) for name, value in document.items() if name not in HEADER}
    orders: dict[Path, list[str]] = {}
    tree.setdefault("preconditions", [])
    for path, key in KEYS.items():
        holder = value_at(tree, path[:-1])
        items = holder[path[-1]]
        orders[path] = [item[key] for item in items]
        holder[path[-1]] = {item[key]: item for item in items}
    return Keyed(tree, orders)


def listed(header: Mapping[str, Any], content: Keyed) -> dict[str, Any]:
    """Returns the document with its lists again: the inverse of `keyed`, given the header."""
    tree = copy.deepcopy(content.tree)
    for path in KEYS:
        holder = value_at(tree, path[:-1])
        holder[path[-1]] = [holder[path[-1]][name] for name in content.orders[path]]
    if not tree["preconditions"]:
        del tree["preconditions"]  # the format has no empty list of them
    return {**copy.deepcopy(dict(header)), **tree}


def header_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a document that is not content."""
    return {name: document[name] for name in HEADER if name in document}


def value_at(tree: Any, path: Sequence[str]) -> Any:
    """Returns the value at a path, or `ABSENT`."""
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return ABSENT
        tree = tree[part]
    return tree


def same(one: Any, other: Any) -> bool:
    """Tells whether two JSON values are equal. Python's `==` says that 1 is true; JSON does not."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def common(order: Iterable[str], *others: Iterable[str]) -> list[str]:
    """Returns the keys of `order` that all the others have, too, in its order."""
    kept = [set(other) for other in others]
    return [key for key in order if all(key in other for other in kept)]


def unit_of(path: Path) -> Path:
    """Returns what a person would call one changed thing: a node, a check, a grant, or one field of a section."""
    for size in (1, 2):
        if path[:size] in KEYS:
            return path[: size + 1]
    return path[:2]
