"""The operations of an overlay: typed, on names and not on positions, each with the reason of the person who made it."""

import copy
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from blueprints.forks.keyed import KEYS, Keyed, header_of, keyed, listed, value_at
from blueprints.format import schema
from blueprints.format.findings import MAX_FAULTS, Finding, Path, fault, pointer, steps
from blueprints.format.shapes import Choice, Kinds, Many, Record, Shape, Text, nearest

LISTS: Final[dict[str, tuple[str, ...]]] = {
    "node": ("nodes",),
    "check": ("checks",),
    "tool": ("permissions", "tools"),
    "write": ("permissions", "writes"),
    "precondition": ("preconditions",),
}
"""What operations add, remove and move, and the list that holds it."""

NAMES: Final = {path: name for name, path in LISTS.items()}


class _Anything:
    """Any JSON value: what it must be is known when it stands in its place."""

    def check(self, value: Any, path: Path) -> Iterable[Finding]:
        return ()

    def schema(self) -> dict[str, Any]:
        return {}


_FIELD: Final = Text(
    most=500, pattern=r"(?:/(?:[^~]|~[01])+)+", form="a JSON pointer over names, such as /nodes/plan/max_turns"
)
_KEY: Final = Text(most=160)
_REASON: Final = Text(least=3, most=500)


def _operation(name: str, fields: dict[str, Any], optional: dict[str, Any] | None = None) -> Record:
    return Record(required={"op": Choice((name,)), **fields, "reason": _REASON}, optional=optional or {})


def _operations() -> dict[str, Record]:
    items: dict[str, Shape] = {
        "node": schema.NODE,
        "check": schema.CHECK,
        "tool": schema.GRANT,
        "write": schema.WRITE_GRANT,
        "precondition": schema.PRECONDITION,
    }
    made = {
        "set_field": _operation("set_field", {"path": _FIELD, "value": _Anything()}),
        "remove_field": _operation("remove_field", {"path": _FIELD}),
        "replace_prompt": _operation("replace_prompt", {"node": schema.IDENT, "prompt": schema.PROSE}),
    }
    for name, item in items.items():
        made[f"add_{name}"] = _operation(f"add_{name}", {"item": item}, {"after": _KEY})
        made[f"remove_{name}"] = _operation(f"remove_{name}", {"key": _KEY})
        made[f"move_{name}"] = _operation(f"move_{name}", {"key": _KEY}, {"after": _KEY})
    return made


OVERLAY: Final = Record(
    required={
        "overlay": Choice((1,)),
        "document": schema.HEADER,
        "base": Record(required={"ref": schema.REF, "digest": schema.SHA256}),
        "operations": Many(of=Kinds(tag="op", of=_operations()), most=500),
    },
)


class OverlayRefused(Exception):
    """The overlay cannot be applied to this base; `findings` name each operation that cannot."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


class _Missing(Exception):
    """One operation does not fit; carries code, message and remedy."""


def is_overlay(document: Any) -> bool:
    """Tells whether a document is meant as an overlay."""
    return isinstance(document, dict) and "overlay" in document


def check_overlay(document: Any) -> list[Finding]:
    """Returns every way in which an overlay is not of the format."""
    return list(islice(OVERLAY.check(document, ()), MAX_FAULTS))


def resolve(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the document that an overlay of the right shape makes of its base. Raises `OverlayRefused`."""
    header = {**header_of(base), "document": overlay["document"]}
    return apply(base, overlay["operations"], header=header)


def apply(
    base: Mapping[str, Any], operations: Iterable[Mapping[str, Any]], *, header: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Returns the base after all operations, in their order. All that do not fit are named at once."""
    content = keyed(base)
    refused: list[Finding] = []
    for place, operation in enumerate(operations):
        try:
            _apply_one(content, operation)
        except _Missing as missing:
            code, said, remedy = missing.args
            refused.append(fault(code, ("operations", place), said, remedy))
    if refused:
        raise OverlayRefused(refused)
    return listed(header_of(base) if header is None else header, content)


def _apply_one(content: Keyed, operation: Mapping[str, Any]) -> None:
    verb, _, name = operation["op"].partition("_")
    if name in LISTS:
        doing: dict[str, Callable[[Keyed, tuple[str, ...], Mapping[str, Any]], None]]
        doing = {"add": _add, "remove": _remove, "move": _move}
        doing[verb](content, LISTS[name], operation)
    elif operation["op"] == "replace_prompt":
        node = _item(content, ("nodes",), operation["node"])
        if "prompt" not in node:
            raise _Missing("NO_PROMPT", f"The node {operation['node']!r} has no prompt.", "Name an agent node.")
        node["prompt"] = operation["prompt"]
    else:
        _set_field(content, operation)


def _set_field(content: Keyed, operation: Mapping[str, Any]) -> None:
    path = steps(operation["path"])
    _refuse_names(path)
    holder = value_at(content.tree, path[:-1])
    if not isinstance(holder, dict):
        said = f"There is no {pointer(path[:-1]) or '/'} with fields in this base."
        raise _Missing("NO_SUCH_PLACE", said, _known(content, path[:-1]))
    if operation["op"] == "set_field":
        holder[path[-1]] = copy.deepcopy(operation["value"])
    elif path[-1] in holder:
        del holder[path[-1]]
    else:
        raise _Missing("NO_SUCH_PLACE", f"There is no {pointer(path)} in this base.", "Remove the operation.")


def _refuse_names(path: tuple[str, ...]) -> None:
    """A field operation changes no name, no whole list, no whole item and no header: there are operations for those."""
    if path[0] in {"document", "blueprint"}:
        raise _Missing(
            "NOT_CONTENT", f"{pointer(path)} belongs to the header.", "Write it in the overlay's `document`."
        )
    for listing, key in KEYS.items():
        inside = path[: len(listing)] == listing
        if path == listing[: len(path)] or (
            inside and (len(path) == len(listing) + 1 or path[len(listing) + 1 :] == (key,))
        ):
            name = NAMES[listing]
            raise _Missing(
                "WRONG_OPERATION", f"{pointer(path)} is no single field.", f"Use add_, remove_ or move_{name}."
            )


def _known(content: Keyed, path: tuple[str, ...]) -> str:
    for size in range(len(path), 0, -1):
        above = value_at(content.tree, path[: size - 1])
        if isinstance(above, dict) and path[size - 1] not in above:
            return nearest(path[size - 1], above)
    return "Name a field of a section or of a node."


def _add(content: Keyed, path: tuple[str, ...], operation: Mapping[str, Any]) -> None:
    item = copy.deepcopy(dict(operation["item"]))
    name = item[KEYS[path]]
    items = value_at(content.tree, path)
    if name in items:
        raise _Missing(
            "ALREADY_THERE", f"There already is {name!r} in {pointer(path)}.", "Use set_field, or another name."
        )
    _place(content, path, name, operation.get("after"))
    items[name] = item


def _remove(content: Keyed, path: tuple[str, ...], operation: Mapping[str, Any]) -> None:
    _item(content, path, operation["key"])
    del value_at(content.tree, path)[operation["key"]]
    content.orders[path].remove(operation["key"])


def _move(content: Keyed, path: tuple[str, ...], operation: Mapping[str, Any]) -> None:
    _item(content, path, operation["key"])
    if operation.get("after") == operation["key"]:
        raise _Missing("NO_SUCH_PLACE", "Nothing can stand after itself.", "Name another one.")
    content.orders[path].remove(operation["key"])
    try:
        _place(content, path, operation["key"], operation.get("after"))
    except _Missing:
        content.orders[path].append(operation["key"])
        raise


def _place(content: Keyed, path: tuple[str, ...], name: str, after: str | None) -> None:
    order = content.orders[path]
    if after is not None and after not in order:
        raise _Missing(
            "NO_SUCH_ITEM", f"There is no {after!r} in {pointer(path)} to stand after.", nearest(after, order)
        )
    order.insert(0 if after is None else order.index(after) + 1, name)


def _item(content: Keyed, path: tuple[str, ...], name: str) -> dict[str, Any]:
    items = value_at(content.tree, path)
    if not isinstance(items, dict) or name not in items:
        remedy = nearest(name, items) if isinstance(items, dict) and items else "There are none."
        raise _Missing("NO_SUCH_ITEM", f"There is no {name!r} in {pointer(path)} of this base.", remedy)
    found: dict[str, Any] = items[name]
    return found
