"""A document that services take is sound: what is wrong with it is said to the caller, with place and remedy."""

from collections.abc import Iterable, Mapping
from typing import Any

from blueprints.forks.baseline import weakenings
from blueprints.format.findings import Finding
from blueprints.linting import lint, lint_text
from kernel.errors import Invalid


def read_sound(text: str) -> dict[str, Any]:
    """Returns the blueprint that a YAML text writes. Raises `Invalid` with every error, on the field `text`."""
    linted = lint_text(text)
    refuse_errors(linted.findings, "The blueprint is not sound.")
    document: dict[str, Any] = linted.document
    return document


def refuse_unsound(document: Mapping[str, Any], said: str) -> None:
    """Raises `Invalid` with every error of a document that was made and not written."""
    refuse_errors(lint(document), said)


def refuse_weaker(base: Mapping[str, Any], fork: Mapping[str, Any]) -> None:
    """Raises `Invalid` with every way in which a fork proves less than its base."""
    refuse_errors(weakenings(base, fork), "A fork may add to what its base demands, and take nothing from it.")


def refuse_errors(findings: Iterable[Finding], said: str) -> None:
    """Raises `Invalid` when a finding is an error; it carries all findings for machines and one line each for people."""
    found = list(findings)
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        raise Invalid(
            said,
            code="unsound",
            errors={"text": [sentence_of(finding) for finding in errors]},
            findings=[finding.as_dict() for finding in found],
        )


def sentence_of(finding: Finding) -> str:
    """Returns a finding as one sentence for a person; a line can hold several things, so the path stands behind it."""
    line = f"Line {finding.line}: " if finding.line else ""
    where = f"{finding.code} {finding.path}" if finding.path else finding.code
    return f"{line}{finding.message} {finding.remedy} [{where}]"
