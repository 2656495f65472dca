"""The price of judging and comparing a blueprint of 60 nodes, and of the way from a fork to its overlay and back."""

import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from blueprints.forks.derivation import derive
from blueprints.forks.diff import compare
from blueprints.forks.keyed import same
from blueprints.forks.operations import apply
from blueprints.forks.rebase import rebase
from blueprints.linting import lint, lint_text
from portal.bench import machine
from portal.bench.figures import Figure, Report

NODES = 60


def measure(*, quick: bool = False) -> Report:
    """Returns the figures. Raises when what is measured does not give what it must."""
    rounds = 3 if quick else 50
    base = document()
    head, fork = _later(base), _forked(base)
    text = yaml.safe_dump(base, sort_keys=False)
    difference = compare(base, head, fork)
    operations = derive(base, fork)
    if list(lint(base)) or (difference.behind, difference.drift, len(difference.conflicts)) != (20, 22, 1):
        raise RuntimeError(f"unexpected difference: {difference.behind}, {difference.drift}, {difference.conflicts}")
    if not same(apply(base, operations), fork):
        raise RuntimeError("the overlay does not give the fork again")
    choices = {"/nodes/run_0/minutes": "fork"}
    timed: dict[str, tuple[float | None, Callable[[], object]]] = {
        "lint, document": (50, lambda: list(lint(base))),
        "lint, YAML text": (50, lambda: lint_text(text)),
        "keyed difference of three": (20, lambda: compare(base, head, fork)),
        "overlay derived from two documents": (None, lambda: derive(base, fork)),
        "overlay resolved": (None, lambda: apply(base, operations)),
        "rebase": (None, lambda: rebase(base, head, fork, choices=choices)),  # type: ignore[arg-type]
    }
    figures = [_figure(name, target, work, rounds) for name, (target, work) in timed.items()]
    notes = [f"{NODES} nodes, {len(text):,} bytes of YAML, {len(difference.changes)} changes; medians of {rounds}"]
    with tempfile.TemporaryDirectory() as folder:
        described = machine.describe(Path(folder))
    return Report(bench="blueprints", machine=described, figures=figures, notes=notes)


def document() -> dict[str, Any]:
    """Returns a sound blueprint of 60 nodes: agents between deterministic nodes, each followed by its check."""
    nodes: list[dict[str, Any]] = []
    for number in range(NODES // 3):
        nodes += [
            {"id": f"run_{number}", "kind": "run", "command": ["make", "setup"], "minutes": 5},
            {
                "id": f"agent_{number}",
                "kind": "agent",
                "prompt": "Do one small thing, and say what was done and why. " * 8,
                "minutes": 10,
                "max_turns": 10,
                "max_visits": 1,
                "may": ["read", "edit", "execute"],
                "tools": ["search/code"],
                "response": {"done": {"type": "boolean", "title": "Is it done?", "required": True}},
            },
            {"id": f"verify_{number}", "kind": "validate", "checks": ["tests"], "minutes": 5},
        ]
    return {
        "blueprint": 1,
        "document": {
            "namespace": "platform",
            "name": "sixty-nodes",
            "version": "1.0.0",
            "title": "Sixty nodes",
            "summary": "Measured.",
            "owner": "platform",
            "license": "Apache-2.0",
        },
        "goal": {"statement": "The tests pass.", "checks": ["tests"]},
        "pattern": "either",
        "needs": {"filesystem": "repo-rw", "shell": True, "network": "gateway"},
        "permissions": {"tools": [{"name": "search/code", "effect": "read"}], "data": ["repository"], "writes": []},
        "budget": {"wall_minutes": 600, "agent_turns": 400, "tokens": 10**6, "cost_cents": 1000, "tool_calls": 100},
        "escalate": {"to": "member", "keep": ["diff"]},
        "checks": [{"id": "tests", "title": "Tests pass", "sensor": "computational"}],
        "nodes": nodes,
    }


def _later(base: dict[str, Any]) -> dict[str, Any]:
    head = copy.deepcopy(base)
    for node in head["nodes"]:
        if node["kind"] == "run":
            node["minutes"] = 6
    return head


def _forked(base: dict[str, Any]) -> dict[str, Any]:
    fork = copy.deepcopy(base)
    for node in fork["nodes"]:
        if node["kind"] == "agent":
            node["prompt"] = "Do it as we do it."
    fork["nodes"][0]["minutes"] = 7
    fork["nodes"].append(fork["nodes"].pop(4))
    return fork


def _figure(name: str, target: float | None, work: Callable[[], object], rounds: int) -> Figure:
    taken = []
    for _round in range(rounds):
        begin = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begin) * 1000)
    return Figure(name=name, value=statistics.median(taken), unit="ms", target=target)
