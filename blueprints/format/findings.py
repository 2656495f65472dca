"""What is wrong with a document: where it stands, why it matters, and what to do about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

MAX_FAULTS: Final = 200
"""What has no right shape in more places than this is not worth the time to explain."""

Severity = Literal["error", "warning"]
Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Line and column in the text that was read, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault. `path` is a JSON pointer; the place is known when the document was read from text."""

    code: str
    path: str
    message: str
    remedy: str
    severity: Severity = "error"
    line: int | None = None
    column: int | None = None

    def as_dict(self) -> dict[str, object]:
        """Returns the finding for machines."""
        names = ("code", "severity", "path", "line", "column", "message", "remedy")
        return {name: getattr(self, name) for name in names}

    def as_text(self, source: str) -> str:
        """Returns the finding for people, on two lines; the first is what editors parse."""
        place = f"{source}:{self.line}:{self.column}" if self.line else source
        return f"{place}: {self.severity}: {self.message} [{self.code} {self.path or '/'}]\n    {self.remedy}"


def pointer(path: Iterable[str | int]) -> str:
    """Returns the JSON pointer (RFC 6901) of a path; the whole document is the empty text."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def steps(text: str) -> tuple[str, ...]:
    """Returns the parts of a JSON pointer: the inverse of `pointer`, but for numbers that come back as text."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def located(findings: Iterable[Finding], places: Mapping[str, Place]) -> list[Finding]:
    """Returns the findings with their places, in the order of the text; what is absent takes its parent's place."""
    found = [_locate(finding, places) for finding in findings]
    return sorted(found, key=lambda finding: (finding.line or 0, finding.column or 0, finding.path, finding.code))


def _locate(finding: Finding, places: Mapping[str, Place]) -> Finding:
    path = finding.path
    while path and path not in places:
        path = path.rpartition("/")[0]
    place = places.get(path)
    return finding if place is None else replace(finding, line=place.line, column=place.column)


def fault(code: str, path: Path, message: str, remedy: str) -> Finding:
    """Returns an error at a path."""
    return Finding(code=code, path=pointer(path), message=message, remedy=remedy)


def warning(code: str, path: Path, message: str, remedy: str) -> Finding:
    """Returns a warning at a path: it is shown, and refuses nothing."""
    return Finding(code=code, path=pointer(path), message=message, remedy=remedy, severity="warning")
