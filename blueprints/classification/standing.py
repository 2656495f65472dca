"""What a repository may be used for at a moment: one pure answer for pages, REST and whoever dispatches work."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from blueprints.classification.record import holds, states_of
from blueprints.classification.rules import Pattern, hindrance, judge, rule_version


class Because(StrEnum):
    """Why a pattern is what it is."""

    UNMEASURED = "unmeasured"
    EXPIRED = "expired"
    OTHER_RULES = "other_rules"
    LOWERED = "lowered"
    PROVEN = "proven"
    APPROVED = "approved"
    NOT_PROVEN = "not_proven"


SENTENCES: Final[Mapping[Because, str]] = {
    Because.UNMEASURED: "It was never measured.",
    Because.EXPIRED: "What was measured is too old to speak for it.",
    Because.OTHER_RULES: "It was measured by rules that are no longer those of this installation.",
    Because.LOWERED: "Somebody lowered it; an approval lifts that.",
    Because.PROVEN: "Everything that it needs was measured, executed signals included.",
    Because.APPROVED: "Its files give all they can, and somebody else approved it for a while.",
    Because.NOT_PROVEN: "Not everything that a dark factory needs was measured.",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """The pattern at a moment, why, and when it ends by itself."""

    pattern: Pattern
    because: Because
    until: datetime | None = None

    @property
    def sentence(self) -> str:
        """Why, for people."""
        return SENTENCES[self.because]


def standing(
    record: Mapping[str, object] | None,
    *,
    lowered: bool,
    approved_until: datetime | None,
    at: datetime,
    commits_since: int = 0,
) -> Standing:
    """Returns the pattern that holds at a moment. Only a record that holds gives more than interactive.

    An approval is looked at together with the record of the moment: it stands in for what was not run, and falls with
    a file that is gone or a run that failed since. Who has the repository at hand says how many commits it is ahead.
    """
    if not record:
        return Standing(Pattern.INTERACTIVE, Because.UNMEASURED)
    if not holds(record, now=at, commits_since=commits_since):
        changed = record.get("rule_version") != rule_version()
        return Standing(Pattern.INTERACTIVE, Because.OTHER_RULES if changed else Because.EXPIRED)
    if lowered:
        return Standing(Pattern.INTERACTIVE, Because.LOWERED)
    ends = datetime.fromisoformat(str(record["expires"]))
    if record.get("pattern") == Pattern.DARK_FACTORY:
        return Standing(Pattern.DARK_FACTORY, Because.PROVEN, ends)
    if approved_until is not None and at < approved_until and not hindrance_of(record):
        return Standing(Pattern.DARK_FACTORY, Because.APPROVED, min(ends, approved_until))
    return Standing(Pattern.INTERACTIVE, Because.NOT_PROVEN, ends)


def hindrance_of(record: Mapping[str, object]) -> str:
    """Returns what no approval stands in for in a record, as one sentence; empty when it could be approved."""
    files, executed = states_of(record)
    return hindrance(judge(files, executed), executed)
