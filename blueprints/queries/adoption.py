"""What a team takes of what platform and domains publish, and what it gave back: counted, never scored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from blueprints.models import Blueprint, ChangeRequest, Fork, Layer
from blueprints.queries.forks import forks, requests
from blueprints.queries.library import library_of
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.queries import ids_in_reach
from tenants.together import together


@dataclass(frozen=True, slots=True)
class Taken:
    """One blueprint of platform or domain, and how the team takes it: without any fork, as it is."""

    blueprint: Blueprint
    forks: Sequence[Fork]

    @property
    def way(self) -> str:
        """Returns `as is`, `configured` or `forked`."""
        if not self.forks:
            return "as is"
        return "configured" if all(fork.mode == Fork.Mode.CONFIGURATION for fork in self.forks) else "forked"


@dataclass(frozen=True, slots=True)
class InForce:
    """The checks that one tenant's layer adds."""

    owner: Tenant
    checks: Sequence[str]


def taken_by(principal: Principal, team: Tenant) -> list[Taken]:
    """Returns what others publish for a team with the team's own forks of each: one query."""
    return taken_from(together(**taken_reads(principal, team)))


def taken_reads(principal: Principal, team: Tenant) -> dict[str, QuerySet[Any]]:
    """Returns what `taken_by` is made of, for who reads it together with other things: see `taken_from`."""
    mine = forks(principal).filter(owner=team, status=Fork.Status.ACTIVE)
    return {"published": published_for(principal, team), "forks": mine}


def published_for(principal: Principal, team: Tenant) -> QuerySet[Blueprint]:
    """Returns what others publish for a team: the active blueprints of platform and domains."""
    return library_of(principal, team).exclude(owner=team)


def taken_from(found: Mapping[str, Iterable[Any]]) -> list[Taken]:
    """Returns `taken_by` out of what was read."""
    mine: dict[int, list[Fork]] = {}
    for fork in found["forks"]:
        mine.setdefault(fork.blueprint_id, []).append(fork)
    return [Taken(blueprint, mine.get(blueprint.pk, [])) for blueprint in found["published"]]


def checks_in_force(principal: Principal, team: Tenant) -> list[InForce]:
    """Returns the checks of each layer in a team's reach, by whoever set them."""
    return checks_of(layers_in_reach(principal, team))


def layers_in_reach(principal: Principal, team: Tenant) -> QuerySet[Layer]:
    """Returns the visible layers that `checks_in_force` names the checks of."""
    return Layer.objects.visible_to(principal).filter(owner__in=ids_in_reach(team)).select_related("owner")


def checks_of(layers: Iterable[Layer]) -> list[InForce]:
    """Returns the checks of some layers that the principal was given."""
    return [InForce(row.owner, [check["title"] for check in row.document.get("checks", ())]) for row in layers]


def given_by(principal: Principal, team: Tenant) -> QuerySet[ChangeRequest]:
    """Returns what a team proposed upstream and its owners took."""
    return requests(principal).filter(team_slug=team.slug, status=ChangeRequest.Status.ACCEPTED)


def blueprint_counts(principal: Principal, owners: Iterable[Tenant]) -> dict[int, int]:
    """Returns how many visible active blueprints each of these tenants publishes: one query."""
    rows = Blueprint.objects.visible_to(principal).filter(owner__in=[owner.pk for owner in owners], status="active")
    return dict(rows.order_by().values_list("owner").annotate(n=Count("pk")))


def check_counts(principal: Principal, owners: Iterable[Tenant]) -> dict[int, int]:
    """Returns how many checks the layer of each of these tenants adds: one query."""
    rows = Layer.objects.visible_to(principal).filter(owner__in=[owner.pk for owner in owners])
    return {row.owner_id: len(row.document.get("checks", ())) for row in rows}
