"""What only running a repository can tell. Hanse's sandboxes make this report; here it is checked and judged.

A report says what happened in figures; whether that is a pass is decided here, so "passed" cannot merely be claimed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jsonschema_rs

from blueprints.classification.rules import MIN_CATCH_PERCENT, MIN_MUTANTS, VALID_DAYS
from blueprints.classification.signals import EXECUTED_SIGNALS, Executed
from blueprints.classification.tree import show
from kernel.errors import Invalid

MAX_REPORT: Final = 64 * 1024

_COUNT: Final = {"type": "integer", "minimum": 0, "maximum": 10_000_000}
_COMMAND: Final = {"type": "string", "minLength": 1, "maxLength": 2000}
_SECONDS: Final = {"type": "number", "minimum": 0, "maximum": 1_000_000}
_COMMIT: Final = "^([0-9a-f]{40}|[0-9a-f]{64})$"


def _closed(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _ran(**fields: Any) -> dict[str, Any]:
    """A signal that was not run says only that; one that ran says with which figures."""
    return {
        "oneOf": [
            _closed({"state": {"const": "not_run"}}),
            _closed({"state": {"enum": ["passed", "failed"]}, **fields}, {"seconds": _SECONDS}),
        ]
    }


_RUN: Final = _closed(
    {"passed": _COUNT, "failed": _COUNT, "skipped": _COUNT, "outcomes": {"type": "string", "pattern": "^[0-9a-f]{64}$"}}
)
SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Executed signals of one commit",
    **_closed(
        {
            "executed": {"const": 1},
            "commit": {"type": "string", "pattern": _COMMIT},
            "at": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$"},
            "runner": _closed(
                {
                    "driver": {"type": "string", "minLength": 1, "maxLength": 100},
                    "kernel": {"enum": ["shared", "userspace", "own"]},
                    "network": {"enum": ["none", "gateway"]},
                }
            ),
            "setup": _ran(command=_COMMAND),
            "tests": _ran(command=_COMMAND, runs={"type": "array", "items": _RUN, "minItems": 1, "maxItems": 10}),
            "mutation": _ran(tried=_COUNT, caught=_COUNT),
            "lint": _ran(command=_COMMAND, findings=_COUNT),
        }
    ),
}
_VALIDATOR: Final = jsonschema_rs.Draft202012Validator(SCHEMA)


@dataclass(frozen=True, slots=True)
class Report:
    """A report that keeps to the schema, speaks of the asked commit, and is not too old."""

    document: Mapping[str, Any]

    def state(self, name: str) -> Executed:
        """Returns the state of one part as its figures say it; a claimed pass without the figures has failed."""
        part = self.document[name]
        if part["state"] != Executed.PASSED:
            return Executed(part["state"])
        return Executed.PASSED if _PASSES[name](part) else Executed.FAILED


def _tests_pass(part: Mapping[str, Any]) -> bool:
    runs = part["runs"]
    green = all(run["passed"] > 0 and run["failed"] == 0 for run in runs)
    return green and len(runs) >= 2 and all(run == runs[0] for run in runs)


def _mutants_are_caught(part: Mapping[str, Any]) -> bool:
    tried, caught = part["tried"], part["caught"]
    return bool(tried >= MIN_MUTANTS and caught <= tried and 100 * caught >= MIN_CATCH_PERCENT * tried)


def _lint_is_clean(part: Mapping[str, Any]) -> bool:
    return bool(part["findings"] == 0)


def _ran_at_all(part: Mapping[str, Any]) -> bool:
    return bool(part["command"])


_PASSES: Final = {
    "setup": _ran_at_all,
    "tests": _tests_pass,
    "mutation": _mutants_are_caught,
    "lint": _lint_is_clean,
}


def read_report(path: Path, *, commit: str | None, now: datetime) -> Report:
    """Returns the report in a file. A link or a pipe is read like any file of the caller; its size is bounded."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_REPORT + 1)
    except (OSError, ValueError) as error:
        raise Invalid(f"{show(str(path))} cannot be read: {getattr(error, 'strerror', error)}.") from error
    if len(data) > MAX_REPORT:
        raise Invalid(f"{show(str(path))} is larger than {MAX_REPORT} bytes.")
    return parse_report(data, commit=commit, now=now)


def parse_report(data: bytes, *, commit: str | None, now: datetime) -> Report:
    """Returns a checked report. Twice the same key, an unknown key, another commit or an old report are refused."""
    try:
        document = json.loads(data, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"The report of executed signals is not JSON: {show(str(error))}.") from error
    fault = next(_VALIDATOR.iter_errors(document), None)
    if fault is not None:
        place = "/".join(str(step) for step in fault.instance_path) or "the report"
        raise Invalid(f"The report of executed signals does not keep to its schema at {show(place)}.")
    if document["commit"] != commit:
        raise Invalid(
            f"The report speaks of commit {document['commit'][:12]}, the checkout is at {(commit or 'none')[:12]}."
        )
    _check_age(document["at"], now)
    return Report(document)


def _check_age(at: str, now: datetime) -> None:
    try:
        made = datetime.fromisoformat(at)
    except ValueError as error:
        raise Invalid("The report's time is no time.") from error
    if made > now + timedelta(minutes=5):
        raise Invalid("The report comes from the future.")
    if made < now - timedelta(days=VALID_DAYS):
        raise Invalid(f"The report is older than {VALID_DAYS} days.")


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")
    return made


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def executed_states(report: Report | None, instructed: list[str]) -> dict[str, Executed]:
    """Returns the state of every executed signal; without a report nothing was run."""
    if report is None:
        return {signal.name: Executed.NOT_RUN for signal in EXECUTED_SIGNALS}
    states = {f"executed.{name}": report.state(name) for name in _PASSES}
    ran = report.document["tests"].get("command")
    same = Executed.PASSED if ran in instructed else Executed.FAILED
    return {**states, "executed.as_instructed": same if ran else Executed.NOT_RUN}
