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
    UNSIGNED = "unsigned"
    EXPIRED = "expired"
    OTHER_RULES = "other_rules"
    LOWERED = "lowered"
    PROVEN = "proven"
    APPROVED = "approved"
    NOT_PROVEN = "not_proven"


SENTENCES: Final[Mapping[Because, str]] = {
    Because.UNMEASURED: "It was never measured.",
    Because.UNSIGNED: "The record that is kept was not signed by this installation, or for something else.",
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
    signed: bool = True,
    commits_since: int = 0,
) -> Standing:
    """Returns the pattern that holds at a moment. Only a signed record that holds gives more than interactive.

    Who has the public key says whether the record is signed; nobody dispatches work without having looked. An approval is looked at together with the record of the moment: it stands in for what was not run, and falls with
    a file that is gone or a run that failed since. Who has the repository at hand says how many commits it is ahead.
    """
    against = _against(record, lowered=lowered, at=at, signed=signed, commits_since=commits_since)
    if against is not None or not record:
        return Standing(Pattern.INTERACTIVE, against or Because.UNMEASURED)
    ends = datetime.fromisoformat(str(record["expires"]))
    if record.get("pattern") == Pattern.DARK_FACTORY:
        return Standing(Pattern.DARK_FACTORY, Because.PROVEN, ends)
    if approved_until is not None and at < approved_until and not hindrance_of(record):
        return Standing(Pattern.DARK_FACTORY, Because.APPROVED, min(ends, approved_until))
    return Standing(Pattern.INTERACTIVE, Because.NOT_PROVEN, ends)


def _against(
    record: Mapping[str, object] | None, *, lowered: bool, at: datetime, signed: bool, commits_since: int
) -> Because | None:
    """Returns why nothing of the record counts, or None when it does."""
    if not record:
        return Because.UNMEASURED
    if not signed:
        return Because.UNSIGNED
    if not holds(record, now=at, commits_since=commits_since):
        return Because.OTHER_RULES if record.get("rule_version") != rule_version() else Because.EXPIRED
    return Because.LOWERED if lowered else None


def hindrance_of(record: Mapping[str, object]) -> str:
    """Returns what no approval stands in for in a record, as one sentence; empty when it could be approved."""
    files, executed = states_of(record)
    return hindrance(judge(files, executed), executed)
