"""What the gateway can answer, read from its source: every error code with its HTTP status and JSON-RPC number."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gateway import upstream_errors, wire

ROOT = Path(__file__).resolve().parent.parent.parent
Answer = tuple[str, int, int]
ANSWERS = {kind.__name__: (status, number) for kind, status, number in wire._ANSWERS}
ANSWERS["TokenRefused"] = ANSWERS["Unauthenticated"]


def refusals() -> set[Answer]:
    """Returns code, HTTP status and number of every refusal that the gateway's own code makes."""
    return {answer for path in sorted((ROOT / "gateway").glob("*.py")) for answer in _refusals_of(path)}


def _refusals_of(path: Path) -> Iterator[Answer]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", "")
        given = {word.arg: word.value for word in node.keywords}
        if name == "Refusal":
            code = given.get("code")
            yield _text(code, "protocol"), _number(given.get("status"), 400), _number(given.get("number"), -32600)
        elif name in ANSWERS and "code" in given:
            yield (_text(given["code"], ""), *ANSWERS[name])


def _text(node: ast.expr | None, default: str) -> str:
    if node is None:
        return default
    assert isinstance(node, ast.Constant), "a code is written where it is raised"
    return str(node.value)


def _number(node: ast.expr | None, default: int) -> int:
    if node is None:
        return default
    if isinstance(node, ast.Name):
        return int(getattr(wire, node.id))
    return int(ast.literal_eval(node))


def upstream_codes() -> set[str]:
    """Returns the codes of what goes wrong beyond the gateway."""
    found = {f"upstream_{kind.code}" for kind in _all(upstream_errors.UpstreamError)}
    tree = ast.parse((ROOT / "gateway" / "upstream.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failed"]
    return found | {f"upstream_{ast.literal_eval(call.args[0])}" for call in calls}


def _all(kind: type[upstream_errors.UpstreamError]) -> Iterator[type[upstream_errors.UpstreamError]]:
    if kind.__module__ == upstream_errors.__name__:
        yield kind
    for below in kind.__subclasses__():
        yield from _all(below)


def reasons() -> set[str]:
    """Returns every reason for which the decision point stands against a call."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / "tenants" / "decisions.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Constant):
            found.add(str(node.value.value))
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.JoinedStr):
            tail = str(node.value.values[-1].value)  # type: ignore[attr-defined]
            found |= {f"delegation{tail}", f"parent{tail}"}
    return found | {"identity.incomplete"} | set(_own_reasons())


def _own_reasons() -> Iterator[str]:
    """The gateway's own: it says them itself, so that they are recorded with the same words."""
    for node in ast.walk(ast.parse((ROOT / "gateway" / "flow.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and re.fullmatch(r"(tool|token|arguments)\.[a-z_]+", str(node.value)):
            yield str(node.value)
