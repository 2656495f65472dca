"""What a fork may not take away: the proof that a blueprint demands of a run. Everything else is the team's to change.

A fork may ask for more proof, for other work, other tools and other caps. It may not prove less than its base does.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from blueprints.format.findings import Finding, fault

RANKS: Final = ("member", "reviewer", "team_lead", "domain_steward", "platform_admin")
Document = Mapping[str, Any]


def weakenings(base: Document, fork: Document) -> Iterator[Finding]:
    """Yields everything in which the resolved fork proves less than its base; a fork that only adds yields nothing."""
    yield from _goal(base, fork)
    yield from _pattern(base, fork)
    yield from _checks(base, fork)
    yield from _validations(base, fork)
    yield from _approvals(base, fork)
    yield from _preconditions(base, fork)


def _goal(base: Document, fork: Document) -> Iterator[Finding]:
    for check in base["goal"]["checks"]:
        if check not in fork["goal"]["checks"]:
            said = f"The goal of the base is proven by {check!r}, and the fork's is not."
            yield fault("GOAL_WEAKENED", ("goal", "checks"), said, "Bring the check back; add others beside it.")


def _pattern(base: Document, fork: Document) -> Iterator[Finding]:
    if base["pattern"] == "interactive-assistant" and fork["pattern"] != "interactive-assistant":
        said = "The base lets a person take part in each run, and the fork does not."
        yield fault("PATTERN_WEAKENED", ("pattern",), said, "Keep interactive-assistant, or ask the owner upstream.")


def _checks(base: Document, fork: Document) -> Iterator[Finding]:
    kept = {check["id"]: check for check in fork["checks"]}
    for check in base["checks"]:
        found = kept.get(check["id"])
        if found is None:
            yield fault("CHECK_REMOVED", ("checks",), f"The check {check['id']!r} is gone.", "Bring it back.")
            continue
        for name in ("sensor", "command", "prompt"):
            if check.get(name) != found.get(name):
                said = f"The {name} of {check['id']!r} is another than in the base."
                remedy = "Restore it, and add a check of your own beside it."
                yield fault("CHECK_CHANGED", ("checks", check["id"], name), said, remedy)


def _validations(base: Document, fork: Document) -> Iterator[Finding]:
    """Each validation of the base is still made by the node of that name, over at least the same checks."""
    nodes = {node["id"]: node for node in fork["nodes"]}
    for node in base["nodes"]:
        if node["kind"] != "validate":
            continue
        found = nodes.get(node["id"])
        if found is None or found["kind"] != "validate":
            said = f"The base validates in {node['id']!r}, and the fork does not."
            yield fault("VALIDATION_REMOVED", ("nodes", node["id"]), said, "Bring the node back.")
        elif lost := [check for check in node["checks"] if check not in found["checks"]]:
            said = f"{node['id']!r} runs {', '.join(lost)} in the base, and not in the fork."
            yield fault("VALIDATION_WEAKENED", ("nodes", node["id"], "checks"), said, "Bring the checks back.")


def _approvals(base: Document, fork: Document) -> Iterator[Finding]:
    nodes = {node["id"]: node for node in fork["nodes"]}
    for node in base["nodes"]:
        if node["kind"] != "approve":
            continue
        found = nodes.get(node["id"])
        if found is None or found["kind"] != "approve":
            said = f"In the base a person decides in {node['id']!r}, and in the fork nobody does."
            yield fault("APPROVAL_REMOVED", ("nodes", node["id"]), said, "Bring the node back.")
        elif RANKS.index(found["by"]) < RANKS.index(node["by"]):
            said = f"{node['id']!r} is decided by a {node['by']} in the base, and by a {found['by']} in the fork."
            yield fault("APPROVAL_WEAKENED", ("nodes", node["id"], "by"), said, "Keep the role, or name a higher one.")


def _preconditions(base: Document, fork: Document) -> Iterator[Finding]:
    kept = {item["signal"]: item for item in fork.get("preconditions", ())}
    for item in base.get("preconditions", ()):
        found = kept.get(item["signal"])
        if found is None or not _as_strict(item, found):
            said = f"The base demands {item['signal']} {item['op']} {item['value']!r} of a repository, the fork less."
            remedy = "Restore the precondition, or make it stricter."
            yield fault("PRECONDITION_WEAKENED", ("preconditions", item["signal"]), said, remedy)


def _as_strict(demanded: Document, given: Document) -> bool:
    if demanded["op"] != given["op"]:
        return False
    one, other = demanded["value"], given["value"]
    ordered = type(one) is type(other) and isinstance(one, int) and not isinstance(one, bool)
    if demanded["op"] == "gte" and ordered:
        return bool(other >= one)
    if demanded["op"] == "lte" and ordered:
        return bool(other <= one)
    return type(one) is type(other) and bool(one == other)
