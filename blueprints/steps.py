"""The step of an onboarding that shows what arrives by itself, and forks what the team wants otherwise."""

from collections.abc import Iterator

from blueprints.models import Blueprint, Fork
from blueprints.queries.adoption import blueprint_counts, check_counts, checks_in_force, taken_by
from blueprints.queries.library import library_of, version_of
from blueprints.services.forking import fork_blueprint
from kernel.errors import Invalid
from tenants import onboarding
from tenants.models import Onboarding, Tenant
from tenants.onboarding import Field, Line, Means, Outcome, State, Step, Values
from tenants.principals import Principal


def _team(row: Onboarding) -> Tenant:
    assert row.owner is not None  # noqa: S101 - the frame asks for the first step before any other
    return row.owner


def _fields(actor: Principal, row: Onboarding) -> list[Field]:
    published = [(taken.blueprint.ref, _label(taken.blueprint)) for taken in taken_by(actor, _team(row))]
    return [
        Field(
            name="forks",
            label="Fork now",
            kind="choices",
            choices=published,
            initial=[],
            help="Everything arrives as it is and stays current. Fork only what has to be otherwise here.",
        )
    ]


def _label(blueprint: Blueprint) -> str:
    return f"{blueprint.title} ({blueprint.owner.name})"


def _state(actor: Principal, row: Onboarding) -> State:
    arrived = len(taken_by(actor, _team(row)))
    if not arrived:
        return State("done", "Nothing is published for it yet; what comes arrives by itself.")
    mine = Fork.objects.visible_to(actor).filter(owner=_team(row), status=Fork.Status.ACTIVE).count()
    return State("done", f"{arrived} blueprints arrived, {mine} of them forked.")


def _plan(actor: Principal, row: Onboarding, values: Values) -> Iterator[Line]:
    wanted = set(values.get("forks", ()))
    for taken in taken_by(actor, _team(row)):
        ref = taken.blueprint.ref
        head = taken.blueprint.head.semver if taken.blueprint.head else ""
        if ref in wanted and not taken.forks:
            yield Line(mark="make", kind="fork", text=f"{ref}@{head}, drift 0")
        else:
            yield Line(mark="there", kind="blueprint", text=f"{ref}@{head}, {taken.way}")
        wanted.discard(ref)
    for ref in sorted(wanted):
        yield Line(mark="fault", kind="fork", field="forks", text=f"{ref} is not published for this team.")
    for layer in checks_in_force(actor, _team(row)):
        yield Line(mark="there", kind="checks", text=f"{len(layer.checks)} of {layer.owner.name}")


def _act(actor: Principal, row: Onboarding, values: Values, means: Means) -> Outcome:
    team, wanted, made = _team(row), set(values.get("forks", ())), 0
    forked = {taken.blueprint.pk for taken in taken_by(actor, team) if taken.forks}
    for blueprint in library_of(actor, team).exclude(owner=team):
        if blueprint.ref not in wanted or blueprint.pk in forked:
            continue
        if blueprint.head is None:
            raise Invalid("It cannot be forked.", errors={"forks": [f"{blueprint.ref} has no published version."]})
        version = version_of(actor, blueprint, blueprint.head.semver)
        fork_blueprint(actor=actor, version=version, team=team, name=blueprint.name)
        made += 1
    return Outcome(f"{made} forked; the rest arrives as it is." if made else "All of it arrives as it is.")


onboarding.register_brought("blueprint", blueprint_counts)
onboarding.register_brought("check", check_counts)
onboarding.register(
    Step(
        key="libraries",
        needs="Nothing: what platform and domains publish arrives by itself.",
        fields=_fields,
        state=_state,
        plan=_plan,
        act=_act,
        button="Fork what is chosen",
        optional=True,
    )
)
