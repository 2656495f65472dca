"""`compile`: what a run is pinned to. Everything that the author left open is decided, in one order, with digests."""

from collections.abc import Mapping
from typing import Any

from blueprints.format.findings import Finding
from blueprints.graph import Graph
from blueprints.lint.limits import worst_case
from blueprints.lint.needs import resolved_needs
from blueprints.lint.safety import writers
from blueprints.linting import lint
from blueprints.versions import Reference, digest_of
from kernel.canonical import digest


class NotSound(Exception):
    """A blueprint with errors is not compiled; carries what is wrong."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(f"{len(findings)} errors")
        self.findings = findings


def compile_blueprint(document: Any, *, base: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Returns the lock of a resolved document: equal content gives equal bytes. Raises `NotSound`.

    Nodes stand in an order in which each comes after what leads to it; every edge is written out. `base` is the
    reference and digest of the version that a fork was resolved on.
    """
    errors = [finding for finding in lint(document) if finding.severity == "error"]
    if errors:
        raise NotSound(errors)
    graph = Graph(document["nodes"])
    lock: dict[str, Any] = {
        "lock": 1,
        "ref": str(Reference.of(document)),
        "digest": digest_of(document),
        "base": dict(base) if base else None,
        "start": graph.start,
        "nodes": [_locked(graph, name) for name in graph.order() or []],
        "needs": resolved_needs(document),
        "caps": {"budget": document["budget"], "worst_case": worst_case(graph)},
        "permissions": document["permissions"],
        "writers": writers(document, graph),
        "goal": document["goal"]["checks"],
        "checks": {check["id"]: f"sha256:{digest(check)}" for check in document["checks"]},
        "escalate": document["escalate"],
        "pattern": document["pattern"],
    }
    return {**lock, "lock_digest": f"sha256:{digest(lock)}"}


def _locked(graph: Graph, name: str) -> dict[str, Any]:
    edges = [{"to": edge.target, "kind": edge.kind, "label": edge.label} for edge in graph.edges[name]]
    node = graph.nodes[name]
    return {
        "id": name,
        "kind": node["kind"],
        "digest": f"sha256:{digest(node)}",
        "visits": graph.visits()[name],
        "edges": edges,
    }
