"""The operations of an API, each as the definition of a tool with its plan, or with the reason why it is left out."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from registry import rules
from registry.openapi.faults import LeftOut, refuse, shown
from registry.openapi.parameters import Taken, take_body, take_parameters
from registry.openapi.plans import METHODS, Plan, Unplanned, check_plan
from registry.openapi.references import References
from registry.openapi.shaping import Shaper
from tenants.rules import Effect

MAX_OPERATIONS: Final = 2_000
MAX_NAME: Final = 64
MAX_DESCRIPTION: Final = 2_000
MAX_TAGS: Final = 10
_ALL_PARTS: Final = 400_000
_VERBS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_ORDER: Final = {method: index for index, method in enumerate(METHODS)}
_NOT_NAME: Final = re.compile(r"[^A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `definition` is there exactly when `left_out` is empty."""

    key: str
    method: str
    path: str
    name: str
    summary: str
    tags: tuple[str, ...]
    definition: Mapping[str, Any] | None = None
    left_out: str = ""
    notes: tuple[str, ...] = ()

    @property
    def claimed(self) -> Effect:
        """Returns the effect that its method claims: a proposal to the approver."""
        return rules.claimed_effect(_hints(self.method))


def read_operations(document: Mapping[str, Any], secret: frozenset[str]) -> tuple[Operation, ...]:
    """Returns every operation in the order of paths and methods. Raises `Invalid` when there are too many to look at."""
    reader = _Reader(document, secret)
    found = [_plain(path, verb, item[verb]) for path, item, verb in _each(document)]
    if len(found) > MAX_OPERATIONS:
        refuse(
            "operations", f"The document has {len(found):,} operations; at most {MAX_OPERATIONS:,} are read. Split it."
        )
    clashing = Counter(operation.name.lower() for operation in found)
    named = {op.key: replace(op, name=_told_apart(op, clashing[op.name.lower()])) for op in found}
    made = [reader.make(named[_key(path, verb)], item, item[verb]) for path, item, verb in _each(document)]
    return tuple(sorted(made, key=lambda operation: (operation.path, _ORDER.get(operation.method, 9))))


def _each(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    paths = document.get("paths")
    references = References(document)
    for path, given in paths.items() if isinstance(paths, Mapping) else ():
        try:
            item = references.follow(given)
        except LeftOut as error:
            refuse("path", f"The path {shown(path)} cannot be read: {error}.")
        if isinstance(item, Mapping) and not path.startswith("x-"):
            yield from ((path, item, verb) for verb in _VERBS if verb in item)


def _key(path: str, verb: str) -> str:
    return f"{verb.upper()} {path}"


def _plain(path: str, verb: str, operation: Any) -> Operation:
    facts = operation if isinstance(operation, Mapping) else {}
    told = facts.get("operationId")
    # A name that is only made of signs says nothing, so the path speaks instead.
    name = _NOT_NAME.sub("_", told).strip("_") if isinstance(told, str) else ""
    name = name or _NOT_NAME.sub("_", f"{verb}_{path}").strip("_")
    tags = facts.get("tags")
    labels = [shown(tag, 60) for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    summary = facts.get("summary")
    return Operation(
        _key(path, verb),
        verb.upper(),
        path,
        _cut(name, path, verb),
        shown(summary, 200) if isinstance(summary, str) else "",
        tuple(labels[:MAX_TAGS]),
    )


def _cut(name: str, path: str, verb: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 9]}_{_digits(path, verb)}"


def _digits(path: str, verb: str) -> str:
    return sha256(_key(path, verb).encode()).hexdigest()[:8]


def _told_apart(operation: Operation, how_many: int) -> str:
    """Names that clash all get digits of their own path, so that no name depends on the order of the document."""
    if how_many == 1:
        return operation.name
    return f"{operation.name[: MAX_NAME - 9]}_{_digits(operation.path, operation.method.lower())}"


class _Reader:
    def __init__(self, document: Mapping[str, Any], secret: frozenset[str]) -> None:
        self._references = References(document)
        self._is_old = str(document.get("openapi", "")).startswith("3.0")
        self._secret = secret
        self._left = _ALL_PARTS

    def make(self, operation: Operation, item: Mapping[str, Any], facts: Any) -> Operation:
        """Returns the operation with its definition, or with why it has none."""
        if not isinstance(facts, Mapping):
            return replace(operation, left_out="it is not an object.")
        try:
            definition, notes = self._define(operation, item, facts)
        except LeftOut as error:
            return replace(operation, left_out=f"{error}.")
        except RecursionError:
            return replace(operation, left_out="it is nested too deeply.")
        return replace(operation, definition=definition, notes=notes)

    def _define(
        self, operation: Operation, item: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        if operation.method not in METHODS:
            raise LeftOut(f"a {operation.method} request has no answer for an agent")
        if facts.get("servers") or item.get("servers"):
            raise LeftOut("it names a server of its own, and only the address of this API is called")
        if self._left <= 0:
            raise LeftOut("the document is too involved to read all of it")
        shaper = Shaper(self._references, is_old=self._is_old)
        taken = Taken()
        try:
            take_parameters(taken, self._parameters(item, facts), shaper, self._secret)
            take_body(taken, self._references.follow(facts.get("requestBody")), operation.method, shaper)
        finally:
            self._left -= shaper.parts
        plan = Plan(operation.method, operation.path, tuple(taken.parts), taken.body)
        try:
            check_plan(plan)
        except Unplanned as error:
            raise LeftOut(str(error)) from None
        definition = _definition(operation, facts, taken, shaper, plan)
        _check_listable(definition)
        return definition, tuple(taken.notes)

    def _parameters(self, item: Mapping[str, Any], facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Those of the path, replaced by those of the operation with the same name and place."""
        found: dict[tuple[Any, Any], Mapping[str, Any]] = {}
        for place in (item, facts):
            listed = place.get("parameters", [])
            own: set[tuple[Any, Any]] = set()
            for given in listed if isinstance(listed, list) else []:
                parameter = self._references.follow(given)
                if not isinstance(parameter, Mapping):
                    raise LeftOut("a parameter is not an object")
                key = (str(parameter.get("name")), str(parameter.get("in")))
                if key in own:
                    raise LeftOut(f"the parameter “{shown(key[0])}” is there twice")
                own.add(key)
                found[key] = parameter
        return list(found.values())


def _definition(
    operation: Operation, facts: Mapping[str, Any], taken: Taken, shaper: Shaper, plan: Plan
) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": taken.properties, "additionalProperties": False}
    if taken.required:
        schema["required"] = taken.required
    if shaper.definitions:
        schema["$defs"] = shaper.definitions
    title, said = operation.summary, facts.get("description")
    words = [title, said if isinstance(said, str) and said != title else "", operation.key]
    description = "\n\n".join(word for word in words if word)
    if len(description) > MAX_DESCRIPTION:
        description = description[: MAX_DESCRIPTION - 1] + "…"
    return {
        "name": operation.name,
        **({"title": title} if title else {}),
        "description": description,
        "inputSchema": schema,
        "annotations": _hints(operation.method),
        "request": plan.as_json(),
    }


def _hints(method: str) -> dict[str, bool]:
    """What the method claims by the rules of HTTP: a proposal, like the hints of an MCP server."""
    if method == "GET":
        return {"readOnlyHint": True}
    return {"readOnlyHint": False, "destructiveHint": method == "DELETE"}


def _check_listable(definition: Mapping[str, Any]) -> None:
    if not rules.is_storable(definition):
        raise LeftOut(
            f"its definition is larger than {rules.MAX_DEFINITION_BYTES // 1024} kB, or holds a number beyond 2^53"
        )
    if faults := rules.faults_of(definition):
        raise LeftOut(faults[0])
