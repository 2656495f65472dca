"""What a blueprint needs of its runtime, read from what its nodes do: the declaration may say more, never less."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from blueprints.format.findings import Finding, fault

FILESYSTEMS: Final = ("none", "scratch", "repo-ro", "repo-rw")
NETWORKS: Final = ("none", "gateway")
_DEFAULTS: Final[dict[str, Any]] = {"filesystem": "none", "network": "none"}
_PACKAGES: Final = re.compile(
    r"\b(?:pip3?|uv|poetry|pdm|npm|pnpm|yarn|bun|bundle|gem|cargo|go|composer|apt-get|apk|dnf|conda|dotnet)\b[^;&|]*"
    r"\b(?:install|ci|sync|add|update|upgrade|lock|get|fetch|restore|download|outdated)\b"
)
_COMPILERS: Final = re.compile(
    r"\b(?:cargo (?:build|test)|go (?:build|test)|gcc|g\+\+|clang|javac|mvn|gradlew?|cmake|tsc)\b"
)


class Need(NamedTuple):
    """One need, the value that is at least needed, and the node it comes from."""

    name: str
    value: Any
    because: str


def derived(document: Mapping[str, Any]) -> Iterator[Need]:
    """Yields what the nodes need, whatever is declared."""
    commands = {check["id"]: check["command"] for check in document["checks"] if "command" in check}
    for node in document["nodes"]:
        name = node["id"]
        for key, value in node.get("needs", {}).items():
            yield Need(key, value, f"the node {name!r} says so itself")
        if node["kind"] == "run":
            yield from _of_command(node["command"], f"the node {name!r} runs a command")
        elif node["kind"] == "agent":
            yield from _of_agent(node)
        elif node["kind"] == "tool":
            yield Need("network", "gateway", f"the node {name!r} calls a tool")
        elif node["kind"] == "validate":
            for check in node["checks"]:
                if check in commands:
                    yield from _of_command(commands[check], f"the check {check!r} runs a command")


def _of_command(command: list[str], because: str) -> Iterator[Need]:
    text = " ".join(command)
    yield Need("shell", True, because)
    yield Need("filesystem", "repo-ro", because)
    if _PACKAGES.search(text):
        yield Need("packages", True, f"{because} that fetches packages")
        yield Need("network", "gateway", f"{because} that fetches packages")
    if _COMPILERS.search(text):
        yield Need("compile", True, f"{because} that compiles")


def _of_agent(node: Mapping[str, Any]) -> Iterator[Need]:
    because = f"the agent {node['id']!r}"
    yield Need("network", "gateway", f"{because} talks to its model")
    if "read" in node["may"]:
        yield Need("filesystem", "repo-ro", f"{because} may read")
    if "edit" in node["may"]:
        yield Need("filesystem", "repo-rw", f"{because} may edit")
    if "execute" in node["may"]:
        yield Need("shell", True, f"{because} may execute")
        yield Need("filesystem", "scratch", f"{because} may execute")


def covers(name: str, declared: Any, needed: Any) -> bool:
    """Tells whether a declared need is at least the needed one."""
    if name == "filesystem":
        return FILESYSTEMS.index(declared) >= FILESYSTEMS.index(needed)
    if name == "network":
        return NETWORKS.index(declared) >= NETWORKS.index(needed)
    return bool(declared >= needed)


def check_needs(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields each declared need that is less than what the nodes need, once, with the reason."""
    declared = document["needs"]
    said: set[str] = set()
    for need in sorted(derived(document), key=_greatest_first):
        have = declared.get(need.name, _DEFAULTS.get(need.name, 0))
        if need.name not in said and not covers(need.name, have, need.value):
            said.add(need.name)
            shown = str(need.value).lower()
            message = f"The blueprint needs {need.name} {shown}, because {need.because}."
            yield fault("NEEDS_UNDERDECLARED", ("needs", need.name), message, f"Write `{need.name}: {shown}`.")
    if declared.get("interactive") and document["pattern"] == "dark-factory":
        message = "Nobody is there in a dark factory to interact with."
        yield fault("NEEDS_CONTRADICT", ("needs", "interactive"), message, "Change the pattern or the need.")


def _greatest_first(need: Need) -> tuple[str, int]:
    order = {"filesystem": FILESYSTEMS, "network": NETWORKS}.get(need.name)
    return need.name, -(order.index(need.value) if order else int(need.value))


def resolved_needs(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the declared needs, each raised to what the nodes need: what a runtime is chosen by."""
    found = dict(_DEFAULTS) | dict(document["needs"])
    for need in derived(document):
        if not covers(need.name, found.get(need.name, 0), need.value):
            found[need.name] = need.value
    return found
