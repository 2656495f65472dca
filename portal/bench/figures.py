"""What a bench reports: figures with their targets, beside the machine they were measured on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["met", "floor", "missed", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number. `at_most` tells which side of the target is the good one; no target means for information."""

    name: str
    value: float
    unit: str
    target: float | None = None
    floor: float | None = None
    at_most: bool = True
    digits: int = 2

    @property
    def verdict(self) -> Verdict:
        """Returns whether the target is met, at least the first floor is, or neither."""
        if self.target is None:
            return ""
        if self._reaches(self.target):
            return "met"
        return "floor" if self.floor is not None and self._reaches(self.floor) else "missed"

    def as_dict(self) -> dict[str, object]:
        """Returns the figure for machines."""
        return {
            "name": self.name,
            "value": round(self.value, self.digits),
            "unit": self.unit,
            "target": self._bound(self.target),
            "floor": self._bound(self.floor),
            "verdict": self.verdict,
        }

    def as_row(self) -> tuple[str, str, str, str]:
        """Returns name, value, target and verdict as text."""
        return (
            self.name,
            f"{self.value:,.{self.digits}f} {self.unit}".strip(),
            self._bound(self.target) or "",
            self.verdict,
        )

    def _reaches(self, bound: float) -> bool:
        return self.value <= bound if self.at_most else self.value >= bound

    def _bound(self, bound: float | None) -> str | None:
        return None if bound is None else f"{'<=' if self.at_most else '>='} {bound:,.{self.digits}f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one bench, the machine in the minute of the measuring, and what must be known to read them."""

    bench: str
    machine: dict[str, object]
    figures: Sequence[Figure]
    notes: Sequence[str] = field(default=())

    def as_dict(self) -> dict[str, object]:
        """Returns the report for machines."""
        return {
            "bench": self.bench,
            "machine": self.machine,
            "figures": [figure.as_dict() for figure in self.figures],
            "notes": list(self.notes),
        }

    def as_text(self) -> str:
        """Returns the report as a table for people."""
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        rows = [("figure", self.bench, "target", "verdict"), *(figure.as_row() for figure in self.figures)]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([machine, *(line.rstrip() for line in lines), *(f"- {note}" for note in self.notes)])
