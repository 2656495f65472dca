"""`lint`: everything that is wrong with a blueprint, each with its place and its remedy."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from blueprints.format.findings import MAX_FAULTS, Finding, located
from blueprints.format.reading import Unreadable, read_yaml
from blueprints.format.schema import check_shape
from blueprints.graph import Graph
from blueprints.lint import flow, limits, names, needs, safety


@dataclass(frozen=True, slots=True)
class Linted:
    """What was read (None: nothing could be) and what is wrong with it."""

    document: Any
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Tells whether there is no error; warnings refuse nothing."""
        return not any(finding.severity == "error" for finding in self.findings)


def lint_text(text: str | bytes) -> Linted:
    """Returns the document in a YAML text, and its findings with line and column."""
    try:
        source = read_yaml(text)
    except Unreadable as error:
        return Linted(None, [error.finding])
    return Linted(source.value, located(lint(source.value), source.places))


def lint(document: Any) -> Iterator[Finding]:
    """Yields what is wrong. Each group of rules needs that the one before found nothing, so that none guesses."""
    shape = list(islice(check_shape(document), MAX_FAULTS))
    yield from shape
    if shape:
        return
    graph = Graph(document["nodes"])
    lost = list(flow.check_targets(graph))
    yield from lost
    yield from names.check_names(document, graph)
    yield from names.check_expressions(document, graph)
    yield from names.check_parameters(document)
    yield from needs.check_needs(document)
    if lost:
        return
    crooked = list(flow.check_flow(graph))
    yield from crooked
    yield from safety.check_permissions(document, graph)
    if not crooked:
        yield from safety.check_writes(document, graph)
        yield from safety.check_goal(document, graph)
        yield from limits.check_limits(document, graph)
