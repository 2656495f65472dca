"""The flow is sound: every edge leads somewhere, every node is reached, every path ends, forks and joins match."""

from collections.abc import Iterator
from typing import Any

from blueprints.format.findings import Finding, fault
from blueprints.format.schema import END, ESCALATE, RESERVED
from blueprints.graph import Graph


def check_targets(graph: Graph) -> Iterator[Finding]:
    """Yields ids that mean something else, and edges that lead nowhere. The other checks need that there are none."""
    for name in graph.nodes:
        if name in RESERVED:
            said = f"{name!r} is where a path stops, so no node can be called that."
            yield fault("RESERVED_ID", graph.path(name, "id"), said, "Choose another id.")
    known = graph.nodes.keys() | RESERVED
    for edges in graph.edges.values():
        for edge in edges:
            if edge.target not in known:
                said = f"There is no node {edge.target!r}."
                yield fault("UNKNOWN_NODE", edge.path, said, f"Name a node, {END!r} or {ESCALATE!r}.")
    for name in graph.of_kind("fork"):
        join = graph.nodes[name]["join"]
        if graph.nodes.get(join, {}).get("kind") != "join":
            said = f"{join!r} is not a join."
            yield fault("UNKNOWN_NODE", graph.path(name, "join"), said, "Name the join node where the branches meet.")


def check_flow(graph: Graph) -> Iterator[Finding]:
    """Yields what is wrong with the paths, given that every edge leads to something."""
    reached = graph.reach([graph.start])
    for name in graph.nodes:
        if name not in reached:
            said = f"Nothing leads to {name!r}."
            yield fault("UNREACHABLE", graph.path(name), said, "Lead an edge to it, or remove it.")
    yield from _check_ends(graph, reached)
    for name in graph.of_kind("loop"):
        if name not in graph.body(name):
            said = f"From {graph.nodes[name]['from']!r} no path comes back to this loop."
            remedy = "Let `from` name the first node of the body, above the loop."
            yield fault("LOOP_WITHOUT_BODY", graph.path(name, "from"), said, remedy)
    yield from _check_joins(graph)


def _check_ends(graph: Graph, reached: set[str]) -> Iterator[Finding]:
    if END not in reached:
        said = "No path reaches the end, so the goal is never reached."
        yield fault("END_UNREACHABLE", ("nodes",), said, f"Lead the last good edge to {END!r}.")
    cycle = graph.cycle()
    for name in cycle:
        said = f"{name!r} lies on a cycle that no loop bounds ({', '.join(cycle)})."
        remedy = "Go back only through a `loop` node, which has a `max`."
        yield fault("CYCLE", graph.path(name), said, remedy)
    for name in graph.nodes:
        if not RESERVED & graph.reach([name]):
            said = f"No path from {name!r} ever ends."
            yield fault("PATH_NEVER_ENDS", graph.path(name), said, f"Lead it to {END!r} or {ESCALATE!r}.")


def _check_joins(graph: Graph) -> Iterator[Finding]:
    used: dict[str, str] = {}
    for name in graph.of_kind("fork"):
        join = graph.nodes[name]["join"]
        if join in used:
            said = f"The join {join!r} already belongs to the fork {used[join]!r}."
            yield fault("JOIN_SHARED", graph.path(name, "join"), said, "Give each fork a join of its own.")
        used[join] = name
        yield from _check_branches(graph, name, join)
    for name in graph.of_kind("join"):
        if name not in used:
            said = f"No fork names the join {name!r}."
            yield fault("JOIN_WITHOUT_FORK", graph.path(name), said, "Remove it, or name it in a fork.")


def _check_branches(graph: Graph, name: str, join: str) -> Iterator[Finding]:
    taken: dict[str, Any] = {}
    regions: set[str] = set()
    for number, target in enumerate(graph.nodes[name]["branches"]):
        where = graph.path(name, "branches", number)
        region = graph.reach([target], lambda edge: edge.source != join)
        if join not in region or END in region or target == join:
            said = f"The branch that begins at {target!r} does not end in {join!r} on every path."
            yield fault("FORK_NOT_JOINED", where, said, f"Lead each of its good edges to {join!r} in the end.")
        region -= {join, *RESERVED}
        for shared in sorted(region & taken.keys()):
            said = f"{shared!r} lies on two branches ({taken[shared]!r} and {target!r})."
            yield fault("BRANCHES_MEET", where, said, f"Let the branches meet in {join!r} only.")
        taken |= dict.fromkeys(region, target)
        regions |= region
    yield from _check_entries(graph, name, join, regions)


def _check_entries(graph: Graph, fork: str, join: str, regions: set[str]) -> Iterator[Finding]:
    for edges in graph.edges.values():
        for edge in edges:
            outside = edge.source != fork and edge.source not in regions
            if outside and (edge.target in regions or (edge.target == join and edge.source != join)):
                said = f"{edge.source!r} leads into the branches of {fork!r} from outside."
                yield fault("JUMP_INTO_BRANCH", edge.path, said, f"Enter them through {fork!r} only.")
