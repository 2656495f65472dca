"""No harm: what an agent made is looked at by something that computes before anything is written, and the goal is proven.

All rules ask one question of the graph: can this be reached from there without success at one of those?
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from blueprints.format.expressions import NotCel, parse
from blueprints.format.findings import Finding, fault, warning
from blueprints.format.schema import END
from blueprints.format.shapes import nearest
from blueprints.graph import Edge, Graph

REVIEWED: Final = frozenset({"deploy", "release", "merge"})
"""Writes that reach users: a dark factory makes none of them that nobody has approved."""


def writers(document: Mapping[str, Any], graph: Graph) -> list[str]:
    """Returns the tool nodes that change something outside: by what they say, or by their tool's effect."""
    effects = {grant["name"]: grant["effect"] for grant in document["permissions"]["tools"]}
    return [
        name
        for name in graph.of_kind("tool")
        if "writes" in graph.nodes[name] or effects.get(graph.nodes[name]["tool"], "write") != "read"
    ]


def uncleared(graph: Graph, source: str | None, clearing: Iterable[str]) -> set[str]:
    """Returns what is reached after `source` (None: from the start) without success at one of the clearing nodes."""
    cleared = set(clearing)

    def passes(edge: Edge) -> bool:
        return edge.kind != "good" or edge.source not in cleared

    return graph.reach([graph.start], passes) if source is None else graph.after(source, passes)


def check_writes(document: Mapping[str, Any], graph: Graph) -> Iterator[Finding]:
    """Yields writes that an agent's work can reach unseen, and deployments that nobody approves."""
    writing = writers(document, graph)
    for agent in graph.of_kind("agent"):
        unseen = uncleared(graph, agent, sensors(document, graph, agent))
        for name in writing:
            if name in unseen:
                said = f"What the agent {agent!r} made can reach the write {name!r} without a computational check."
                remedy = "Put a validate node with a computational check between them, on every path."
                yield fault("UNSENSED_WRITE", graph.path(name), said, remedy)
    if document["pattern"] == "interactive-assistant":
        return
    reaching = [name for name in writing if graph.nodes[name].get("writes") in REVIEWED]
    unreviewed = [uncleared(graph, source, graph.of_kind("approve")) for source in (None, *graph.of_kind("agent"))]
    for name in reaching:
        if any(name in found for found in unreviewed):
            said = f"A dark factory can reach {name!r} ({graph.nodes[name]['writes']}) without a person's approval."
            remedy = "Put an approve node before it, after the last agent, on every path."
            yield fault("UNREVIEWED_DEPLOY", graph.path(name), said, remedy)


def sensors(document: Mapping[str, Any], graph: Graph, agent: str) -> list[str]:
    """Returns the nodes whose success says something computed about what this agent made.

    A gate computes, too, but only over a check that certainly ran after the agent: else it reads yesterday's facts.
    """
    computed = {check["id"] for check in document["checks"] if check["sensor"] == "computational"}
    found = [name for name in graph.of_kind("validate") if computed & set(graph.nodes[name]["checks"])]
    stale: dict[str, set[str]] = {}  # by check: what is reached after the agent before that check has run
    for name in graph.of_kind("gate"):
        for check in _checks_read(graph.nodes[name]["when"]) & computed:
            if check not in stale:
                stale[check] = _before(graph, agent, _runners(graph, check))
            if name not in stale[check]:
                found.append(name)
                break
    return found


def _before(graph: Graph, agent: str, runners: list[str]) -> set[str]:
    ran = frozenset(runners)
    return graph.after(agent, lambda edge: edge.source not in ran)


def _runners(graph: Graph, check: str) -> list[str]:
    return [name for name in graph.of_kind("validate") if check in graph.nodes[name]["checks"]]


def _checks_read(text: str) -> set[str]:
    try:
        return {name for root, name in parse(text).members if root == "checks" and name}
    except NotCel:
        return set()


def check_goal(document: Mapping[str, Any], graph: Graph) -> Iterator[Finding]:
    """Yields goals that a run can reach the end without having proven, after the last agent's last change."""
    declared = {check["id"]: check for check in document["checks"]}
    goals = document["goal"]["checks"]
    if not any(declared[name]["sensor"] == "computational" for name in goals if name in declared):
        said = "No computational check proves the goal."
        yield fault("GOAL_NOT_COMPUTED", ("goal", "checks"), said, "Name a check that a command decides.")
    sources = (None, *graph.of_kind("agent"))
    for place, name in enumerate(goals):
        runners = _runners(graph, name)
        open_to = next((source for source in sources if END in uncleared(graph, source, runners)), END)
        if name in declared and open_to != END:
            begin = f"the agent {open_to!r}" if open_to else "the start"
            said = f"From {begin} a run can end well without {name!r} having passed."
            yield fault(
                "GOAL_UNPROVEN", ("goal", "checks", place), said, "Validate it on every path, after every agent."
            )


def check_permissions(document: Mapping[str, Any], graph: Graph) -> Iterator[Finding]:
    """Yields tools and writes outside the permissions, writes by agents, and permissions that nothing uses."""
    effects = {grant["name"]: grant["effect"] for grant in document["permissions"]["tools"]}
    kinds = {grant["kind"] for grant in document["permissions"]["writes"]}
    used: set[str] = set()
    for name in graph.of_kind("agent"):
        for place, tool in enumerate(graph.nodes[name]["tools"]):
            used.add(tool)
            where = graph.path(name, "tools", place)
            if tool not in effects:
                yield _not_permitted(tool, where, effects)
            elif effects[tool] != "read":
                said = f"The agent {name!r} could call {tool!r}, which changes things, at any time."
                remedy = "Let the agent propose, and a tool node behind a validate node apply."
                yield fault("AGENT_WRITES", where, said, remedy)
    for name in graph.of_kind("tool"):
        used.add(graph.nodes[name]["tool"])
        yield from _check_tool(graph, name, effects, kinds)
    written = {node.get("writes") for node in graph.nodes.values()}
    yield from _unused(document["permissions"], used, written)


def _check_tool(graph: Graph, name: str, effects: Mapping[str, str], kinds: set[str]) -> Iterator[Finding]:
    node = graph.nodes[name]
    if node["tool"] not in effects:
        yield _not_permitted(node["tool"], graph.path(name, "tool"), effects)
    elif effects[node["tool"]] != "read" and "writes" not in node:
        said = f"The tool {node['tool']!r} changes things, and the node does not say what it writes."
        yield fault("WRITE_UNNAMED", graph.path(name), said, "Add `writes` with one of the permitted kinds.")
    elif effects[node["tool"]] == "read" and "writes" in node:
        said = f"The tool {node['tool']!r} only reads."
        yield fault("WRITE_BY_READER", graph.path(name, "writes"), said, "Correct the effect, or remove `writes`.")
    if "writes" in node and node["writes"] not in kinds:
        said = f"Writing {node['writes']!r} is not permitted."
        yield fault("WRITE_NOT_PERMITTED", graph.path(name, "writes"), said, "Add it to `permissions.writes`.")


def _not_permitted(tool: str, where: tuple[str | int, ...], effects: Mapping[str, str]) -> Finding:
    remedy = "Add it to `permissions.tools`. " + (nearest(tool, effects) if effects else "None are permitted yet.")
    return fault("TOOL_NOT_PERMITTED", where, f"The tool {tool!r} is outside the permissions.", remedy)


def _unused(permissions: Mapping[str, Any], used: set[str], written: set[str | None]) -> Iterator[Finding]:
    for place, grant in enumerate(permissions["tools"]):
        if grant["name"] not in used:
            said = f"No node uses the tool {grant['name']!r}."
            yield warning("GRANT_UNUSED", ("permissions", "tools", place), said, "Remove the grant.")
    for place, grant in enumerate(permissions["writes"]):
        if grant["kind"] not in written:
            said = f"No node writes {grant['kind']!r}."
            yield warning("GRANT_UNUSED", ("permissions", "writes", place), said, "Remove the grant.")
