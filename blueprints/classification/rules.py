"""The decision: signals in, level and pattern out. Pure, and monotone: a better signal never lowers what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from blueprints.classification.signals import CATALOGUE, EXECUTED_SIGNALS, LEVELS, Executed, State
from kernel.canonical import digest
from kernel.errors import Forbidden, Invalid

PROVEN: Final = 4
GUARDED: Final = 3
MIN_MUTANTS: Final = 10
MIN_CATCH_PERCENT: Final = 60
VALID_DAYS: Final = 30
VALID_COMMITS: Final = 200

CAPS: Final[Mapping[str, int]] = {
    # Files may promise tests; a run that failed has shown that the promise does not hold.
    "executed.setup": 2,
    "executed.tests": 1,
    "executed.mutation": 1,
    "executed.lint": GUARDED,
    "executed.as_instructed": GUARDED,
}


class Pattern(StrEnum):
    """How agents may work on a repository."""

    DARK_FACTORY = "dark-factory"
    INTERACTIVE = "interactive-assistant"


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing to do, and the level that needs it."""

    signal: str
    level: int
    state: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the signals amount to."""

    pattern: Pattern
    level: int
    missing: tuple[Missing, ...]


def rule_version() -> str:
    """Returns the version of these rules; it changes by itself when a signal, its level or a threshold changes."""
    said = {name: [signal.level, signal.says] for name, signal in CATALOGUE.items()}
    return f"1-{digest([said, dict(CAPS), MIN_MUTANTS, MIN_CATCH_PERCENT, VALID_DAYS, VALID_COMMITS])[:12]}"


def judge(files: Mapping[str, State], executed: Mapping[str, Executed]) -> Judgement:
    """Returns pattern, level and what is missing. A signal that is not given counts as not met or not run."""
    level = min(_reached(files, executed), *(_cap(name, executed) for name in CAPS))
    pattern = Pattern.DARK_FACTORY if level >= PROVEN else Pattern.INTERACTIVE
    return Judgement(pattern, level, _missing(files, executed))


def _reached(files: Mapping[str, State], executed: Mapping[str, Executed]) -> int:
    """The highest level of which, and of all below which, every signal holds."""
    lacking = {signal.level for name, signal in CATALOGUE.items() if not _holds(name, files, executed)}
    return min(lacking, default=len(LEVELS)) - 1


def _holds(name: str, files: Mapping[str, State], executed: Mapping[str, Executed]) -> bool:
    if name.startswith("executed."):
        return executed.get(name) == Executed.PASSED
    return files.get(name) == State.MET


def _cap(name: str, executed: Mapping[str, Executed]) -> int:
    return CAPS[name] if executed.get(name) == Executed.FAILED else len(LEVELS) - 1


def _missing(files: Mapping[str, State], executed: Mapping[str, Executed]) -> tuple[Missing, ...]:
    """Most valuable first: what has failed holds back the most, then level by level in the catalogue's order."""
    lacking = [signal for name, signal in CATALOGUE.items() if not _holds(name, files, executed)]
    lacking.sort(key=lambda signal: min(signal.level, _cap(signal.name, executed)))
    return tuple(
        Missing(signal.name, signal.level, _state_of(signal.name, files, executed), signal.remedy) for signal in lacking
    )


def _state_of(name: str, files: Mapping[str, State], executed: Mapping[str, Executed]) -> str:
    if name.startswith("executed."):
        return executed.get(name, Executed.NOT_RUN).value
    return files.get(name, State.UNKNOWN).value


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval event: who asked, who agreed, why, and until when."""

    asked_by: str
    approved_by: str
    reason: str
    until: datetime


def lower(current: Pattern, wanted: Pattern) -> Pattern:
    """Returns the pattern that a person alone may set: the same one or the more careful one."""
    if wanted == Pattern.DARK_FACTORY and current != Pattern.DARK_FACTORY:
        raise Forbidden("A person alone may only lower the pattern; raising it needs an approval.", missing="approval")
    return wanted


def raise_pattern(
    judgement: Judgement, executed: Mapping[str, Executed], *, approval: Approval, now: datetime
) -> Pattern:
    """Returns dark-factory when somebody else agreed, and the files give it all they can give.

    An approval stands in for runs that were not made. It never stands in for a run that failed or for a missing file.
    """
    if not approval.reason.strip():
        raise Invalid("An approval says why.", errors={"reason": ["This is empty."]})
    if not approval.approved_by or approval.approved_by == approval.asked_by:
        raise Forbidden("Nobody approves what they asked for themselves.", missing="approval by somebody else")
    if approval.until <= now:
        raise Forbidden("The approval has expired.", missing="approval that holds")
    hindered = hindrance(judgement, executed)
    if hindered:
        raise Forbidden(hindered)
    return Pattern.DARK_FACTORY


def hindrance(judgement: Judgement, executed: Mapping[str, Executed]) -> str:
    """Returns what no approval stands in for, as one sentence; empty when there is nothing of the kind."""
    failed = [signal.name for signal in EXECUTED_SIGNALS if executed.get(signal.name) == Executed.FAILED]
    if failed:
        return f"No approval stands in for a run that failed: {', '.join(failed)}."
    lacking = [item.signal for item in judgement.missing if item.level <= PROVEN and item.state != Executed.NOT_RUN]
    if lacking:
        return f"No approval stands in for what the files lack: {', '.join(lacking)}."
    return ""
