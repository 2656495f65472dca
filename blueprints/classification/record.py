"""The record that is signed: what was measured, of which commit, by which rules, and until when it holds."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from blueprints.classification.rules import VALID_COMMITS, VALID_DAYS, rule_version
from blueprints.classification.signals import Executed, State
from blueprints.classification.survey import Classification
from kernel.canonical import canonical_json, digest
from kernel.clock import timestamp
from kernel.errors import Conflict

TYPE: Final = "hanse-classification-1"
_STATES: Final = frozenset(state.value for state in State)
_EXECUTED: Final = frozenset(state.value for state in Executed)


def make_record(classification: Classification, *, repository: str) -> dict[str, object]:
    """Returns the record of one classification. Without a commit there is nothing that it could speak of.

    It expires with the first of: 30 days, 200 commits, other rules, and the age of the executed report.
    """
    if classification.commit is None:
        raise Conflict("A classification without a commit cannot be recorded.")
    report = classification.report
    begin = classification.at
    if report is not None:
        begin = min(begin, datetime.fromisoformat(report.document["at"]))
    return {
        "type": TYPE,
        "repository": repository,
        "commit": classification.commit,
        "rule_version": rule_version(),
        "pattern": classification.judgement.pattern.value,
        "level": classification.judgement.level,
        "signals": {
            **{name: item.state.value for name, item in classification.findings.items()},
            **{name: state.value for name, state in classification.executed.items()},
        },
        "facts_sha256": digest(classification.as_json()),
        "executed_sha256": digest(report.document) if report is not None else None,
        "at": timestamp(classification.at),
        "expires": timestamp(begin + timedelta(days=VALID_DAYS)),
        "expires_after_commits": VALID_COMMITS,
    }


def bytes_to_sign(record: Mapping[str, object]) -> bytes:
    """Returns the bytes that a signature is made over: the type as a first line, then the canonical JSON."""
    return TYPE.encode() + b"\n" + canonical_json(dict(record))


def states_of(record: Mapping[str, object]) -> tuple[dict[str, State], dict[str, Executed]]:
    """Returns the signals of a record, those of files and those that were executed. What cannot be read counts as absent."""
    signals = record.get("signals")
    said = signals if isinstance(signals, Mapping) else {}
    files = {name: State(word) for name, word in said.items() if word in _STATES}
    executed = {name: Executed(word) for name, word in said.items() if word in _EXECUTED}
    return files, executed


def holds(record: Mapping[str, object], *, now: datetime, commits_since: int) -> bool:
    """Tells whether a record still speaks for its repository. The signature is checked by who has the key."""
    try:
        begin, end = (datetime.fromisoformat(str(record.get(name))) for name in ("at", "expires"))
        in_time = begin <= now + timedelta(minutes=5) and now < end
    except (ValueError, TypeError):  # no time, or one without a zone
        return False
    same_rules = record.get("type") == TYPE and record.get("rule_version") == rule_version()
    return in_time and same_rules and 0 <= commits_since < VALID_COMMITS
