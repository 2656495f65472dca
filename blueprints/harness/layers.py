"""One tier's layer as it is written: its own checks, what it tightens of those above, and its waivers. Closed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any, Final

from blueprints.format.findings import MAX_FAULTS, Finding, Path, fault
from blueprints.format.schema import ARGV, IDENT, LINE, PROSE, SENSOR, SLUG
from blueprints.format.shapes import Choice, Flag, Many, Named, Record, Text
from blueprints.harness.parameters import DIRECTIONS, Parameter

TIERS: Final = ("platform", "domain", "team")
_WORD: Final = Text(most=200)


class _Value:
    """A number, a word, true or false, or a list of words: what a parameter can hold."""

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        words = isinstance(value, list) and len(value) <= 200 and all(isinstance(word, str) for word in value)
        if not (words or isinstance(value, str | int)):
            yield fault("TYPE", path, "This is no value of a parameter.", "Write a number, a word, or a list of words.")

    def schema(self) -> dict[str, Any]:
        words = {"type": "array", "items": {"type": "string"}, "maxItems": 200}
        return {"anyOf": [{"type": ["string", "integer", "boolean"]}, words]}


_EVIDENCE: Final = Many(of=Choice(("sarif", "junit", "coverage", "statement")), most=4, unique=True)
_PARAMETER: Final = Record(
    required={"direction": Choice(DIRECTIONS), "value": _Value()},
    optional={"scale": Many(of=_WORD, least=2, most=20, unique=True)},
)
LAYER: Final = Record(
    required={
        "harness": Choice((1,)),
        "owner": Record(required={"tier": Choice(TIERS), "tenant": Text(most=48, pattern=SLUG, form="a slug")}),
    },
    optional={
        "checks": Many(
            of=Record(
                required={"id": IDENT, "title": LINE, "sensor": SENSOR, "blocking": Flag()},
                optional={
                    "command": ARGV,
                    "prompt": PROSE,
                    "parameters": Named(of=_PARAMETER, names=IDENT),
                    "evidence": _EVIDENCE,
                },
            ),
            key="id",
            most=200,
        ),
        "tighten": Many(
            of=Record(
                required={"check": Text(most=100, pattern=rf"{SLUG}/[a-z][a-z0-9_]*", form="a check as tenant/id")},
                optional={"parameters": Named(of=_Value(), names=IDENT), "blocking": Flag(), "evidence": _EVIDENCE},
            ),
            key="check",
            most=200,
        ),
        "waivers": Many(
            of=Record(
                required={
                    "check": Text(most=100, pattern=rf"{SLUG}/[a-z][a-z0-9_]*", form="a check as tenant/id"),
                    "person": Text(most=100),
                    "reason": Text(least=10, most=1_000),
                    "expires": Text(most=10, pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2}", form="a day such as 2027-01-31"),
                }
            ),
            key="check",
            most=50,
        ),
    },
)


@dataclass(frozen=True, slots=True)
class Waiver:
    """One owner's own check does not block for a while: who said so, why, and until which day."""

    owner: str
    person: str
    reason: str
    expires: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check in force: whose it is, what it does, and how strict. `tightened` names who set each stricter value."""

    id: str
    tier: str
    owners: tuple[str, ...]
    title: str
    sensor: str
    blocking: bool
    command: tuple[str, ...] = ()
    prompt: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    evidence: frozenset[str] = frozenset()
    tightened: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Returns what lower tiers may call it: one name for each owner."""
        return frozenset(f"{owner}/{self.id}" for owner in self.owners)

    @property
    def waived(self) -> bool:
        """Tells whether every owner waives it: one owner cannot speak for another."""
        return {waiver.owner for waiver in self.waivers} >= set(self.owners)

    def as_dict(self) -> dict[str, Any]:
        """Returns the check for machines, with the source of everything."""
        return {
            "id": self.id,
            "tier": self.tier,
            "owners": list(self.owners),
            "title": self.title,
            "sensor": self.sensor,
            "blocking": self.blocking,
            "command": list(self.command),
            "prompt": self.prompt,
            "parameters": {name: parameter.as_dict() for name, parameter in self.parameters.items()},
            "evidence": sorted(self.evidence),
            "tightened": {name: list(owners) for name, owners in self.tightened.items()},
            "waived": self.waived,
        }


def check_layer(document: Any) -> list[Finding]:
    """Returns what is wrong with a layer by itself: its shape, its parameters, and checks that do nothing."""
    found = list(islice(LAYER.check(document, ()), MAX_FAULTS))
    return found or [*_check_checks(document), *_check_days(document)]


def _check_checks(document: Mapping[str, Any]) -> Iterator[Finding]:
    for place, check in enumerate(document.get("checks", ())):
        here: Path = ("checks", place)
        means = "command" if check["sensor"] == "computational" else "prompt"
        if {"command", "prompt"} & check.keys() != {means}:
            yield fault(
                "SENSOR", here, f"A check that is {check['sensor']} has a {means} and nothing else.", "Correct it."
            )
        for name, written in check.get("parameters", {}).items():
            try:
                Parameter.read(written)
            except ValueError as error:
                where = (*here, "parameters", name)
                yield fault("PARAMETER", where, f"This cannot be a parameter: {error}.", "Correct value or direction.")


def _check_days(document: Mapping[str, Any]) -> Iterator[Finding]:
    for place, waiver in enumerate(document.get("waivers", ())):
        try:
            date.fromisoformat(waiver["expires"])
        except ValueError:
            yield fault("FORM", ("waivers", place, "expires"), f"{waiver['expires']} is no day.", "Write a real day.")


def own_checks(layer: Mapping[str, Any]) -> list[Check]:
    """Returns the checks that a sound layer brings itself."""
    return [
        Check(
            id=written["id"],
            tier=layer["owner"]["tier"],
            owners=(layer["owner"]["tenant"],),
            title=written["title"],
            sensor=written["sensor"],
            blocking=written["blocking"],
            command=tuple(written.get("command", ())),
            prompt=written.get("prompt", ""),
            parameters={name: Parameter.read(one) for name, one in written.get("parameters", {}).items()},
            evidence=frozenset(written.get("evidence", ())),
        )
        for written in layer.get("checks", ())
    ]
