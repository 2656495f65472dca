"""What a blueprint names exists: checks, facts in expressions, inputs; and what it says of them agrees."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from blueprints.format.expressions import ROOTS, NotCel, parse
from blueprints.format.findings import Finding, Path, fault, warning
from blueprints.format.shapes import nearest
from blueprints.graph import Graph

_BOUND: Final = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_TYPES: Final[dict[str, type]] = {"text": str, "integer": int, "boolean": bool}


def expressions(document: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yields every expression of a blueprint with its place."""
    for place, node in enumerate(document["nodes"]):
        here: Path = ("nodes", place)
        for field in ("when", "until"):
            if field in node:
                yield (*here, field), node[field]
        for number, case in enumerate(node.get("cases", ())):
            yield (*here, "cases", number, "when"), case["when"]
        for name, text in node.get("arguments", {}).items():
            yield (*here, "arguments", name), text
    for name, output in document.get("outputs", {}).items():
        yield ("outputs", name, "value"), output["value"]


def check_expressions(document: Mapping[str, Any], graph: Graph) -> Iterator[Finding]:
    """Yields expressions that are not CEL, or that name facts which no run of this blueprint records."""
    members: dict[str, Any] = {
        "inputs": document.get("inputs", {}),
        "nodes": graph.nodes,
        "checks": {check["id"] for check in document["checks"]},
    }
    for path, text in expressions(document):
        try:
            found = parse(text)
        except NotCel as error:
            yield fault("NOT_CEL", path, f"This is not CEL: {error}.", "See cel.dev for the language.")
            continue
        for word in sorted(found.words - set(ROOTS) - set(_BOUND.findall(text))):
            yield fault("UNKNOWN_FACT", path, f"Nothing is called {word!r} here.", nearest(word, ROOTS))
        for root, name in sorted(found.members, key=str):
            if name is None:
                said = f"Which of {root!r} is meant can only be known at run time."
                yield fault("UNKNOWN_FACT", path, said, f"Name it: {root}.NAME or {root}['NAME'].")
            elif name not in members[root]:
                said = f"There is no {name!r} among the {root}."
                remedy = nearest(name, members[root]) if members[root] else f"This blueprint has no {root}."
                yield fault("UNKNOWN_FACT", path, said, remedy)


def check_names(document: Mapping[str, Any], graph: Graph) -> Iterator[Finding]:
    """Yields checks that are named and not declared, declared and not run, or declared against their sensor."""
    declared = {check["id"]: check for check in document["checks"]}
    ran: set[str] = set()
    for name in graph.of_kind("validate"):
        ran |= set(graph.nodes[name]["checks"])
        yield from _check_known(graph.nodes[name]["checks"], declared, graph.path(name, "checks"))
    yield from _check_known(document["goal"]["checks"], declared, ("goal", "checks"))
    for place, check in enumerate(document["checks"]):
        here: Path = ("checks", place)
        wrong = "prompt" if check["sensor"] == "computational" else "command"
        if wrong in check:
            said = f"A check with a {wrong} is not {check['sensor']}."
            yield fault("SENSOR", (*here, "sensor"), said, "A command computes; a prompt infers.")
        if check["id"] not in ran:
            said = f"No validate node runs {check['id']!r}."
            yield warning("CHECK_UNUSED", here, said, "Run it, or remove it.")


def _check_known(names: list[str], declared: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    for place, name in enumerate(names):
        if name not in declared:
            said = f"The check {name!r} is not declared."
            yield fault("UNKNOWN_CHECK", (*path, place), said, "Declare it in `checks`. " + nearest(name, declared))


def check_parameters(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields defaults and choices that are not of the parameter's type."""
    places: list[tuple[Path, Mapping[str, Any]]] = [(("inputs",), document.get("inputs", {}))]
    for place, node in enumerate(document["nodes"]):
        places.append((("nodes", place, "response"), node.get("response", {})))
    for path, parameters in places:
        for name, parameter in parameters.items():
            yield from _check_parameter(parameter, (*path, name))


def _check_parameter(parameter: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    wanted = _TYPES[parameter["type"]]
    choices = parameter.get("choices", [])
    for place, choice in enumerate(choices):
        if type(choice) is not wanted:
            yield fault("PARAMETER_TYPE", (*path, "choices", place), f"This is no {parameter['type']}.", "Correct it.")
    if "default" not in parameter:
        return
    default = parameter["default"]
    if type(default) is not wanted:
        yield fault("PARAMETER_TYPE", (*path, "default"), f"This is no {parameter['type']}.", "Correct it.")
    elif choices and default not in choices:
        yield fault("PARAMETER_TYPE", (*path, "default"), "This is not one of the choices.", "Choose one of them.")
