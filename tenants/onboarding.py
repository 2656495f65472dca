"""Bringing a team on board: the frame. It knows which steps there are and in which order, and nothing of their content.

Each app registers its steps in its module `steps`, which is imported when all apps are there. An `Onboarding` row keeps what was answered; whether a step is done
is looked up in the rows it is about, each time, so what a colleague did elsewhere counts as much as what was done here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from audit.services import record
from kernel import clock
from kernel.errors import Conflict, Invalid, NotFound, PreconditionFailed
from kernel.secrets import Secret
from tenants import authority, verbs
from tenants.models import Onboarding, Person, Tenant
from tenants.principals import Principal
from tenants.queries import platform_tenant
from tenants.services import require_reason
from tenants.together import together
from tenants.versions import check_version, lock

T = TypeVar("T")
Values = Mapping[str, Any]
Reads = Mapping[str, QuerySet[Any, Any]]
Found = Mapping[str, list[Any]]

PLACES: Final = {
    "tenant": "The team",
    "people": "People and agents",
    "documents": "Documents",
    "libraries": "Libraries",
    "server": "First server",
    "call": "First governed call",
}
"""The steps in their order. An app registers each of them."""

FIRST: Final = "tenant"
MAX_NAME: Final = 120
MAX_TEXT: Final = 400
MAX_LONG: Final = 40_000
MAX_ROWS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One question of a step. A `secret` is given with the act and never kept; a `table` holds rows of texts by name."""

    name: str
    label: str
    kind: Literal["text", "long", "choice", "choices", "secret", "table"] = "text"
    help: str = ""
    required: bool = False
    initial: Any = ""
    choices: Sequence[tuple[str, str]] = ()
    fixed: bool = False

    def fault(self, value: Any) -> str:
        """Returns why this value cannot be kept for the field, empty when it can."""
        if self.kind == "secret":
            return "A secret is given with the act itself and kept nowhere."
        if self.fixed:
            return "This never changes once it is there."
        checks: dict[str, Callable[[Any], bool]] = {
            "choices": self._is_some,
            "choice": self._is_one,
            "table": _is_table,
        }
        fits = checks.get(self.kind, self._is_text)(value)
        return "" if fits else f"Not a value for {self.label.lower()}."

    def _is_text(self, value: Any) -> bool:
        return isinstance(value, str) and len(value) <= (MAX_LONG if self.kind == "long" else MAX_TEXT)

    def _is_one(self, value: Any) -> bool:
        return value == "" or value in [key for key, _ in self.choices]

    def _is_some(self, value: Any) -> bool:
        return isinstance(value, list) and all(self._is_one(item) for item in value)


@dataclass(frozen=True, slots=True)
class State:
    """How far a step is: `done`, `open`, `waiting` for somebody or something, or `later`, when others come first."""

    word: Literal["done", "open", "waiting", "later"]
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a dry run: what will be made (`make`), is there already (`there`), or stands in the way (`fault`)."""

    mark: Literal["make", "there", "fault"]
    kind: str
    text: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Means:
    """What only the caller has: secrets typed with the act, and things of the floors above, found by their type."""

    secrets: Mapping[str, Secret] = field(default_factory=dict)
    given: Sequence[object] = ()

    def of(self, kind: type[T]) -> T:
        """Returns the thing of this type. Who calls without it has made a mistake in the code."""
        return next(thing for thing in self.given if isinstance(thing, kind))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an act did, in words; `shown` are texts that are shown this once, such as a first password."""

    text: str
    shown: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. All its functions are given who acts and the onboarding; plan and act also what was answered.

    `state` is made of what was found by the query sets of `reads`, so that all steps look their state up by one statement.
    `plan` says what `act` would do now, without doing it; `act` does only what is not there yet, so doing it twice is
    doing it once.
    """

    key: str
    needs: str
    fields: Callable[[Principal, Onboarding], Sequence[Field]]
    state: Callable[[Principal, Onboarding, Found], State]
    plan: Callable[[Principal, Onboarding, Values], Iterable[Line]]
    act: Callable[[Principal, Onboarding, Values, Means], Outcome]
    reads: Callable[[Principal, Onboarding], Reads]
    button: str = "Do it"
    optional: bool = False

    @property
    def title(self) -> str:
        """The name of its place."""
        return PLACES[self.key]


@dataclass(frozen=True, slots=True)
class Held:
    """What was answered in one step. Each save raises the revision, which two people at once are told apart by."""

    values: Values = field(default_factory=dict)
    revision: int = 0
    by: str = ""
    name: str = ""
    at: str = ""

    def require(self, revision: int | None, actor: Principal) -> None:
        """Raises when somebody else saved since this revision. One's own save that is still on its way stops nobody."""
        if revision is None or revision == self.revision or self.by == str(actor.uid):
            return
        said = f"{self.name or 'Somebody'} changed this step in the meantime. Read it again."
        raise PreconditionFailed(said, current_version=self.revision)


@dataclass(frozen=True, slots=True)
class Progress:
    """One place of the checklist."""

    key: str
    title: str
    step: Step
    state: State

    @property
    def said(self) -> str:
        """What stands beside it: how far it is, else what it needs."""
        return self.state.text or self.step.needs


Count = Callable[[Principal, Sequence[Tenant]], Mapping[int, int]]
_steps: Final[dict[str, Step]] = {}
_brought: Final[dict[str, Count]] = {}


def register(step: Step) -> None:
    """Adds a step."""
    if step.key not in PLACES or step.key in _steps:
        raise ValueError(f"{step.key!r} is no place for a step, or it is taken")
    _steps[step.key] = step


def register_brought(word: str, count: Count) -> None:
    """Adds what a tenant brings to its teams, such as `blueprint`: how many of them, by the tenant's number."""
    _brought[word] = count


def brought_by(principal: Principal, nodes: Sequence[Tenant]) -> dict[int, list[tuple[str, int]]]:
    """Returns what each of these tenants brings to a team below it, by number; what is not there is left out."""
    counts = {word: count(principal, nodes) for word, count in _brought.items()}
    return {node.pk: [(word, found[node.pk]) for word, found in counts.items() if found.get(node.pk)] for node in nodes}


def require_step(key: str) -> Step:
    """Returns the step in this place. Raises `NotFound` where there is none."""
    if key not in _steps:
        raise NotFound("There is no such step here.")
    return _steps[key]


def require_place(key: str) -> None:
    """Raises `NotFound` for what is not one of the places."""
    if key not in PLACES:
        raise NotFound("There is no such step here.")


def held(onboarding: Onboarding, key: str) -> Held:
    """Returns what was answered in a step so far."""
    return Held(**onboarding.answers.get(key, {}))


def progress(actor: Principal, onboarding: Onboarding) -> list[Progress]:
    """Returns the checklist, each state looked up now, all of them by one statement."""
    states = _states(actor, onboarding, PLACES)
    return [Progress(key, title, _steps[key], states[key]) for key, title in PLACES.items()]


def state_of(actor: Principal, onboarding: Onboarding, key: str) -> State:
    """Returns how far a step is. Every step but the first waits for the team to stand."""
    return _states(actor, onboarding, [key])[key]


def _states(actor: Principal, onboarding: Onboarding, keys: Iterable[str]) -> dict[str, State]:
    states = {key: State("later", "When the team stands.") for key in keys}
    due = [_steps[key] for key in states if key == FIRST or onboarding.owner is not None]
    reads = {step.key: step.reads(actor, onboarding) for step in due}
    found = together(**{f"{key}_{name}": rows for key, own in reads.items() for name, rows in own.items()})
    for step in due:
        own = {name: found[f"{step.key}_{name}"] for name in reads[step.key]}
        states[step.key] = step.state(actor, onboarding, own)
    return states


def plan(actor: Principal, onboarding: Onboarding, key: str) -> list[Line]:
    """Returns what committing a step would do now, line by line. Changes nothing."""
    authority.require_carrier(actor, onboarding, "plan a step of an onboarding")
    step = require_step(key)
    if key != FIRST and onboarding.owner is None:
        return [Line(mark="fault", kind="team", text="The team does not stand yet: that is the first step.")]
    return list(step.plan(actor, onboarding, held(onboarding, key).values))


@transaction.atomic
def begin(*, actor: Principal, name: str, kind: str = "") -> Onboarding:
    """Returns a new onboarding. It makes nothing but itself: a steward may begin one and cannot create the team."""
    authority.require_opener(actor, "open an onboarding")
    if not 0 < len(name.strip()) <= MAX_NAME or "\0" in name:
        raise Invalid("Say how the team is called.", errors={"name": [f"1 to {MAX_NAME} characters."]})
    if actor.person is None:
        raise Invalid("A person begins an onboarding.", errors={"name": ["The installation itself uses `apply`."]})
    onboarding = Onboarding.objects.create(begun_by=actor.person, name=name.strip())
    first = {"name": name.strip(), **({"kind": kind} if kind else {})}
    _keep(actor, onboarding, FIRST, first)
    _record(actor, onboarding, verbs.ONBOARDING_BEGUN, name=onboarding.name)
    return onboarding


@transaction.atomic
def save_answers(
    *, actor: Principal, onboarding: Onboarding, key: str, values: Values, expected_revision: int | None = None
) -> Onboarding:
    """Returns the onboarding with these answers kept beside the others of the step. Makes nothing, so records nothing.

    Raises `PreconditionFailed` when somebody else saved the same step since `expected_revision` was read.
    """
    authority.require_carrier(actor, onboarding, "answer in an onboarding")
    step, onboarding = require_step(key), _locked(onboarding)
    before = held(onboarding, key)
    before.require(expected_revision, actor)
    _require_answers(step.fields(actor, onboarding), values)
    merged = {**before.values, **values}
    if merged != before.values:
        if key == FIRST and onboarding.owner is None:
            onboarding.name = str(merged.get("name", "")).strip()[:MAX_NAME] or onboarding.name
        _keep(actor, onboarding, key, merged)
    return onboarding


@transaction.atomic
def commit_step(
    *, actor: Principal, onboarding: Onboarding, key: str, means: Means, expected_revision: int | None = None
) -> Outcome:
    """Returns what was done: exactly the lines of the dry run. A fault in it stops the whole step.

    The services that a step calls check the actor's rights again, each for itself.
    """
    authority.require_carrier(actor, onboarding, "commit a step of an onboarding")
    step, onboarding = require_step(key), _locked(onboarding)
    before = held(onboarding, key)
    before.require(expected_revision, actor)
    lines = plan(actor, onboarding, key)
    if errors := faults_of(lines):
        raise Invalid("The step cannot be done like this.", errors=errors)
    outcome = step.act(actor, onboarding, before.values, means)
    onboarding.version += 1
    onboarding.save()
    made = [f"{line.kind}: {line.text}" for line in lines if line.mark == "make"]
    _record(actor, onboarding, verbs.ONBOARDING_STEP, step=key, made=made[:100])
    return outcome


def faults_of(lines: Sequence[Line]) -> dict[str, list[str]]:
    """Returns the faults of a dry run by the field that they are about."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.mark == "fault":
            found.setdefault(line.field or line.kind, []).append(line.text)
    return found


@transaction.atomic
def hand_over(
    *, actor: Principal, onboarding: Onboarding, lead: Person, expected_version: int | None = None
) -> Onboarding:
    """Returns the onboarding with the person named who goes on. Its address is no secret: they must be signed in."""
    authority.require_carrier(actor, onboarding, "hand an onboarding over")
    onboarding = _locked(onboarding)
    check_version(onboarding, expected_version)
    if onboarding.owner is not None:
        raise Conflict("The team stands: whoever works in it can go on. Give the person a role.")
    if onboarding.lead_id != lead.pk:
        onboarding.lead = lead
        values = {**held(onboarding, FIRST).values, "lead": lead.email}
        _keep(actor, onboarding, FIRST, values)
        _record(actor, onboarding, verbs.ONBOARDING_HANDED, to=str(lead.uid))
    return onboarding


@transaction.atomic
def propose(*, actor: Principal, onboarding: Onboarding) -> Onboarding:
    """Returns the onboarding put to the platform admins, who see it from the start and alone create teams."""
    authority.require_carrier(actor, onboarding, "propose a team")
    lines = plan(actor, onboarding, FIRST)
    onboarding = _locked(onboarding)
    if onboarding.owner is not None:
        raise Conflict("The team stands already.")
    if errors := faults_of(lines):
        raise Invalid("The team cannot be proposed like this.", errors=errors)
    if onboarding.proposed_at is None:
        onboarding.proposed_at = clock.now()
        onboarding.version += 1
        onboarding.save()
        _record(actor, onboarding, verbs.ONBOARDING_PROPOSED, name=onboarding.name)
    return onboarding


@transaction.atomic
def note_first_call(*, actor: Principal, onboarding: Onboarding, call: UUID) -> Onboarding:
    """Returns the onboarding with its first governed call noted, once: a later call changes nothing."""
    authority.require_carrier(actor, onboarding, "finish an onboarding")
    onboarding = _locked(onboarding)
    if onboarding.first_call is None:
        onboarding.first_call, onboarding.first_call_at = call, clock.now()
        onboarding.version += 1
        onboarding.save()
        seconds = round((onboarding.first_call_at - onboarding.started_at).total_seconds())
        _record(actor, onboarding, verbs.ONBOARDING_FINISHED, call=str(call), seconds=seconds)
    return onboarding


@transaction.atomic
def close(*, actor: Principal, onboarding: Onboarding, reason: str, expected_version: int | None = None) -> Onboarding:
    """Returns the onboarding closed, with everything that it made left as it is."""
    authority.require_carrier(actor, onboarding, "close an onboarding")
    require_reason(reason)
    onboarding = _locked(onboarding)
    check_version(onboarding, expected_version)
    onboarding.closed_at, onboarding.closed_reason = clock.now(), reason
    onboarding.version += 1
    onboarding.save()
    _record(actor, onboarding, verbs.ONBOARDING_CLOSED, reason=reason)
    return onboarding


def _locked(onboarding: Onboarding) -> Onboarding:
    onboarding = lock(onboarding)
    if onboarding.closed_at is not None:
        raise Conflict("This onboarding is closed. Begin another one.")
    return onboarding


def _require_answers(fields: Sequence[Field], values: Values) -> None:
    known = {field.name: field for field in fields}
    errors: dict[str, list[str]] = {}
    for name, value in values.items():
        fault = known[name].fault(value) if name in known else "There is no such question."
        if fault or (isinstance(value, str) and "\0" in value):
            errors[name] = [fault or "It holds a character that no text can hold."]
    if errors:
        raise Invalid("Some answers cannot be kept.", errors=errors)


def _is_table(value: Any) -> bool:
    rows = isinstance(value, dict) and len(value) <= MAX_ROWS and all(isinstance(row, dict) for row in value.values())
    return rows and all(_is_cell(cell) for key, row in value.items() for cell in (key, *row, *row.values()))


def _is_cell(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and "\0" not in value


def _keep(actor: Principal, onboarding: Onboarding, key: str, values: Values) -> None:
    who = {"by": str(actor.uid), "name": actor.person.name if actor.person else ""}
    kept = {"values": values, "revision": held(onboarding, key).revision + 1, "at": clock.timestamp(), **who}
    onboarding.answers = {**onboarding.answers, key: kept}
    onboarding.version += 1
    onboarding.save()


def _record(actor: Principal, onboarding: Onboarding, verb: str, **facts: object) -> None:
    """Before there is a team, what happens stands in the platform's log."""
    scope = onboarding.owner_id or platform_tenant().pk
    record(scope=scope, verb=verb, person=actor.uid, object=f"onboarding:{onboarding.uid}", facts=facts)
