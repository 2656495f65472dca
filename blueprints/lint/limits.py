"""Caps fit into the budget: in the worst case that the caps allow, no run is stopped by its own budget."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from blueprints.format.findings import Finding, fault, warning
from blueprints.graph import Graph

MAX_VISITS: Final = 100
"""Loops within loops multiply; beyond this nobody has thought about the product."""


def worst_case(graph: Graph) -> dict[str, int]:
    """Returns the most minutes, agent turns and tool calls that the caps of the nodes allow in one run.

    Minutes follow the longest way, because branches exclude each other; where a fork is narrower than its branches,
    and for all that adds up in parallel, the sum over all nodes is taken. People's time to answer is not counted.
    """
    visits = graph.visits()
    tries = {name: 1 + node.get("retries", {}).get("max", 0) for name, node in graph.nodes.items()}
    minutes = {name: node.get("minutes", 0) * visits[name] * tries[name] for name, node in graph.nodes.items()}
    narrow = any(len(graph.nodes[name]["branches"]) > graph.nodes[name]["width"] for name in graph.of_kind("fork"))
    return {
        "wall_minutes": sum(minutes.values()) if narrow else graph.longest(minutes),
        "agent_turns": sum(graph.nodes[name]["max_turns"] * visits[name] for name in graph.of_kind("agent")),
        "tool_calls": sum(visits[name] * tries[name] for name in graph.of_kind("tool")),
    }


def check_limits(document: Mapping[str, Any], graph: Graph) -> Iterator[Finding]:
    """Yields caps that do not fit into the budget or into the permitted number of writes."""
    budget = document["budget"]
    for name, count in graph.visits().items():
        if count > MAX_VISITS:
            said = f"Loops within loops may enter {name!r} more than {MAX_VISITS} times."
            yield fault("LOOPS_MULTIPLY", graph.path(name), said, "Nest fewer loops, or lower their `max`.")
    for name, most in worst_case(graph).items():
        if most > budget[name]:
            said = f"The nodes may take {most} {name.replace('_', ' ')}, the budget has {budget[name]}."
            remedy = f"Lower caps of nodes, or raise the budget to {most}."
            yield fault("OVER_BUDGET", ("budget", name), said, remedy)
    for name in ("tokens", "cost_cents", "tool_calls"):
        if graph.of_kind("agent") and not budget[name] and (name != "tool_calls" or _any_tools(graph)):
            said = f"There are agents, and no {name.replace('_', ' ')} for them."
            yield fault("OVER_BUDGET", ("budget", name), said, "Give a budget above zero.")
    yield from _check_writes(document, graph)
    rounds = graph.visits()
    for name in graph.of_kind("agent"):
        wanted = _rounds(graph, name)
        if rounds[name] < wanted:
            said = f"The loop allows {wanted} rounds, the agent {rounds[name]} visits: later rounds escalate."
            yield warning("VISITS_BELOW_ROUNDS", graph.path(name, "max_visits"), said, "Make the two equal.")


def _any_tools(graph: Graph) -> bool:
    return any(graph.nodes[name]["tools"] for name in graph.of_kind("agent"))


def _rounds(graph: Graph, name: str) -> int:
    most = 1
    for loop in graph.of_kind("loop"):
        most *= graph.nodes[loop]["max"] if name in graph.body(loop) else 1
    return most


def _check_writes(document: Mapping[str, Any], graph: Graph) -> Iterator[Finding]:
    visits = graph.visits()
    written: Counter[str] = Counter()
    for name in graph.of_kind("tool"):
        if "writes" in graph.nodes[name]:
            written[graph.nodes[name]["writes"]] += visits[name]
    for place, grant in enumerate(document["permissions"]["writes"]):
        if written[grant["kind"]] > grant["max"]:
            said = (
                f"The nodes may write {grant['kind']!r} {written[grant['kind']]} times, {grant['max']} are permitted."
            )
            remedy = "Raise `max`, or write less often."
            yield fault("WRITES_OVER_LIMIT", ("permissions", "writes", place, "max"), said, remedy)
