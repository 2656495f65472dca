"""Which changes of a fork are kept whatever the figures say: what a regulatory domain demands is never randomised away."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from blueprints.forks.derivation import target


def kept_by_policy(operations: Iterable[Mapping[str, Any]], regulated: Collection[str]) -> list[tuple[str, str]]:
    """Returns the targets of the operations that add regulatory proof; `regulated` are ids of regulatory checks.

    Such are: a check of that id, a `validate` node that runs one, and, where the team is regulated at all, a node in
    which a person approves.
    """
    return [target(operation) for operation in operations if _adds_proof(operation, regulated)]


def _adds_proof(operation: Mapping[str, Any], regulated: Collection[str]) -> bool:
    if operation["op"] == "add_check":
        return operation["item"]["id"] in regulated
    if operation["op"] == "add_node":
        node = operation["item"]
        if node["kind"] == "approve":
            return bool(regulated)
        return node["kind"] == "validate" and not set(regulated).isdisjoint(node["checks"])
    if operation["op"] == "set_field" and operation["path"].endswith("/checks"):
        value = operation["value"]
        return isinstance(value, list) and any(check in regulated for check in value if isinstance(check, str))
    return False
