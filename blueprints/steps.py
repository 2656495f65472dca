"""The step of an onboarding that shows what arrives by itself, forks what is wanted otherwise, and measures repositories."""

from collections.abc import Iterator
from typing import Final

from django.db.models import Count, Q

from blueprints.models import Blueprint, Fork, Repository
from blueprints.queries.adoption import blueprint_counts, check_counts, checks_in_force, published_for, taken_by
from blueprints.queries.library import library_of, version_of
from blueprints.queries.repositories import repositories
from blueprints.services.forking import fork_blueprint
from blueprints.services.repositories import register_repository
from blueprints.tasks import wake
from kernel.counting import counted
from kernel.errors import Invalid
from registry.git.fetching import Sources, fault_of_address, name_of_address
from tenants import onboarding
from tenants.models import Onboarding, Tenant
from tenants.onboarding import Field, Found, Line, Means, Outcome, Reads, State, Step, Values
from tenants.principals import Principal
from tenants.rosters import slug_from
from tenants.together import totals

MAX_NAMED: Final = 20
"""How many repositories one act registers: each address is looked up while somebody waits."""


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
        ),
        Field(
            name="repositories",
            label="Repositories",
            kind="long",
            help="One address on each line, with a branch behind it if need be. Each is measured: what it is fit for.",
        ),
    ]


def _label(blueprint: Blueprint) -> str:
    return f"{blueprint.title} ({blueprint.owner.name})"


def _reads(actor: Principal, row: Onboarding) -> Reads:
    mine = Fork.objects.visible_to(actor).filter(owner=_team(row), status=Fork.Status.ACTIVE)
    measured = repositories(actor).filter(owner=_team(row))
    return {
        "arrived": published_for(actor, _team(row)),
        "mine": totals(mine, n=Count("pk")),
        "measured": totals(measured, n=Count("pk"), under_way=Count("pk", filter=~Q(stage=""))),
    }


def _state(actor: Principal, row: Onboarding, found: Found) -> State:
    arrived, mine = len(found["arrived"]), found["mine"][0]["n"]
    if not arrived:
        return State("done", "Nothing is published for it yet; what comes arrives by itself.")
    measured, under_way = found["measured"][0]["n"], found["measured"][0]["under_way"]
    said = f"{counted(arrived, 'blueprint')} arrived, {mine} forked; {counted(measured, 'repository')}."
    return (
        State("waiting", f"Being measured: {counted(under_way, 'repository')}.") if under_way else State("done", said)
    )


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
    yield from _plan_repositories(actor, _team(row), values)


def _plan_repositories(actor: Principal, team: Tenant, values: Values) -> Iterator[Line]:
    """Yields what is registered, then what would be. Whether an address may be reached is looked at by the act."""
    known = _known(actor, team)
    if len(_named(values)) > MAX_NAMED:
        said = f"At most {MAX_NAMED} at once; the others can follow."
        yield Line(mark="fault", kind="repository", field="repositories", text=said)
        return
    for repository in known.values():
        yield Line(mark="there", kind="repository", text=f"{repository.slug}: {_standing(repository)}")
    for url, branch in _named(values):
        if (url, branch) in known:
            continue
        if fault := fault_of_address(url):
            yield Line(mark="fault", kind="repository", field="repositories", text=f"{url}: {fault}")
        else:
            yield Line(mark="make", kind="repository", text=f"{url}{f', branch {branch}' if branch else ''}: measured")


def _standing(repository: Repository) -> str:
    if repository.stage:
        return "being measured"
    return repository.fault or f"fit for {repository.get_pattern_display().lower()}"


def _known(actor: Principal, team: Tenant) -> dict[tuple[str, str], Repository]:
    return {(one.url, one.branch): one for one in repositories(actor).filter(owner=team)}


def _named(values: Values) -> list[tuple[str, str]]:
    """Returns the addresses and branches as written, each once; a line that says neither says nothing."""
    lines = (line.split(maxsplit=1) for line in str(values.get("repositories") or "").splitlines())
    return list(dict.fromkeys((words[0], words[1].strip() if words[1:] else "") for words in lines if words))


def _register(actor: Principal, team: Tenant, values: Values, means: Means) -> int:
    """Registers what is named and not there yet, under a name of its own. Returns how many they were."""
    known, made = _known(actor, team), 0
    taken = {one.slug for one in known.values()}
    for url, branch in _named(values):
        if (url, branch) in known:
            continue
        name = name_of_address(url)
        slug = _free(slug_from(name) or "repository", taken)
        try:
            repository = register_repository(
                actor=actor, team=team, slug=slug, name=name, url=url, branch=branch, sources=means.of(Sources)
            )
        except Invalid as error:
            said = [f"{url}: {text}" for texts in error.errors.values() for text in texts] or [error.message]
            raise Invalid(error.message, errors={"repositories": said}, code=error.error_code) from error
        wake(repository)
        taken.add(slug)
        made += 1
    return made


def _free(slug: str, taken: set[str]) -> str:
    numbered = (f"{slug[:44]}-{number}" for number in range(2, 1_000))
    return slug if slug not in taken else next(one for one in numbered if one not in taken)


def _act(actor: Principal, row: Onboarding, values: Values, means: Means) -> Outcome:
    team, wanted, made = _team(row), set(values.get("forks", ())), 0
    measured = _register(actor, team, values, means)
    forked = {taken.blueprint.pk for taken in taken_by(actor, team) if taken.forks}
    for blueprint in library_of(actor, team).exclude(owner=team):
        if blueprint.ref not in wanted or blueprint.pk in forked:
            continue
        if blueprint.head is None:
            raise Invalid("It cannot be forked.", errors={"forks": [f"{blueprint.ref} has no published version."]})
        version = version_of(actor, blueprint, blueprint.head.semver)
        fork_blueprint(actor=actor, version=version, team=team, name=blueprint.name)
        made += 1
    said = f"{made} forked; the rest arrives as it is." if made else "All of it arrives as it is."
    return Outcome(f"{said} Being measured: {counted(measured, 'repository')}." if measured else said)


onboarding.register_brought("blueprint", blueprint_counts)
onboarding.register_brought("check", check_counts)
onboarding.register(
    Step(
        key="libraries",
        needs="Nothing: what platform and domains publish arrives by itself.",
        fields=_fields,
        reads=_reads,
        state=_state,
        plan=_plan,
        act=_act,
        button="Take it so",
        optional=True,
    )
)
