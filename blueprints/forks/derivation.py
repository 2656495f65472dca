"""From two documents back to the overlay: the fewest operations that make the one of the other, always in one order."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from blueprints.forks.keyed import KEYS, Keyed, Path, common, keyed, same, value_at
from blueprints.forks.operations import NAMES
from blueprints.format.findings import pointer
from blueprints.format.shapes import ABSENT

UNSAID: Final = "Derived from two documents; nobody has given a reason."
Operation = dict[str, Any]


def derive(
    base: Mapping[str, Any], document: Mapping[str, Any], *, known: Iterable[Mapping[str, Any]] = ()
) -> list[Operation]:
    """Returns the operations that make `document` of `base`; applied to `base` they give exactly its content.

    A reason is taken over from the operation in `known` that is about the same thing.
    """
    old, new = keyed(base), keyed(document)
    reasons = {target(operation): operation["reason"] for operation in known}
    made = [*_removals(old, new), *_fields(old, new), *_placements(old, new)]
    return [{**operation, "reason": reasons.get(target(operation), UNSAID)} for operation in made]


def target(operation: Mapping[str, Any]) -> tuple[str, str]:
    """Returns what an operation is about: its kind of act and the place, whatever value it brings."""
    name = operation["op"]
    verb, _, item = name.partition("_")
    listing = next((path for path, known in NAMES.items() if known == item), None)
    if name == "replace_prompt":
        return "set", pointer(("nodes", operation["node"], "prompt"))
    if listing is None:
        return verb, operation["path"]
    key = operation["item"][KEYS[listing]] if verb == "add" else operation["key"]
    return verb, pointer((*listing, key))


def _removals(old: Keyed, new: Keyed) -> Iterator[Operation]:
    for path, order in old.orders.items():
        for key in order:
            if key not in value_at(new.tree, path):
                yield {"op": f"remove_{NAMES[path]}", "key": key}


def _fields(old: Keyed, new: Keyed) -> Iterator[Operation]:
    yield from _values((), old.tree, new.tree)


def _values(path: Path, old: Any, new: Any) -> Iterator[Operation]:
    if same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            if path not in KEYS or (name in old and name in new):  # items come and go by their own operations
                yield from _values((*path, name), old.get(name, ABSENT), new.get(name, ABSENT))
    elif new is ABSENT:
        yield {"op": "remove_field", "path": pointer(path)}
    elif _is_prompt(path) and old is not ABSENT:
        yield {"op": "replace_prompt", "node": path[1], "prompt": new}
    else:
        yield {"op": "set_field", "path": pointer(path), "value": new}


def _is_prompt(path: Path) -> bool:
    return len(path) == 3 and path[0] == "nodes" and path[2] == "prompt"


def _placements(old: Keyed, new: Keyed) -> Iterator[Operation]:
    """Adds and moves from the top down: when its turn comes, what an item stands after is already in its place."""
    for path, order in new.orders.items():
        items = value_at(new.tree, path)
        staying = set(_longest_run(common(old.orders[path], order), order))
        before = None
        for key in order:
            place: dict[str, Any] = {} if before is None else {"after": before}
            if key not in old.orders[path]:
                yield {"op": f"add_{NAMES[path]}", "item": items[key], **place}
            elif key not in staying:
                yield {"op": f"move_{NAMES[path]}", "key": key, **place}
            before = key


def _longest_run(kept: list[str], order: list[str]) -> list[str]:
    """Returns the most keys that can stay where they are: the longest increasing subsequence of their new places."""
    place = {key: number for number, key in enumerate(order)}
    tails: list[int] = []
    ends: list[str] = []
    before: dict[str, str | None] = {}
    for key in kept:
        at = bisect_left(tails, place[key])
        before[key] = ends[at - 1] if at else None
        if at == len(tails):
            tails.append(place[key])
            ends.append(key)
        else:
            tails[at], ends[at] = place[key], key
    run: list[str] = []
    last = ends[-1] if ends else None
    while last is not None:
        run.append(last)
        last = before[last]
    return run[::-1]
