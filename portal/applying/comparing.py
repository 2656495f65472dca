"""What every maker of things asks: where something is that a file names, and what of it is otherwise than written."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kernel.errors import Invalid, NotFound
from tenants.principals import SYSTEM

Changes = Iterator[str]


def named(key: str, find: Callable[[Any, str], Any], name: str) -> Any:
    """Returns the thing that a key names; what cannot be found is a fault of that key."""
    try:
        return find(SYSTEM, name)
    except NotFound as error:
        raise Invalid("It names something that is not there.", errors={key: [f"“{name}”: {error.message}"]}) from error


def differing(row: object, wanted: Mapping[str, Any]) -> Changes:
    """Yields what is otherwise than it should be, one line each."""
    for name, value in wanted.items():
        present = getattr(row, name)
        if present != value:
            yield f"{name} {present!r} -> {value!r}"
