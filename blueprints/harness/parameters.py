"""Parameters that say in which direction they get stricter, so that stricter is computed and never argued about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

DIRECTIONS: Final = ("up", "down", "lower", "grow", "shrink", "fixed")
"""A greater number, a smaller number, an earlier word of a scale, a larger set, a smaller set; or none at all."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value with its direction; sets are sorted tuples, so that equal parameters are equal."""

    direction: str
    value: Any
    scale: tuple[str, ...] = ()

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "Parameter":
        """Returns the parameter that a document of the right shape writes. Raises `ValueError` when it cannot be one."""
        scale = tuple(written.get("scale", ()))
        if (written["direction"] == "lower") != bool(scale):
            raise ValueError("a scale belongs to the direction 'lower', and only to it")
        return cls(written["direction"], None, scale).holding(written["value"])

    def holding(self, value: Any) -> "Parameter":
        """Returns the same parameter with another value. Raises `ValueError` when the direction cannot order it."""
        if self.direction in {"up", "down"} and type(value) is not int:
            raise ValueError(f"the direction {self.direction!r} orders whole numbers")
        if self.direction == "lower" and value not in self.scale:
            raise ValueError(f"{value!r} is not on the scale {', '.join(self.scale)}")
        if self.direction in {"grow", "shrink"}:
            if not isinstance(value, list | tuple):
                raise ValueError(f"the direction {self.direction!r} orders lists")
            value = tuple(sorted(set(value)))
        elif isinstance(value, list):
            raise ValueError(f"the direction {self.direction!r} orders no lists")
        return Parameter(self.direction, value, self.scale)

    def alike(self, other: "Parameter") -> bool:
        """Tells whether two parameters are ordered in the same way, so that one can be stricter."""
        return (self.direction, self.scale) == (other.direction, other.scale)

    def allows(self, other: "Parameter") -> bool:
        """Tells whether `other` is at least as strict as this one."""
        return self.alike(other) and self.join(other) == other

    def join(self, other: "Parameter") -> "Parameter":
        """Returns the stricter of the two, or what is as strict as both. Of fixed ones the first: ask `agrees` before."""
        mine, theirs = self.value, other.value
        value = mine
        if self.direction == "up":
            value = max(mine, theirs)
        elif self.direction == "down":
            value = min(mine, theirs)
        elif self.direction == "lower":
            value = min(mine, theirs, key=self.scale.index)
        elif self.direction == "grow":
            value = tuple(sorted({*mine, *theirs}))
        elif self.direction == "shrink":
            value = tuple(sorted(set(mine) & set(theirs)))
        return Parameter(self.direction, value, self.scale)

    def agrees(self, other: "Parameter") -> bool:
        """Tells whether the two can be joined: ordered alike, and when fixed, equal (true is not 1)."""
        equal = type(self.value) is type(other.value) and self.value == other.value
        return self.alike(other) and (self.direction != "fixed" or equal)

    def as_dict(self) -> dict[str, Any]:
        """Returns the parameter as a document writes it."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        made = {"direction": self.direction, "value": value}
        return made | ({"scale": list(self.scale)} if self.scale else {})
