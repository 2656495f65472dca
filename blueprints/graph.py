"""The flow of a blueprint as a graph: which edges leave a node, what they mean, what is reached by them.

A node's good edge is `next`, or the node below it in the list, or the end. Every bad edge (`on`) leads to escalation
unless it is written: what fails goes to a person, never on.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from blueprints.format.schema import END, ESCALATE, RESERVED

Kind = Literal["good", "bad", "again"]
_BAD: Final = {"approve": "reject", "loop": "exhausted"}
_NO_BAD: Final = frozenset({"branch", "fork"})


@dataclass(frozen=True, slots=True)
class Edge:
    """One way on: `good` when the node succeeded, `bad` when it did not, `again` when a loop goes round."""

    source: str
    target: str
    kind: Kind
    label: str
    path: tuple[str | int, ...]


class Graph:
    """The nodes by id, in the order of the document, and the edges between them."""

    def __init__(self, nodes: Iterable[Mapping[str, Any]]) -> None:
        self.nodes: dict[str, Mapping[str, Any]] = {}
        self.edges: dict[str, list[Edge]] = {}
        listed = list(nodes)
        self.places = {node["id"]: place for place, node in enumerate(listed)}
        for place, node in enumerate(listed):
            below = listed[place + 1]["id"] if place + 1 < len(listed) else END
            self.nodes[node["id"]] = node
            self.edges[node["id"]] = list(_edges(node, place, below))
        self.start = listed[0]["id"] if listed else END

    def of_kind(self, *kinds: str) -> list[str]:
        """Returns the ids of the nodes of these kinds, in the order of the document."""
        return [name for name, node in self.nodes.items() if node["kind"] in kinds]

    def path(self, name: str, *rest: str | int) -> tuple[str | int, ...]:
        """Returns the place of a node in the document, or of a part of it."""
        return ("nodes", self.places[name], *rest)

    def reach(self, sources: Iterable[str], passes: Callable[[Edge], bool] = lambda _edge: True) -> set[str]:
        """Returns the sources and what is reached from them over edges that `passes` lets through."""
        found = set(sources)
        waiting = deque(found)
        while waiting:
            for edge in self.edges.get(waiting.popleft(), ()):
                if edge.target not in found and passes(edge):
                    found.add(edge.target)
                    waiting.append(edge.target)
        return found

    def after(self, name: str, passes: Callable[[Edge], bool] = lambda _edge: True) -> set[str]:
        """Returns what is reached once the node has succeeded or failed."""
        return self.reach((edge.target for edge in self.edges[name] if passes(edge)), passes)

    def body(self, loop: str) -> set[str]:
        """Returns the nodes of a loop: those on a way from its first node back to it, itself among them."""
        return self._bodies[loop]

    @cached_property
    def _bodies(self) -> dict[str, set[str]]:
        before: dict[str, set[str]] = {}
        for edge in self._onward():
            before.setdefault(edge.target, set()).add(edge.source)
        return {loop: self._body(loop, before) for loop in self.of_kind("loop")}

    def _body(self, loop: str, before: Mapping[str, set[str]]) -> set[str]:
        first = self.nodes[loop]["from"]
        forward = self.reach([first], lambda edge: edge.kind != "again" and edge.source != loop)
        found, waiting = {loop}, [loop]
        while waiting:
            new = before.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return (forward & found) - RESERVED

    def order(self) -> list[str] | None:
        """Returns the nodes so that each edge but a loop's way back leads forward; None when there is a cycle."""
        waits = dict.fromkeys(self.nodes, 0)
        for edge in self._onward():
            waits[edge.target] += 1
        ready = deque(name for name, count in waits.items() if not count)
        found: list[str] = []
        while ready:
            found.append(ready.popleft())
            for edge in self.edges[found[-1]]:
                if edge.kind == "again" or edge.target not in waits:
                    continue
                waits[edge.target] -= 1
                if not waits[edge.target]:
                    ready.append(edge.target)
        return found if len(found) == len(self.nodes) else None

    def cycle(self) -> list[str]:
        """Returns the nodes that lie on a cycle which no loop makes, in the order of the document."""
        return [name for name in self.nodes if name in self.after(name, _onward)]

    def visits(self) -> dict[str, int]:
        """Returns how often each node can be entered in one run at most."""
        return dict(self._visits)

    @cached_property
    def _visits(self) -> dict[str, int]:
        most = dict.fromkeys(self.nodes, 1)
        for loop in self.of_kind("loop"):
            for name in self.body(loop):
                most[name] *= self.nodes[loop]["max"]
        return {name: min(count, self.nodes[name].get("max_visits", count)) for name, count in most.items()}

    def longest(self, weight: Mapping[str, int]) -> int:
        """Returns the heaviest way through the graph; each node counts with all its visits."""
        heaviest = dict.fromkeys([*self.nodes, *RESERVED], 0)
        for name in reversed(self.order() or []):
            onward = (heaviest.get(edge.target, 0) for edge in self.edges[name] if edge.kind != "again")
            heaviest[name] = weight.get(name, 0) + max(onward, default=0)
        return max(heaviest.values())

    def _onward(self) -> Iterable[Edge]:
        return (edge for edges in self.edges.values() for edge in edges if _onward(edge) and edge.target in self.nodes)


def _onward(edge: Edge) -> bool:
    return edge.kind != "again"


def _edges(node: Mapping[str, Any], place: int, below: str) -> Iterable[Edge]:
    name, kind = node["id"], node["kind"]
    here = ("nodes", place)
    if kind == "branch":
        for number, case in enumerate(node["cases"]):
            yield Edge(name, case["to"], "good", case["when"], (*here, "cases", number, "to"))
        yield Edge(name, node["else"], "good", "else", (*here, "else"))
    elif kind == "fork":
        for number, target in enumerate(node["branches"]):
            yield Edge(name, target, "good", "fork", (*here, "branches", number))
    else:
        yield Edge(name, node.get("next", below), "good", "", (*here, "next"))
    if kind == "loop":
        yield Edge(name, node["from"], "again", "again", (*here, "from"))
    if kind not in _NO_BAD:
        label = _BAD.get(kind, "fail")
        yield Edge(name, node.get("on", {}).get(label, ESCALATE), "bad", label, (*here, "on", label))
