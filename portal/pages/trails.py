"""Breadcrumbs by tier: where a thing hangs in the federation."""

from django.urls import reverse

from portal.parts.navigation import Crumb
from tenants.models import Tenant


def under(owner: Tenant, *crumbs: Crumb) -> list[Crumb]:
    """Returns tier, owner, then the given crumbs."""
    teams = Crumb("Teams", reverse("teams"))
    return [teams, Crumb(owner.name, reverse("tenant", args=[owner.slug]), owner.tier), *crumbs]


def plain(*crumbs: tuple[str, str]) -> list[Crumb]:
    """Returns crumbs from (name, address) pairs; the last one usually has no address."""
    return [Crumb(name, url) for name, url in crumbs]
