"""Whether dependencies are locked, and which test commands the manifests declare."""

import json
import re
import tomllib
from typing import Any, Final

from blueprints.classification.commands import runs_tests
from blueprints.classification.signals import Finding, found
from blueprints.classification.suites import package_roots
from blueprints.classification.tree import Tree, show

_LOCKS: Final[dict[str, tuple[str, ...]]] = {
    "package.json": (
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "bun.lockb",
    ),
    "pyproject.toml": ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "requirements.lock"),
    "setup.py": ("uv.lock", "poetry.lock", "pylock.toml", "requirements.lock"),
    "requirements.txt": ("requirements.lock",),
    "Pipfile": ("Pipfile.lock",),
    "go.mod": ("go.sum",),
    "build.gradle": ("gradle.lockfile", "gradle/verification-metadata.xml"),
    "build.gradle.kts": ("gradle.lockfile", "gradle/verification-metadata.xml"),
    "pom.xml": (),
    "Cargo.toml": ("Cargo.lock",),
    "Gemfile": ("Gemfile.lock",),
    "composer.json": ("composer.lock",),
    "mix.exs": ("mix.lock",),
    "deno.json": ("deno.lock",),
}
_LOOSE_MAVEN: Final = re.compile(r"<version>[^<]{0,100}(?:SNAPSHOT|LATEST|RELEASE|[\[(][^<]{0,100},)")
_PINNED_LINE: Final = re.compile(r"\s*(?:#|-r|-c|--|$)|[^\s=<>~!]+\s*===?\s*[^\s*,]+")


def _has_dependencies(name: str, text: str) -> bool:
    """Tells whether a manifest asks for anything; when it cannot be read the answer is yes."""
    try:
        match name:
            case "package.json":
                data = json.loads(text)
                return any(data.get(key) for key in ("dependencies", "devDependencies", "optionalDependencies"))
            case "pyproject.toml":
                return _python_dependencies(tomllib.loads(text))
            case "go.mod":
                return re.search(r"(?m)^\s{0,40}require\b", text) is not None
            case _:
                return True
    except (ValueError, AttributeError, RecursionError):
        return True


def _python_dependencies(data: dict[str, Any]) -> bool:
    project = data.get("project", {})
    named = [project.get("dependencies"), project.get("optional-dependencies"), data.get("dependency-groups")]
    poetry = data.get("tool", {}).get("poetry", {})
    return any(named) or len(poetry.get("dependencies", {})) > 1 or "dynamic" in project


def _is_locked(tree: Tree, folder: str, name: str) -> bool:
    text = tree.text(_join(folder, name))
    if not _has_dependencies(name, text):
        return True
    if name == "pom.xml":
        return bool(text) and not _LOOSE_MAVEN.search(text)
    if name in {"requirements.txt", "setup.py", "pyproject.toml"} and _pins_all(
        tree.text(_join(folder, "requirements.txt"))
    ):
        return True
    places = [folder, *_parents(folder)]
    return any(tree.files.get(_join(place, lock)) for place in places for lock in _LOCKS[name])


def _pins_all(text: str) -> bool:
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return any("==" in line for line in lines) and all(_PINNED_LINE.match(line) for line in lines)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _parents(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)] + ([""] if folder else [])


def find_locks(tree: Tree) -> dict[str, Finding]:
    """Returns the signal of the lock files: every manifest with dependencies has one, here or above it."""
    wanted = [(folder, name) for folder in package_roots(tree) for name in _LOCKS if _join(folder, name) in tree.files]
    loose = [show(_join(folder, name)) for folder, name in wanted if not _is_locked(tree, folder, name)]
    return {"lock.present": found(bool(wanted) and not loose, manifests=len(wanted), without=sorted(loose)[:20])}


def declared_tests(tree: Tree) -> tuple[list[str], frozenset[str]]:
    """Returns the test commands that the top of the tree declares, and those names of commands that do nothing."""
    commands: list[str] = []
    hollow: set[str] = set()
    _npm(tree, commands, hollow)
    _make(tree, commands, hollow)
    for name, command in _BY_FILE.items():
        if tree.files.get(name):
            commands.append(command)
    if _configures_pytest(tree):
        commands.append("pytest")
    return list(dict.fromkeys(commands)), frozenset(hollow)


_BY_FILE: Final = {
    "tox.ini": "tox",
    "noxfile.py": "nox",
    "pytest.ini": "pytest",
    "go.mod": "go test ./...",
    "Cargo.toml": "cargo test",
    "pom.xml": "mvn test",
    "build.gradle": "gradle test",
    "build.gradle.kts": "gradle test",
    "mix.exs": "mix test",
    ".rspec": "rspec",
    "phpunit.xml": "phpunit",
    "phpunit.xml.dist": "phpunit",
}


def _configures_pytest(tree: Tree) -> bool:
    return "[tool.pytest" in tree.text("pyproject.toml") or "[tool:pytest]" in tree.text("setup.cfg")


def _npm(tree: Tree, commands: list[str], hollow: set[str]) -> None:
    try:
        data = json.loads(tree.text("package.json"))
        script = data.get("scripts", {}).get("test", "")
    except (ValueError, AttributeError, RecursionError):
        return
    names = [f"{tool} {word}" for tool in ("npm", "yarn", "pnpm", "bun") for word in ("test", "t", "run test")]
    if isinstance(script, str) and _is_real(script):
        commands.append("npm test")
    else:
        hollow.update(names)


def _is_real(script: str) -> bool:
    """A script may call any runner by any name; only what is known to do nothing is not one."""
    return runs_tests(script) or bool(script.strip() and not re.match(r"\s*(?:echo|exit|true|:)", script))


def _make(tree: Tree, commands: list[str], hollow: set[str]) -> None:
    text = tree.text("Makefile")
    for target in ("test", "check", "tests"):
        match = re.search(rf"(?m)^{target}[ \t]*:(?!=)([^\n]*)\n((?:\t[^\n]*\n?)*)", text + "\n")
        if match is None:
            continue
        recipe = [line.strip().lstrip("@-") for line in match[2].splitlines() if line.strip()]
        if match[1].strip() or any(_is_real(line) for line in recipe):
            commands.append(f"make {target}")
        else:
            hollow.add(f"make {target}")


def find_command(commands: list[str]) -> dict[str, Finding]:
    """Returns the signal of the test command."""
    return {"tests.command": found(bool(commands), commands=[show(command) for command in commands[:20]])}
