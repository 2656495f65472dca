"""One classification: look at a checkout, gather every signal, judge."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from blueprints.classification.checkout import head_commit, locate
from blueprints.classification.executed import Report, executed_states, read_report
from blueprints.classification.history import Committed, History, find_history, is_blob, read_history
from blueprints.classification.locks import declared_tests, find_command, find_locks
from blueprints.classification.pipelines import find_pipelines, read_pipelines
from blueprints.classification.rules import Judgement, judge, rule_version
from blueprints.classification.signals import LEVELS, Executed, Finding, found
from blueprints.classification.suites import count_suite, find_tests, is_foreign, language_of
from blueprints.classification.surroundings import (
    find_conventions,
    find_environment,
    find_safety,
    instructed_commands,
)
from blueprints.classification.tree import Bounds, Tree, read_into, show, walk
from kernel.clock import timestamp

_UNREAD: Final = re.compile(
    r"(?i)\.(png|jpe?g|gif|webp|ico|pdf|zip|gz|jar|woff2?|mp4|lock|lockb|sum)$|(^|/)(package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml)$"
)


@dataclass(frozen=True, slots=True)
class Classification:
    """What was measured of one commit, and by which rules."""

    commit: str | None
    at: datetime
    findings: dict[str, Finding]
    executed: dict[str, Executed]
    report: Report | None
    judgement: Judgement

    def as_json(self) -> dict[str, object]:
        """Returns the result for machines; every name in it is one line of valid Unicode."""
        states = {name: {"state": state.value} for name, state in self.executed.items()}
        signals = {name: {"state": item.state.value, **item.facts} for name, item in self.findings.items()}
        return {
            "pattern": self.judgement.pattern.value,
            "level": self.judgement.level,
            "level_name": LEVELS[self.judgement.level],
            "commit": self.commit,
            "rule_version": rule_version(),
            "at": timestamp(self.at),
            "signals": {**signals, **states},
            "missing": [
                {"signal": item.signal, "level": item.level, "state": item.state, "do": item.remedy}
                for item in self.judgement.missing
            ],
        }


def classify(
    path: Path,
    *,
    now: datetime,
    executed: Path | None = None,
    harness: frozenset[str] = frozenset(),
    bounds: Bounds | None = None,
) -> Classification:
    """Returns what the repository at `path` is fit for. Nothing of it is executed and no link in it is followed.

    `harness` names the regulations (such as `pci`) whose checks are in force for the team; the caller vouches for it.
    """
    checkout = locate(path)
    commit = head_commit(checkout)
    report = read_report(executed, commit=commit, now=now) if executed is not None else None
    history = read_history(checkout, commit)
    committed = history.committed
    tree = walk(checkout.root, bounds or Bounds(), committed.lists if committed else None)
    read_into(tree, _in_order(tree))
    findings, instructed = _gather(tree, harness)
    findings |= _find_checkout(tree, commit, history) | find_history(history, now=now)
    states = executed_states(report, instructed)
    judgement = judge({name: item.state for name, item in findings.items()}, states)
    return Classification(commit, now, findings, states, report, judgement)


def _in_order(tree: Tree) -> Iterator[str]:
    """What stands around the code is small and says most, so it is read first; pictures, archives and lock files are not read."""
    readable = [path for path in tree.files if not _UNREAD.search(path)]
    readable.sort(key=lambda path: (is_foreign(path), language_of(path) is not None, path.count("/"), path))
    return iter(readable)


def _gather(tree: Tree, harness: frozenset[str]) -> tuple[dict[str, Finding], list[str]]:
    commands, hollow = declared_tests(tree)
    pipelines = read_pipelines(tree)
    findings = {
        **find_tests(count_suite(tree)),
        **find_command(commands),
        **find_locks(tree),
        **find_pipelines(pipelines, hollow),
        **find_conventions(tree, hollow),
        **find_environment(tree),
        **find_safety(tree, pipelines, harness),
    }
    return findings, instructed_commands(tree, hollow)


def _find_checkout(tree: Tree, commit: str | None, history: History) -> dict[str, Finding]:
    differing = _differing(tree, history.committed)
    partial = [path for path in sorted(tree.partial) if language_of(path) and not is_foreign(path)]
    whole = not (tree.cut or tree.unreadable or partial)
    return {
        "checkout.commit": found(commit is not None),
        "checkout.clean": found(
            None if differing is None else not differing,
            differing=[show(path) for path in (differing or [])[:20]],
            unlisted=tree.unlisted,
            **({"missing": history.why} if history.why else {}),
        ),
        "shape.read_whole": found(
            whole,
            entries=tree.entries,
            files=len(tree.files),
            bytes=tree.read_bytes,
            bounds_met=sorted(tree.cut),
            partial=[show(path) for path in partial[:20]],
            unreadable=[show(path) for path in sorted(tree.unreadable)[:20]],
            links=tree.links,
            special=tree.special,
            submodules=history.committed.submodules if history.committed else tree.nested,
        ),
    }


def _differing(tree: Tree, committed: Committed | None) -> list[str] | None:
    """Returns the files whose bytes are not the commit's. What was read only in part is compared by nothing but its place."""
    if committed is None:
        return None
    gone = {path for path, blob in committed.blobs.items() if blob and path not in tree.files}
    if tree.cut & {"entries", "depth"}:
        gone = set()
    changed = {path for path, data in tree.texts.items() if _is_changed(tree, path, data, committed)}
    return sorted(gone | changed)


def _is_changed(tree: Tree, path: str, data: bytes, committed: Committed) -> bool:
    return len(data) == tree.files[path] and not is_blob(data, committed.blobs.get(path, ""))
