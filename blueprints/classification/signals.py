"""The catalogue of signals: what each one says, from which level on it is needed, and what to do when it is not met."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """What is known of a signal. Only `met` counts; what could not be found out counts as not met."""

    MET = "met"
    UNMET = "unmet"
    UNKNOWN = "unknown"


class Executed(StrEnum):
    """What is known of a signal that only running the repository can give."""

    NOT_RUN = "not_run"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One signal of one checkout, with the facts that led to its state."""

    state: State
    facts: Mapping[str, object] = field(default_factory=dict)


def found(holds: bool | None, **facts: object) -> Finding:  # noqa: FBT001 - the answer itself
    """Returns a finding: met, unmet, or unknown for None."""
    state = State.UNKNOWN if holds is None else State.MET if holds else State.UNMET
    return Finding(state, facts)


@dataclass(frozen=True, slots=True)
class Signal:
    """A statement about a repository, put so that it is good when it holds."""

    name: str
    level: int
    says: str
    remedy: str


LEVELS: Final = ("opaque", "readable", "tested", "guarded", "proven", "exemplary")

FILE_SIGNALS: Final = (
    # 1: readable
    Signal("checkout.commit", 1, "A commit is checked out.", "Commit the work, so that the result can name what it speaks of."),
    Signal("shape.own_code", 1, "At least half of the code files are the repository's own.", "Hold the code that is worked on here, and take vendored and generated code out of the repository."),
    Signal("conventions.readme", 1, "A README says what this is.", "Add a README that says what this is and how it is set up."),
    # 2: tested
    Signal("tests.real", 2, "Tests assert something: at least 3 cases, and at least half of all cases.", "Write tests whose cases assert what the code does; a test without an assertion proves nothing."),
    Signal("tests.ratio", 2, "Asserting test cases have at least a tenth of the lines of the code.", "Test more of the code: tests should have at least a tenth of its lines."),
    Signal("tests.every_package", 2, "Every package with a tenth of the code or more has asserting tests.", "Write tests in the packages that have none."),
    Signal("tests.command", 2, "A command that runs the tests can be found.", "Declare the test command where tools look for it (package.json, pyproject.toml, Makefile)."),
    Signal("lock.present", 2, "Dependencies are locked in every package.", "Commit a lock file next to each manifest."),
    # 3: guarded
    Signal("ci.tests_changes", 3, "CI runs the tests on each change, and a failure stops it.", "Let CI run the tests on every pull request, and let a failing test fail the pipeline."),
    Signal("conventions.agents", 3, "Instructions for agents name the test command (AGENTS.md or alike, at most 32 KiB).", "Write an AGENTS.md with the commands that set up, test and lint."),
    Signal("safety.no_secrets", 3, "No key or password was seen in the files.", "Take the secrets out of the files, and replace them: they are in the history."),
    Signal("environment.toolchain", 3, "The toolchain's version is pinned.", "Pin the toolchain (.tool-versions, .python-version, .nvmrc, a tagged image, a wrapper)."),
    Signal("conventions.lint", 3, "A linter, formatter or type checker is configured.", "Configure a linter and a formatter."),
    Signal("tests.not_skipped", 3, "At most a fifth of the test cases is skipped.", "Mend or remove the tests that are skipped."),
    # 4: proven, beside the executed signals
    Signal("checkout.clean", 4, "What was read is what the commit holds.", "Classify a clean clone: what was read is not what was committed."),
    Signal("shape.read_whole", 4, "The whole repository was read within the limits.", "Split the repository or make unreadable files readable: parts of it were not looked at."),
    Signal("safety.regulated", 4, "No path is marked as regulated, or its domain's harness is in force.", "Let the domain that owns the regulation put its harness in force for this team."),
    Signal("safety.owned_changes", 4, "Deployment and migrations have owners who review them.", "Name owners of deployment and migration files in CODEOWNERS."),
    # 5: exemplary
    Signal("safety.secret_scan", 5, "Secrets are scanned for.", "Scan for secrets before a commit or in CI."),
    Signal("safety.owners", 5, "CODEOWNERS says who reviews what.", "Add CODEOWNERS."),
    Signal("ci.pinned", 5, "Actions of others are pinned by digest.", "Pin the actions that CI uses by commit digest."),
    Signal("ci.lints", 5, "CI runs a linter.", "Let CI run the linter."),
    Signal("tests.coverage", 5, "Coverage has a threshold.", "Set a coverage threshold that fails the tests."),
    Signal("environment.container", 5, "The environment is described as a container or in Nix.", "Add a devcontainer, a Dockerfile or a flake."),
    Signal("conventions.contributing", 5, "CONTRIBUTING says how a change gets in.", "Add CONTRIBUTING."),
    Signal("safety.policy", 5, "A security policy says where to report.", "Add SECURITY.md."),
    Signal("safety.branch_rules", 5, "Branch rules are kept in the repository.", "Keep the rules of protected branches as files."),
    Signal("history.shared", 5, "At least two people wrote it.", "Let a second person work on it."),
    Signal("history.alive", 5, "It changed within 180 days.", "See whether anyone still looks after it."),
)  # fmt: skip

EXECUTED_SIGNALS: Final = (
    Signal("executed.setup", 4, "Set-up works in a sandbox.", "Run the set-up in a sandbox."),
    Signal("executed.tests", 4, "Tests pass twice with equal results.", "Run the tests twice in a sandbox; mend what fails or differs."),
    Signal("executed.mutation", 4, "Tests notice when lines are broken.", "Run the mutation smoke; test what may be broken unnoticed."),
    Signal("executed.lint", 4, "The linter has no findings.", "Run the linter in a sandbox; mend its findings."),
    Signal("executed.as_instructed", 4, "The test command that ran is the one in the instructions.", "Run the test command that the instructions for agents name."),
)  # fmt: skip

CATALOGUE: Final = {signal.name: signal for signal in (*FILE_SIGNALS, *EXECUTED_SIGNALS)}
