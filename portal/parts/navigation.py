"""Where one can go: the left navigation, and the breadcrumb by tier."""

from dataclasses import dataclass
from typing import Final

from django.urls import reverse


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation; `key` follows `g` on the keyboard."""

    name: str
    route: str
    symbol: str
    key: str

    @property
    def url(self) -> str:
        """Where the place is."""
        return reverse(self.route)


# Only what exists: an entry appears with its first page, never before.
PLACES: Final = (
    Place("Home", "home", "home", "h"),
    Place("Catalog", "catalog", "catalog", "c"),
    Place("Blueprints", "blueprints", "blueprint", "b"),
    Place("Repositories", "repositories", "repository", "r"),
    Place("Context", "context", "context", "x"),
    Place("Teams", "teams", "teams", "t"),
    Place("Identity", "identity", "identity", "i"),
    Place("Audit", "audit", "audit", "a"),
)


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step of the breadcrumb; without an address it is where one is."""

    name: str
    url: str = ""
    symbol: str = ""
