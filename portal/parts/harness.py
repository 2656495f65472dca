"""What the pages of the harness show: checks in force by tier, each value with who set it, and what a layer says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from blueprints.harness.layers import EVIDENCE, TIERS, Check
from blueprints.harness.merging import Refusal
from blueprints.harness.parameters import Parameter
from blueprints.queries.harness import Harness, today
from portal.parts import marks
from tenants.models import Tenant

STRICTER: Final = {
    "up": "greater",
    "down": "smaller",
    "lower": "earlier",
    "grow": "more",
    "shrink": "fewer",
    "fixed": "fixed",
}
EVIDENCE_NAMES: Final = {"sarif": "SARIF", "junit": "JUnit", "coverage": "Coverage", "statement": "Statement"}
TITLES: Final = {"platform": "Platform", "domain": "Domains", "team": "Team"}


@dataclass(frozen=True, slots=True)
class Value:
    """One parameter of a check in force."""

    name: str
    parameter: Parameter
    setters: list[Tenant]
    is_tightened: bool

    @property
    def text(self) -> str:
        """The value as people write it."""
        return said(self.parameter.value)

    @property
    def stricter(self) -> str:
        """In which direction it gets stricter."""
        order = f": {', '.join(self.parameter.scale)}" if self.parameter.scale else ""
        return STRICTER[self.parameter.direction] + order


@dataclass(frozen=True, slots=True)
class Row:
    """One check in force, as one tenant sees it."""

    check: Check
    owners: list[Tenant]
    blockers: list[Tenant]
    values: list[Value]
    evidence: list[tuple[str, list[Tenant]]]
    is_own: bool

    @property
    def state(self) -> SafeString:
        """Whether it blocks, as a badge."""
        if self.check.waived:
            return marks.badge("Waived", "warn", "clock")
        return marks.badge("Blocks", "ok", "lock") if self.check.blocking else marks.badge("Advises")

    @property
    def tighteners(self) -> list[str]:
        """The slugs of tenants that made something of it stricter than its owner."""
        asked = [name for names in self.check.evidence_by.values() for name in names]
        made = [name for names in self.check.tightened.values() for name in names]
        owners = self.check.owners
        return [name for name in dict.fromkeys([*made, *self.check.blocked_by, *asked]) if name not in owners]

    @property
    def can_be_tightened(self) -> bool:
        """Whether there is anything that a lower tier could still ask for."""
        movable = any(value.parameter.direction != "fixed" for value in self.values)
        return not self.is_own and (movable or not self.check.blocking or len(self.evidence) < len(EVIDENCE))


@dataclass(frozen=True, slots=True)
class Tier:
    """The checks that tenants of one tier brought."""

    name: str
    title: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a layer itself tightens of one check of above, in words."""

    check: str
    words: str
    has_lapsed: bool


@dataclass(frozen=True, slots=True)
class Given:
    """A waiver of one's own check."""

    check: str
    written: Mapping[str, Any]
    expires: date

    @property
    def holds(self) -> bool:
        """Whether it is in force today."""
        return self.expires >= today()


def tiers(found: Harness) -> list[Tier]:
    """Returns the checks in force by tier, uppermost first; a tier without a check is left out but for the own one."""
    by_tier = {name: [_row(found, check) for check in found.checks if check.tier == name] for name in TIERS}
    titles = {**TITLES, found.tenant.tier: found.tenant.name}
    return [Tier(name, titles[name], rows) for name, rows in by_tier.items() if rows or name == found.tenant.tier]


def _row(found: Harness, check: Check) -> Row:
    values = [
        Value(name, parameter, _named(found, check.set_by.get(name, ())), name in check.tightened)
        for name, parameter in sorted(check.parameters.items())
    ]
    evidence = [(EVIDENCE_NAMES[kind], _named(found, names)) for kind, names in sorted(check.evidence_by.items())]
    is_own = found.tenant.slug in check.owners
    return Row(check, _named(found, check.owners), _named(found, check.blocked_by), values, evidence, is_own)


def _named(found: Harness, slugs: Iterable[str]) -> list[Tenant]:
    return [found.sources[slug] for slug in slugs if slug in found.sources]


def entries(found: Harness) -> Iterator[Entry]:
    """Yields what the tenant's own layer tightens."""
    lapsed = {one.finding.path.split("/")[2] for one in own_lapsed(found) if one.finding.path.startswith("/tighten/")}
    for place, written in enumerate(found.document.get("tighten", ())):
        yield Entry(written["check"], ", ".join(_words(written)), str(place) in lapsed)


def own_lapsed(found: Harness) -> list[Refusal]:
    """Returns what of the tenant's own layer fits no more."""
    return [one for one in found.lapsed if one.tenant == found.tenant.slug]


def _words(written: Mapping[str, Any]) -> Iterator[str]:
    for name, value in sorted(written.get("parameters", {}).items()):
        yield f"{name} {said(value) or 'none'}"
    if written.get("blocking"):
        yield "blocks"
    for kind in written.get("evidence", ()):
        yield f"keeps {EVIDENCE_NAMES[kind]}"


def own_waivers(found: Harness) -> list[Given]:
    """Returns the waivers of the tenant's own layer, those that are over included."""
    written = found.document.get("waivers", ())
    return [Given(one["check"].partition("/")[2], one, date.fromisoformat(one["expires"])) for one in written]


def said(value: Any) -> str:
    """Returns a value of a parameter as people write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, list | tuple) else str(value)


def direction_hint(parameter: Parameter) -> str:
    """Returns what stands below a field in which a value is made stricter."""
    words = {
        "up": "Greater is stricter.",
        "down": "Smaller is stricter.",
        "lower": "An earlier word is stricter.",
        "grow": "More is stricter; one word per line.",
        "shrink": "Fewer is stricter.",
    }
    return f"In force: {said(parameter.value) or 'none'}. {words[parameter.direction]}"


def place_of(finding: Any) -> SafeString:
    """Returns where a finding stands: the line of the text when it was read from one, and the path."""
    line = f"Line {finding.line}" if finding.line else ""
    path = format_html("<code>{}</code>", finding.path) if finding.path else ""
    return format_html("{}{}{}", line, " " if line and path else "", path)
