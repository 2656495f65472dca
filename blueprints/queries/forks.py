"""Reads of forks and change requests."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Model, Prefetch, Q, QuerySet

from blueprints.forks.baseline import weakenings
from blueprints.forks.diff import Difference, compare
from blueprints.forks.families import Family, families, only_parameters
from blueprints.forks.policy import kept_by_policy
from blueprints.linting import Linted
from blueprints.models import Blueprint, ChangeRequest, Fork, Layer, Version
from blueprints.queries.library import CONTENTS, hand_blueprint, reviewed_by
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.queries import ids_in_reach, one_of
from tenants.rules import Concern
from tenants.together import together, totals

COMPARED: Final = 500
"""How many forks of one blueprint are compared for changes that several make alike."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a new version would mean for one fork."""

    fork: Fork
    difference: Difference

    @property
    def numbers(self) -> dict[str, int]:
        """The fork's numbers against that version."""
        found = self.difference
        return {"behind": found.behind, "drift": found.drift, "conflicts": len(found.conflicts)}


@dataclass(frozen=True, slots=True)
class Judged:
    """A text that a fork could become: what is wrong with it, its base considered, and the numbers it would have."""

    linted: Linted
    numbers: dict[str, int] | None


def _seen(principal: Principal) -> QuerySet[Fork]:
    """Returns the forks of visible teams of visible blueprints.

    A fork shows what its blueprint says, so a team that has left a domain does not see its forks of that domain's
    blueprints until it is back. Row level security of the blueprint's own row comes to the same.
    """
    rows, visible = Fork.objects.visible_to(principal), principal.access.visible
    return rows if visible is None else rows.filter(blueprint__owner__in=visible)


def forks(principal: Principal) -> QuerySet[Fork]:
    """Returns visible forks with team, blueprint and base, without their contents."""
    rows = _seen(principal)
    rows = rows.select_related("owner", "blueprint", "blueprint__owner", "blueprint__head", "base", "measured")
    heavy = ("document", "operations", *_contents("base", "measured", "blueprint__head"))
    return rows.defer(*heavy).order_by("name")


def listed_forks(rows: QuerySet[Fork]) -> QuerySet[Fork]:
    """Returns the forks with the columns that a list of many shows, and no others: whoever asks for more asks again."""
    tenant = ("tier", "slug", "name")
    shown = [field.attname for field in Fork._meta.concrete_fields if field.name not in {"document", "operations"}]
    shown += [f"{owner}__{column}" for owner in ("owner", "blueprint__owner") for column in tenant]
    shown += ["blueprint__name", "blueprint__title", "blueprint__owner_id", "base__semver", "measured__semver"]
    return rows.select_related(None).select_related("owner", "blueprint__owner", "base", "measured").only(*shown)


def _contents(*versions: str) -> list[str]:
    return [f"{version}__{field}" for version in versions for field in CONTENTS]


def fork_by_ref(principal: Principal, team: str, name: str) -> Fork:
    """Returns one visible fork by its team's slug and its name, with all contents."""
    related = ("owner", "base", "measured", "blueprint", "blueprint__owner", "blueprint__head", "blueprint__successor")
    rows = _seen(principal).select_related(*related).defer(*_contents("measured"))
    found = one_of(rows, "fork", owner__slug=team, name=name)
    hand_blueprint(found.blueprint, found.base, found.measured, found.blueprint.head)
    return found


def fork_by_uid(principal: Principal, uid: str) -> Fork | None:
    """Returns the fork that a change request came from, when the principal sees it."""
    return forks(principal).filter(uid=uid).first()


def difference_of(fork: Fork) -> Difference:
    """Returns what a fork that the principal was given changes, and what upstream did: always from the contents."""
    head = fork.blueprint.head or fork.base
    return compare(fork.base.document, head.document, fork.document)


def forks_of(principal: Principal, blueprint: Blueprint) -> QuerySet[Fork]:
    """Returns the visible active forks of a blueprint, those that drifted most first."""
    rows = forks(principal).filter(blueprint=blueprint, status=Fork.Status.ACTIVE)
    return rows.order_by("-drift", "owner__slug", "name")


def families_of(principal: Principal, blueprint: Blueprint) -> list[Family]:
    """Returns the changes that at least two visible forks of a blueprint make, the most frequent first.

    Of very many forks those are compared that drifted most.
    """
    return total_and_families(principal, blueprint)[1]


def total_and_families(principal: Principal, blueprint: Blueprint) -> tuple[int, list[Family]]:
    """Returns how many visible active forks a blueprint has, and `families_of` them: one query."""
    rows = forks_of(principal, blueprint)
    named = rows.select_related(None).select_related("owner").defer(None)
    found = together(
        total=totals(rows, n=Count("pk")),
        named=named.only("name", "operations", "owner__slug", "owner__tier")[:COMPARED],
    )
    return found["total"][0]["n"], families({fork.ref: fork.operations for fork in found["named"]})


def affected_by(principal: Principal, blueprint: Blueprint, document: dict[str, Any]) -> list[Effect]:
    """Returns what publishing `document` would mean for each visible fork of its blueprint."""
    rows = Fork.objects.visible_to(principal).filter(blueprint=blueprint, status=Fork.Status.ACTIVE)
    rows = rows.select_related("owner", "base").order_by("owner__slug", "name")[:500]
    return [Effect(fork, compare(fork.base.document, document, fork.document)) for fork in rows]


def regulated_checks(team: Tenant) -> frozenset[str]:
    """Returns the ids of the checks that regulatory domains in a team's reach own."""
    layers = Layer.objects.filter(owner__in=ids_in_reach(team), owner__concern=Concern.REGULATORY)
    return frozenset(check["id"] for layer in layers for check in layer.document.get("checks", ()))


def judged(fork: Fork, linted: Linted) -> Judged:
    """Returns what saving a text as this fork would come to; without numbers where it would be refused."""
    if not linted.ok:
        return Judged(linted, None)
    weaker = list(weakenings(fork.base.document, linted.document))
    if weaker:
        return Judged(Linted(linted.document, weaker + linted.findings), None)
    head = fork.blueprint.head or fork.base
    return Judged(linted, Effect(fork, compare(fork.base.document, head.document, linted.document)).numbers)


def policies_of(fork: Fork) -> set[str]:
    """Returns the pointers of a fork's operations that are kept by policy."""
    return {place for _, place in kept_by_policy(fork.operations, regulated_checks(fork.owner))}


def is_configuration_at_heart(fork: Fork) -> bool:
    """Tells whether a fork sets nothing but parameters, so that a configuration would do."""
    return fork.mode == Fork.Mode.OVERLAY and only_parameters(fork.operations)


def fork_history(fork: Fork) -> QuerySet[Model]:
    """Returns the changes of a fork that the principal was already given, newest first."""
    rows = fork.history.select_related("history_user", "base")
    return rows.defer(*_contents("base")).order_by("-history_date")  # type: ignore[no-any-return]


def fork_totals(principal: Principal) -> dict[str, int]:
    """Returns how many visible active forks there are, and how many are behind or in conflict."""
    rows = _seen(principal).filter(status=Fork.Status.ACTIVE).order_by()
    return rows.aggregate(
        forks=Count("pk"), behind=Count("pk", filter=Q(behind__gt=0)), conflicts=Count("pk", filter=Q(conflicts__gt=0))
    )


def forks_behind(principal: Principal) -> QuerySet[Fork]:
    """Returns active forks of teams in which the principal holds a role that upstream has left behind."""
    mine = list(principal.access.roles)
    return forks(principal).filter(owner__in=mine, status=Fork.Status.ACTIVE, behind__gt=0).order_by("-conflicts")


def requests(principal: Principal) -> QuerySet[ChangeRequest]:
    """Returns visible change requests, newest first."""
    related = ("owner", "blueprint", "blueprint__owner", "opened_by", "decided_by", "against", "result")
    rows = ChangeRequest.objects.visible_to(principal).select_related(*related)
    return rows.defer(*_contents("against", "result")).order_by("-id")


def listed_requests(rows: QuerySet[ChangeRequest]) -> QuerySet[ChangeRequest]:
    """Returns the requests with the columns that a list of many shows, and no others.

    Versions are read by statements of their own: to plan one of eight tables takes longer than to run all of these.
    """
    shown = [field.attname for field in ChangeRequest._meta.concrete_fields if field.name != "operations"]
    shown += [f"{owner}__{column}" for owner in ("owner", "blueprint__owner") for column in ("tier", "slug", "name")]
    shown += [f"{person}__{column}" for person in ("opened_by", "decided_by") for column in ("handle", "name")]
    shown += ["blueprint__name", "blueprint__title", "blueprint__owner_id"]
    versions = [Prefetch(name, queryset=Version.objects.only("semver")) for name in ("against", "result")]
    rows = rows.select_related(None).select_related("owner", "blueprint__owner", "opened_by", "decided_by")
    return rows.prefetch_related(*versions).only(*shown)


def request_by_uid(principal: Principal, uid: str) -> ChangeRequest:
    """Returns one visible change request."""
    found = one_of(requests(principal), "change request", uid=uid)
    hand_blueprint(found.blueprint, found.against, found.result)
    return found


def requests_of_fork(principal: Principal, fork: Fork) -> QuerySet[ChangeRequest]:
    """Returns what a fork has proposed upstream."""
    return requests(principal).filter(fork_uid=fork.uid)


def requests_waiting(principal: Principal) -> QuerySet[ChangeRequest]:
    """Returns open requests that the principal may decide on: they review for the owner, and did not open it."""
    rows = requests(principal).filter(status=ChangeRequest.Status.OPEN)
    if principal.person is not None:
        rows = rows.exclude(opened_by=principal.person)
    return rows if principal.access.is_platform_admin else rows.filter(owner__in=reviewed_by(principal))


def with_open_requests(rows: Iterable[Blueprint]) -> dict[int, int]:
    """Returns how many open requests blueprints that the principal was given have: one query."""
    found = ChangeRequest.objects.filter(blueprint__in=[row.pk for row in rows], status=ChangeRequest.Status.OPEN)
    return dict(found.order_by().values_list("blueprint").annotate(n=Count("pk")))
