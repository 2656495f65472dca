"""What a line of shell does: whether it runs tests or a linter, and whether its failure would be noticed."""

import re
from collections.abc import Iterable
from typing import Final

_TESTS: Final = re.compile(
    r"\b(?:pytest|py\.test|tox|nox|unittest|(?:npm|yarn|pnpm|bun)(?: run)?(?: -[\w-]+)* t(?:est)?(?:[:\w-]*)|jest|vitest|mocha|ava|"
    r"npx (?:jest|vitest|mocha)|(?:node|deno|mix|swift|dotnet|go|cargo|bazel|rails|elixir) (?:--)?test|cargo nextest|"
    r"mvnw? [^|;&\n]{0,200}?\b(?:test|verify|install|package)|gradlew? [^|;&\n]{0,200}?\b(?:test|check|build)|rspec|rake (?:test|spec)|phpunit|"
    r"ctest|bats|(?:make|just|task) (?:[\w-]+ )*(?:tests?|check))(?=[\s;&|)\"'`]|$)"
)
_LINTS: Final = re.compile(
    r"\b(?:ruff|flake8|pylint|mypy|pyright|eslint|biome|tsc|prettier --check|golangci-lint|go vet|staticcheck|clippy|"
    r"checkstyle|spotbugs|spotless\w*|ktlint|detekt|rubocop|phpstan|clang-tidy|shellcheck|pre-commit|"
    r"(?:make|just) (?:[\w-]+ )*lint|(?:npm|yarn|pnpm) (?:run )?lint)\b"
)
_NO_TESTS: Final = re.compile(
    r"-DskipTests|-Dmaven\.test\.skip|-x test\b|--collect-only|--no-run\b|passWithNoTests|--version|--help"
)
_SAYS_ONLY: Final = re.compile(r"\s*(?:[@-]+[ \t]*)?(?:echo|printf|#|:|true\b|exit 0|Write-Host)")
_SWALLOWED: Final = re.compile(r"(?:\|\||;)\s*(?:true|:|exit 0|echo\b[^|]*)\s*$|^-")
_INSTALLS: Final = re.compile(
    r"\b(?:pip|pip3|uv|npm|yarn|pnpm|apt|apt-get|brew|gem|poetry|go|cargo) (?:pip )?(?:install|add|get|i)\b"
)
_MAX_LINE: Final = 2000


def lines_of(script: str) -> list[str]:
    """Returns the commands of a script, with continued lines joined and overlong lines cut."""
    return [line.strip()[:_MAX_LINE] for line in script.replace("\\\n", " ").splitlines() if line.strip()]


def runs_tests(script: str, hollow: frozenset[str] = frozenset()) -> bool:
    """Tells whether a script runs tests and fails when they fail. `hollow` names commands that are known to do nothing."""
    if re.search(r"(?m)^\s{0,20}set \+e\b", script):
        return False
    return any(_tests(line, hollow) for line in lines_of(script))


def _tests(line: str, hollow: frozenset[str]) -> bool:
    if _SAYS_ONLY.match(line) or _SWALLOWED.search(line) or _NO_TESTS.search(line):
        return False
    parts = (part.strip() for part in re.split(r"&&|;", line))
    return any(_TESTS.search(part) and not _idle(part, hollow) for part in parts)


def _idle(part: str, hollow: frozenset[str]) -> bool:
    return bool(_SAYS_ONLY.match(part) or _INSTALLS.search(part)) or any(part.startswith(name) for name in hollow)


def runs_linter(script: str) -> bool:
    """Tells whether a script runs a linter, formatter or type checker and fails when it finds something."""
    lines = (line for line in lines_of(script) if not _SAYS_ONLY.match(line) and not _SWALLOWED.search(line))
    return any(_LINTS.search(part) and not _INSTALLS.search(part) for line in lines for part in re.split(r"&&|;", line))


def code_in_markdown(text: str) -> list[str]:
    """Returns the lines of fenced blocks and the inline code of a Markdown text."""
    fenced: list[str] = []
    prose: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            inside = not inside
        else:
            (fenced if inside else prose).append(line.strip().removeprefix("$ "))
    return [line for line in fenced if line] + re.findall(r"`([^`\n]{2,300})`", "\n".join(prose))


def commands_that_test(codes: Iterable[str], hollow: frozenset[str] = frozenset()) -> list[str]:
    """Returns those pieces of code that run tests."""
    return [code for code in codes if runs_tests(code, hollow)]
