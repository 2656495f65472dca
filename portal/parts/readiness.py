"""What a repository lacks, as people read it: step by step to the next level, with what was seen beside each step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from blueprints.classification.rules import PROVEN
from blueprints.classification.signals import CATALOGUE, LEVELS, Executed
from blueprints.classification.standing import Standing
from blueprints.models import Repository
from blueprints.queries import repositories as queries
from kernel import clock
from kernel.errors import Invalid
from portal.keyring import record_verifier

SHOWN: Final = 5
LEVEL_NOTES: Final = (
    "There is no code of its own, or no commit.",
    "One can see what it is.",
    "Tests assert something, and dependencies are locked.",
    "CI runs the tests on each change; instructions, toolchain and linter are there. All that files can give.",
    "Set-up, tests, mutation smoke and linter were executed and passed: fit for a dark factory.",
    "Everything.",
)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was seen, by its name."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One signal with its state and what was seen; `remedy` is what to do where it does not hold."""

    signal: str
    says: str
    state: str
    level: int | None
    facts: list[Fact]
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done together: what has failed, or what one level needs."""

    title: str
    note: str
    items: list[Seen]
    is_open: bool


def steps_of(findings: Mapping[str, Any]) -> list[Step]:
    """Returns what is missing in the order in which it counts: what failed first, then level by level."""
    signals = findings.get("signals", {})
    missing = [_seen(one["signal"], signals, remedy=one["do"]) for one in findings.get("missing", [])]
    failed = [item for item in missing if item.state == Executed.FAILED]
    steps = [Step("Failed when it was run", "A run that failed takes back what the files promise.", failed, True)]
    for level, name in enumerate(LEVELS):
        items = [item for item in missing if item.level == level and item not in failed]
        is_open = level <= PROVEN and not any(step.items for step in steps[1:])
        steps.append(Step(f"Level {level}, {name}", LEVEL_NOTES[level], items, is_open))
    return [step for step in steps if step.items]


def standing_now(repository: Repository, at: datetime | None = None) -> Standing:
    """Returns what a repository may be used for now, for every page and REST alike: its signature is looked at."""
    try:
        key = record_verifier()
    except Invalid:
        key = None  # nobody can vouch for a record then
    return queries.standing_of(repository, key, at or clock.now())


def signals_of(findings: Mapping[str, Any]) -> list[Seen]:
    """Returns every signal that was looked at, in the order of the catalogue."""
    signals = findings.get("signals", {})
    known = [name for name in CATALOGUE if name in signals]
    return [_seen(name, signals) for name in (*known, *sorted(set(signals) - set(known)))]


def level_name(level: int | None) -> str:
    """Returns the name of a level; empty when none was measured."""
    return LEVELS[level] if level is not None and 0 <= level < len(LEVELS) else ""


def _seen(name: str, signals: Mapping[str, Any], remedy: str = "") -> Seen:
    found = signals.get(name, {})
    known = CATALOGUE.get(name)
    facts = [Fact(key.replace("_", " "), _words(value)) for key, value in found.items() if key != "state"]
    return Seen(
        name,
        known.says if known else "",
        str(found.get("state", "unknown")),
        known.level if known else None,
        [fact for fact in facts if fact.text],
        remedy,
    )


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return _listed([f"{key} {_words(inner)}" for key, inner in value.items()])
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return _listed([_words(one) for one in value])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _listed(words: list[str]) -> str:
    left = len(words) - SHOWN
    return ", ".join(words[:SHOWN]) + (f" and {left} more" if left > 0 else "")
