"""One tier's layer as it is written: its own checks, what it tightens of those above, and its waivers. Closed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any, Final

from blueprints.format.findings import MAX_FAULTS, Finding, Path, fault
from blueprints.format.reading import MAX_INTEGER
from blueprints.format.schema import ARGV, IDENT, LINE, PROSE, SENSOR, SLUG
from blueprints.format.shapes import Choice, Flag, Many, Named, Record, Text, Whole
from blueprints.harness.parameters import DIRECTIONS, Parameter

TIERS: Final = ("platform", "domain", "team")
EVIDENCE: Final = ("sarif", "junit", "coverage", "statement")
_WORD: Final = Text(most=200)
_WORDS: Final = Many(of=_WORD, most=200)
_NUMBER: Final = Whole(least=-MAX_INTEGER, most=MAX_INTEGER)


class _Value:
    """A number, a word, true or false, or a list of words: what a parameter can hold."""

    def check(self, value: Any, path: Path) -> Iterator[Finding]:
        if isinstance(value, bool):
            return
        shape = next(
            (shape for kind, shape in ((str, _WORD), (int, _NUMBER), (list, _WORDS)) if isinstance(value, kind)), None
        )
        if shape is None:
            yield fault("TYPE", path, "This is no value of a parameter.", "Write a number, a word, or a list of words.")
        else:
            yield from shape.check(value, path)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "boolean"}, *(shape.schema() for shape in (_WORD, _NUMBER, _WORDS))]}


_EVIDENCE: Final = Many(of=Choice(EVIDENCE), most=len(EVIDENCE), unique=True)
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

    def as_dict(self) -> dict[str, str]:
        """Returns the waiver for machines."""
        return {
            "owner": self.owner,
            "person": self.person,
            "reason": self.reason,
            "expires": self.expires.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check in force: whose it is, what it does, and how strict, each with its source.

    `set_by` names the tenants whose value of a parameter is the one in force, `tightened` all who made it stricter,
    `blocked_by` who lets the check block, and `evidence_by` who asks for a kind of evidence.
    """

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
    set_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blocked_by: tuple[str, ...] = ()
    evidence_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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
            "set_by": {name: list(tenants) for name, tenants in self.set_by.items()},
            "blocked_by": list(self.blocked_by),
            "evidence_by": {kind: list(tenants) for kind, tenants in sorted(self.evidence_by.items())},
            "tightened": {name: list(tenants) for name, tenants in self.tightened.items()},
            "waivers": [waiver.as_dict() for waiver in self.waivers],
            "waived": self.waived,
        }


def check_layer(document: Any) -> list[Finding]:
    """Returns what is wrong with a layer by itself: its shape, its parameters, checks that do nothing, odd letters."""
    found = list(islice(LAYER.check(document, ()), MAX_FAULTS))
    return found or [*_check_checks(document), *_check_days(document), *_check_letters(document, ())]


def empty_layer(tier: str, tenant: str) -> dict[str, Any]:
    """Returns the layer of a tenant that has written nothing yet: it demands nothing."""
    return {"harness": 1, "owner": {"tier": tier, "tenant": tenant}}


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


def _check_letters(value: Any, path: Path) -> Iterator[Finding]:
    """What JSON can write and no database keeps: the zero letter, and half of a letter."""
    if isinstance(value, str) and any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
        yield fault("NOT_TEXT", path, "The text holds a letter that cannot be kept.", "Remove it.")
    elif isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _check_letters(inner, (*path, name))


def own_checks(layer: Mapping[str, Any]) -> list[Check]:
    """Returns the checks that a sound layer brings itself."""
    return [_own_check(layer["owner"], written) for written in layer.get("checks", ())]


def _own_check(owner: Mapping[str, str], written: Mapping[str, Any]) -> Check:
    owners = (owner["tenant"],)
    parameters = {name: Parameter.read(one) for name, one in written.get("parameters", {}).items()}
    evidence = frozenset(written.get("evidence", ()))
    return Check(
        id=written["id"],
        tier=owner["tier"],
        owners=owners,
        title=written["title"],
        sensor=written["sensor"],
        blocking=written["blocking"],
        command=tuple(written.get("command", ())),
        prompt=written.get("prompt", ""),
        parameters=parameters,
        evidence=evidence,
        set_by=dict.fromkeys(parameters, owners),
        blocked_by=owners if written["blocking"] else (),
        evidence_by=dict.fromkeys(sorted(evidence), owners),
    )
