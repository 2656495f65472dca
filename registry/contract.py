"""The owner's contract: what a server must keep before it is listed, and what would serve its agents better. Pure.

It judges what a probe saw. An error stands in the way of the onboarding's activation, a warning does not; each names
its remedy, so that a finding can be worked on without asking anybody.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from kernel.canonical import canonical_json
from registry import rules

MODERN: Final = "2026-07-28"
OLDER: Final = frozenset({"2025-03-26", "2025-06-18", "2025-11-25"})
BIG_DEFINITION: Final = 8 * 1024
BIG_LIST: Final = 64 * 1024
MANY_TOOLS: Final = 80
SHORT_DESCRIPTION: Final = 20
MAX_FINDINGS: Final = 20
"""For each clause; a server with a thousand faulty tools is told of the first ones and how many there are."""

_PLAIN_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `place` is the tool, or empty for the server itself."""

    severity: Severity
    code: str
    place: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Clause:
    """One part of the contract with what was found against it."""

    key: str
    title: str
    findings: Sequence[Finding] = ()

    @property
    def verdict(self) -> str:
        """Returns `ok`, `warning` or `error`."""
        severities = {finding.severity for finding in self.findings}
        return next((word for word in ("error", "warning") if word in severities), "ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a probe saw. `bare` tells whether the server answered without its credential; None: nobody looked."""

    slug: str
    url: str
    answered: bool | None = None
    error: str = ""
    protocol: str = ""
    has_credential: bool = False
    bare: bool | None = None
    ping: bool | None = None
    repeated: Sequence[str] = ()
    left_out: int = 0
    tools: Sequence[Mapping[str, Any]] = field(default=(), repr=False)


def examine(subject: Subject) -> list[Clause]:
    """Returns every clause with its findings, the worst first. One that was never answered is judged by that alone."""
    if not subject.answered:
        return [Clause("conformance", _TITLES["conformance"], list(_silence(subject)))]
    return [Clause(key, _TITLES[key], _cut(check(subject))) for key, check in _CLAUSES.items()]


def errors_of(clauses: Sequence[Clause]) -> list[Finding]:
    """Returns what stands in the way of listing the server."""
    return [finding for clause in clauses for finding in clause.findings if finding.severity == "error"]


def _silence(subject: Subject) -> Iterator[Finding]:
    if subject.answered is None:
        yield _error("NOT_PROBED", "", "It was never looked at.", "Ask for a probe.")
    else:
        said = f"It did not answer its last probe. {subject.error}".strip()
        yield _error("NO_ANSWER", "", said, "Mend the address, the credential or the server, and probe again.")


def _conformance(subject: Subject) -> Iterator[Finding]:
    if subject.protocol in OLDER:
        said = f"It speaks revision {subject.protocol}."
        yield _warning("OLD_REVISION", "", said, f"Serve {MODERN}: no sessions, and fewer round trips for each call.")
    elif subject.protocol != MODERN:
        said = f"It speaks “{subject.protocol}”, which is no revision that is known here."
        yield _error("UNKNOWN_REVISION", "", said, f"Serve {MODERN}, or one of {', '.join(sorted(OLDER))}.")
    if subject.ping is False:
        yield _warning("NO_PING", "", "It does not answer ping.", "Answer ping with an empty result.")
    for name in subject.repeated:
        yield _error("REPEATED_NAME", name, "The list names this tool twice.", "Give each tool a name of its own.")
    if not subject.tools:
        yield _error("NO_TOOLS", "", "It shows no tool.", "Declare tools, and check that the credential may see them.")


def _naming(subject: Subject) -> Iterator[Finding]:
    for name, _tool in _named(subject):
        exposed = rules.exposed_name(subject.slug, name)
        if exposed != f"{subject.slug}__{name}":
            remedy = f"Use letters, digits, _ and -, at most {rules.MAX_EXPOSED_NAME - len(subject.slug) - 2} of them."
            yield _warning("NAME_CHANGED", name, f"Agents see it as {exposed}.", remedy)
        elif not _PLAIN_NAME.fullmatch(name):
            yield _warning("NAME_STYLE", name, "The name mixes cases or marks.", "Write verb_noun in lower case.")
        if name.startswith((f"{subject.slug}_", f"{subject.slug}-")):
            yield _warning("NAME_REPEATS", name, "The name repeats the server's.", "Leave the server's name out.")


def _schemas(subject: Subject) -> Iterator[Finding]:
    for tool in subject.tools:
        for fault in rules.faults_of(tool):
            place = str(tool.get("name", ""))
            yield _error("CANNOT_BE_LISTED", place, fault[:1].upper() + fault[1:] + ".", "Mend it, or reject the tool.")


def _sizes(subject: Subject) -> Iterator[Finding]:
    if subject.left_out:
        said = f"{subject.left_out} tools of the list were left out: too big, not valid text, or past the limit."
        remedy = f"At most {rules.MAX_TOOLS} tools, each of at most {rules.MAX_DEFINITION_BYTES // 1024} kB."
        yield _error("LEFT_OUT", "", said, remedy)
    sizes = {name: _size(tool) for name, tool in _named(subject)}
    for name, size in sizes.items():
        if size > BIG_DEFINITION:
            said = f"Its definition has {size / 1024:,.0f} kB, which each agent that sees it reads."
            yield _warning("BIG_DEFINITION", name, said, "Shorten descriptions and schemas to below 8 kB.")
    if sum(sizes.values()) > BIG_LIST:
        said = f"All definitions together have {sum(sizes.values()) / 1024:,.0f} kB."
        yield _warning("BIG_LIST", "", said, "Delegate groups of a few tools, or split the server.")
    if len(subject.tools) > MANY_TOOLS:
        said = f"It shows {len(subject.tools)} tools; agents choose badly among so many."
        yield _warning("MANY_TOOLS", "", said, "Approve what is needed, and delegate groups of a few tools.")


def _authentication(subject: Subject) -> Iterator[Finding]:
    if not subject.url:
        return  # a process of this host: nobody else reaches it
    if subject.bare and subject.has_credential:
        said = "It answers without its credential, so whoever reaches the address passes the gateway by."
        yield _error("CREDENTIAL_NOT_DEMANDED", "", said, "Let the server refuse whoever does not show the credential.")
    elif subject.bare:
        said = "It answers anybody: there is no credential, and it asks for none."
        yield _warning("NO_CREDENTIAL", "", said, "Let it ask for a key, and set that key here.")
    elif subject.bare is None:
        yield _warning("NOT_LOOKED", "", "Nobody looked whether it asks for its credential.", "Probe it again.")
    parts = urlsplit(subject.url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        yield _warning("NO_TLS", "", "The credential travels in the clear.", "Serve it over https.")


def _annotations(subject: Subject) -> Iterator[Finding]:
    for name, tool in _named(subject):
        given = tool.get("annotations")
        hints = given if isinstance(given, Mapping) else {}
        if hints.get("readOnlyHint") is True and hints.get("destructiveHint") is True:
            yield _warning(
                "HINTS_CONTRADICT", name, "It says that it only reads and that it destroys.", "Keep one hint."
            )
        elif "readOnlyHint" not in hints and "destructiveHint" not in hints:
            remedy = "Say readOnlyHint or destructiveHint; the approver still decides."
            yield _warning(
                "NO_HINTS", name, "It does not say what it does to the world, so it counts as destroying.", remedy
            )


def _descriptions(subject: Subject) -> Iterator[Finding]:
    for name, tool in _named(subject):
        text = tool.get("description")
        if not isinstance(text, str) or len(text.strip()) < SHORT_DESCRIPTION:
            remedy = "Say in one or two sentences what it does and when to use it."
            yield _warning("THIN_DESCRIPTION", name, "An agent can hardly tell what it is for.", remedy)
        if unsaid := _undescribed(tool):
            said = f"Arguments without a description: {', '.join(unsaid[:5])}."
            yield _warning("ARGUMENTS_UNSAID", name, said, "Describe each argument where its name does not say all.")
        for what in rules.warnings_of(tool):
            yield _warning("LOOK_CLOSELY", name, f"{what[:1].upper()}{what[1:]}.", "Read it before you approve it.")


def _undescribed(tool: Mapping[str, Any]) -> list[str]:
    schema = tool.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return []
    return [str(name) for name, part in properties.items() if isinstance(part, Mapping) and not part.get("description")]


def _named(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields the tools that can be listed by name; the others are told of once, by their faults."""
    for tool in subject.tools:
        if rules.is_tool_name(tool.get("name")):
            yield str(tool["name"]), tool


def _size(tool: Mapping[str, Any]) -> int:
    return len(canonical_json(rules.pinned_definition(tool)))


def _cut(findings: Iterator[Finding]) -> list[Finding]:
    found = sorted(findings, key=lambda finding: finding.severity)
    if len(found) <= MAX_FINDINGS:
        return found
    rest = found[MAX_FINDINGS:]
    said = f"{len(rest)} more like these."
    return [*found[:MAX_FINDINGS], Finding(rest[0].severity, "MORE", "", said, "Mend these first.")]


def _error(code: str, place: str, message: str, remedy: str) -> Finding:
    return Finding("error", code, place, message, remedy)


def _warning(code: str, place: str, message: str, remedy: str) -> Finding:
    return Finding("warning", code, place, message, remedy)


_TITLES: Final = {
    "conformance": "Speaks the protocol",
    "schemas": "Definitions can be listed",
    "naming": "Names agents can use",
    "sizes": "Sizes agents can read",
    "authentication": "Asks for its credential",
    "annotations": "Says what it does to the world",
    "descriptions": "Says what it is for",
}
_CLAUSES: Final[dict[str, Callable[[Subject], Iterator[Finding]]]] = {
    "conformance": _conformance,
    "schemas": _schemas,
    "naming": _naming,
    "sizes": _sizes,
    "authentication": _authentication,
    "annotations": _annotations,
    "descriptions": _descriptions,
}
