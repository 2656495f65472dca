"""The effective harness: Platform, every Domain, Team. A lower tier adds and tightens; whatever weakens is refused.

Stricter is a join, so the order of the domains does not matter, and the result demands all that each tier demands.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from blueprints.format.findings import Finding, Path, fault, pointer
from blueprints.format.shapes import nearest
from blueprints.harness.layers import TIERS, Check, Waiver, check_layer, own_checks
from blueprints.harness.parameters import Parameter

MAX_WAIVER: Final = timedelta(days=90)
REDEFINED: Final = "CHECK_REDEFINED"
Layer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing in one tenant's layer that would weaken what stands above, or that cannot be understood."""

    tenant: str
    finding: Finding

    @property
    def still_runs(self) -> bool:
        """Tells whether the entry is in force all the same when layers are settled: a check whose id was taken above."""
        return self.finding.code == REDEFINED


class HarnessRefused(Exception):
    """The layers give no harness; says what in whose layer."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__("; ".join(f"{one.tenant}{one.finding.path}: {one.finding.message}" for one in refusals))
        self.refusals = refusals


@dataclass(frozen=True, slots=True)
class Settled:
    """Layers put together as far as they fit: the checks in force, and what fits no more below what changed above it."""

    checks: list[Check]
    lapsed: list[Refusal]


def effective(layers: Sequence[Layer], *, today: date) -> list[Check]:
    """Returns the checks in force for a team, by tier and name. Raises `HarnessRefused`.

    `layers` are one platform's, those of all the team's domains, and the team's when it has one.
    """
    settled = settle(layers, today=today)
    if settled.lapsed:
        raise HarnessRefused(settled.lapsed)
    return settled.checks


def settle(layers: Sequence[Layer], *, today: date) -> Settled:
    """Returns the checks in force when layers were written at different times, and the entries that fit no more.

    An entry that would weaken what stands above it now, or that tightens what is gone, is left out; whatever stands
    above holds in full. A check whose id a higher tier has taken since keeps running beside that one: leaving it out
    would take a demand away. Layers of a wrong shape raise `HarnessRefused`, as in `effective`.
    """
    _require_sound(layers)
    made = Settled([], [])
    for tier in TIERS:
        below = descend(made.checks, [layer for layer in layers if layer["owner"]["tier"] == tier], today=today)
        made = Settled(below.checks, made.lapsed + below.lapsed)
    return made


def descend(above: Sequence[Check], layers: Sequence[Layer], *, today: date) -> Settled:
    """Returns what is in force one tier further down: `layers` are sound, and of one tier below these checks."""
    here = sorted(layers, key=_tenant)
    found = [list(misfits(layer, above, today=today)) for layer in here]
    lapsed = [Refusal(_tenant(layer), finding) for layer, one in zip(here, found, strict=True) for finding in one]
    fitting = [_fitting(layer, one) for layer, one in zip(here, found, strict=True)]
    own = _joined([check for layer in fitting for check in own_checks(layer)])
    checks = [*_tightened(above, fitting), *own]
    return Settled([_waived(check, fitting, today) for check in checks], lapsed)


def _fitting(layer: Layer, found: Sequence[Finding]) -> Layer:
    """Returns the layer without what was found wrong with it, but with all its own checks."""
    refused = {finding.path for finding in found}
    tighten = [
        _fitting_entry(written, pointer(("tighten", place)), refused)
        for place, written in enumerate(layer.get("tighten", ()))
        if pointer(("tighten", place, "check")) not in refused
    ]
    waivers = [
        waiver
        for place, waiver in enumerate(layer.get("waivers", ()))
        if not refused & {pointer(("waivers", place, field)) for field in ("check", "expires")}
    ]
    return {**layer, "tighten": tighten, "waivers": waivers}


def _fitting_entry(written: Mapping[str, Any], here: str, refused: set[str]) -> dict[str, Any]:
    kept = {name: value for name, value in written.items() if f"{here}/{name}" not in refused}
    values = written.get("parameters", {})
    kept["parameters"] = {name: value for name, value in values.items() if f"{here}/parameters/{name}" not in refused}
    return kept


def _tenant(layer: Layer) -> str:
    return str(layer["owner"]["tenant"])


def _require_sound(layers: Sequence[Layer]) -> None:
    unsound: list[Refusal] = []
    for place, layer in enumerate(layers):
        found = check_layer(layer)
        name = layer.get("owner", {}) if isinstance(layer, Mapping) else {}
        tenant = str(name.get("tenant", f"layer {place}")) if isinstance(name, Mapping) else f"layer {place}"
        unsound += [Refusal(tenant, finding) for finding in found]
    if unsound:
        raise HarnessRefused(unsound)
    tiers = [layer["owner"]["tier"] for layer in layers]
    tenants = [_tenant(layer) for layer in layers]
    if tiers.count("platform") != 1 or tiers.count("team") > 1 or len(set(tenants)) != len(tenants):
        said = "There must be one platform's layer, at most one team's, and one for each domain."
        finding = fault("LAYERS", ("owner",), said, "Give each layer once.")
        raise HarnessRefused([Refusal(", ".join(tenants), finding)])


def misfits(layer: Layer, above: Sequence[Check], *, today: date) -> Iterator[Finding]:
    """Yields everything in a sound layer that would weaken the checks above it, or that does not fit them."""
    yield from _redefinitions(layer, above)
    yield from _weakened(layer, above)
    yield from _foreign_waivers(layer, today)


def _redefinitions(layer: Layer, above: Sequence[Check]) -> Iterator[Finding]:
    known = {check.id: check for check in above}
    for place, written in enumerate(layer.get("checks", ())):
        if written["id"] in known:
            owner = known[written["id"]].owners[0]
            said = f"The check {written['id']!r} belongs to {owner!r} and cannot be written anew."
            remedy = f"Tighten {owner}/{written['id']}, or choose another id."
            yield fault(REDEFINED, ("checks", place, "id"), said, remedy)


def _weakened(layer: Layer, above: Sequence[Check]) -> Iterator[Finding]:
    known = {name: check for check in above for name in check.names}
    for place, written in enumerate(layer.get("tighten", ())):
        here: Path = ("tighten", place)
        check = known.get(written["check"])
        if check is None:
            said = f"No tier above has the check {written['check']!r}."
            remedy = nearest(written["check"], known) if known else "Nothing stands above the platform."
            yield fault("UNKNOWN_CHECK", (*here, "check"), said, remedy)
            continue
        if check.blocking and written.get("blocking") is False:
            said = f"{written['check']!r} blocks, and a lower tier cannot stop that."
            yield fault("WEAKER", (*here, "blocking"), said, "Remove it.")
        for name, value in written.get("parameters", {}).items():
            yield from _weaker(check, name, value, (*here, "parameters", name))


def _weaker(check: Check, name: str, value: Any, path: Path) -> Iterator[Finding]:
    if name not in check.parameters:
        remedy = nearest(name, check.parameters) if check.parameters else "This check has none."
        yield fault("UNKNOWN_PARAMETER", path, f"The check has no parameter {name!r}.", remedy)
        return
    demanded = check.parameters[name]
    try:
        wanted = demanded.holding(value)
    except ValueError as error:
        yield fault("PARAMETER", path, f"This cannot be its value: {error}.", "Correct it.")
        return
    if not (demanded.agrees(wanted) and demanded.allows(wanted)):
        shown = demanded.as_dict()["value"]
        if demanded.direction == "fixed":
            said = f"{', '.join(check.owners)} has fixed {name!r} of {check.id!r} to {shown!r}."
            yield fault("WEAKER", path, said, "Leave it out: nobody moves what is fixed.")
            return
        demands = f"{shown!r}, which {', '.join(check.set_by.get(name, check.owners))} demands of {check.id!r}"
        remedy = f"The direction is {demanded.direction!r}: keep it or go further that way."
        yield fault("WEAKER", path, f"{value!r} is weaker than {demands}.", remedy)


def _foreign_waivers(layer: Layer, today: date) -> Iterator[Finding]:
    own = {f"{_tenant(layer)}/{written['id']}" for written in layer.get("checks", ())}
    for place, waiver in enumerate(layer.get("waivers", ())):
        if waiver["check"] not in own:
            said = f"Only the owner of {waiver['check']!r} can waive it."
            yield fault("WAIVER_NOT_OWNER", ("waivers", place, "check"), said, "Ask the owner for a waiver.")
        elif date.fromisoformat(waiver["expires"]) > today + MAX_WAIVER:
            said = f"A waiver lasts at most {MAX_WAIVER.days} days."
            yield fault("WAIVER_TOO_LONG", ("waivers", place, "expires"), said, "Choose an earlier day.")


def _joined(checks: Sequence[Check]) -> list[Check]:
    """Joins checks of one tier that are the same but for how strict they are; others run side by side."""
    found: list[Check] = []
    for check in checks:
        place = next((place for place, other in enumerate(found) if _comparable(other, check)), None)
        if place is None:
            found.append(check)
        else:
            found[place] = _join(found[place], check)
    return found


def _comparable(one: Check, other: Check) -> bool:
    return (
        (one.id, one.sensor, one.command, one.prompt) == (other.id, other.sensor, other.command, other.prompt)
        and one.parameters.keys() == other.parameters.keys()
        and all(parameter.agrees(other.parameters[name]) for name, parameter in one.parameters.items())
    )


def _join(one: Check, other: Check) -> Check:
    parameters = {name: parameter.join(other.parameters[name]) for name, parameter in one.parameters.items()}
    return replace(
        one,
        owners=(*one.owners, *other.owners),
        blocking=one.blocking or other.blocking,
        parameters=parameters,
        evidence=one.evidence | other.evidence,
        set_by={
            name: _setters(
                joined, (one.parameters[name], one.set_by[name]), (other.parameters[name], other.set_by[name])
            )
            for name, joined in parameters.items()
        },
        blocked_by=(*one.blocked_by, *other.blocked_by),
        evidence_by=_by_both(one.evidence_by, other.evidence_by),
    )


_Demand = tuple[Parameter, tuple[str, ...]]


def _setters(joined: Parameter, one: _Demand, other: _Demand) -> tuple[str, ...]:
    """Returns whose value a joined parameter holds: of those who demand exactly it, else of both."""
    exact = [tenants for parameter, tenants in (one, other) if parameter == joined]
    return tuple(tenant for tenants in exact or (one[1], other[1]) for tenant in tenants)


def _by_both(one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: (*one.get(name, ()), *other.get(name, ())) for name in sorted({*one, *other})}


def _tightened(checks: Sequence[Check], layers: Sequence[Layer]) -> list[Check]:
    found = list(checks)
    places = {name: place for place, check in enumerate(checks) for name in check.names}
    for layer in layers:
        for written in layer.get("tighten", ()):
            place = places[written["check"]]
            found[place] = _tighten(found[place], written, _tenant(layer))
    return found


def _tighten(check: Check, written: Mapping[str, Any], tenant: str) -> Check:
    parameters: dict[str, Parameter] = dict(check.parameters)
    tightened, set_by = dict(check.tightened), dict(check.set_by)
    for name, value in written.get("parameters", {}).items():
        before, wanted = parameters[name], parameters[name].holding(value)
        parameters[name] = before.join(wanted)
        set_by[name] = _setters(parameters[name], (before, set_by.get(name, check.owners)), (wanted, (tenant,)))
        if parameters[name] != before:
            tightened[name] = (*tightened.get(name, ()), tenant)
    blocks = bool(written.get("blocking")) and not check.blocking
    more = frozenset(written.get("evidence", ())) - check.evidence
    return replace(
        check,
        blocking=check.blocking or blocks,
        parameters=parameters,
        evidence=check.evidence | more,
        set_by=set_by,
        blocked_by=(tenant,) if blocks else check.blocked_by,
        evidence_by=_by_both(check.evidence_by, dict.fromkeys(more, (tenant,))),
        tightened=tightened,
    )


def _waived(check: Check, layers: Sequence[Layer], today: date) -> Check:
    waivers = [
        Waiver(_tenant(layer), written["person"], written["reason"], date.fromisoformat(written["expires"]))
        for layer in layers
        for written in layer.get("waivers", ())
        if written["check"] in check.names
    ]
    in_force = tuple(waiver for waiver in waivers if waiver.expires >= today)
    return replace(check, waivers=(*check.waivers, *in_force)) if in_force else check


def weakenings(above: Sequence[Check], below: Sequence[Check]) -> Iterator[Finding]:
    """Yields everything in which the harness `below` demands less than the one `above`: the proof of a merge."""
    for check in above:
        path: Path = (min(check.names),)
        found = next((one for one in below if one.id == check.id and set(one.owners) >= set(check.owners)), None)
        if found is None:
            yield fault("REMOVED", path, f"The check {check.id!r} is gone.", "Bring it back.")
            continue
        for name in ("sensor", "command", "prompt"):
            if getattr(found, name) != getattr(check, name):
                yield fault("CHANGED", (*path, name), f"The {name} of {check.id!r} is another.", "Restore it.")
        if check.blocking and (not found.blocking or (found.waived and not check.waived)):
            yield fault("WEAKER", (*path, "blocking"), f"{check.id!r} does not block any more.", "Let it block.")
        if not found.evidence >= check.evidence:
            yield fault("WEAKER", (*path, "evidence"), f"{check.id!r} keeps less evidence.", "Keep all of it.")
        yield from _weaker_parameters(check, found, path)


def _weaker_parameters(check: Check, found: Check, path: Path) -> Iterator[Finding]:
    for name in sorted(check.parameters.keys() ^ found.parameters.keys()):
        said = f"{name!r} is a parameter of only one of the two."
        yield fault("CHANGED", (*path, "parameters", name), said, "A check keeps its parameters.")
    for name in sorted(check.parameters.keys() & found.parameters.keys()):
        demanded, given = check.parameters[name], found.parameters[name]
        if not (demanded.agrees(given) and demanded.allows(given)):
            yield fault("WEAKER", (*path, "parameters", name), f"{name!r} is weaker.", "Keep it or go further.")
