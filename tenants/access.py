"""What somebody may see. It stands below the models, because every owned model limits its rows by it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

ALL: Final = "*"
"""Every tenant: platform admins, the sequencer, the demo loader. Never an agent."""


@dataclass(frozen=True, slots=True)
class Access:
    """The roles of a person and the tenants they see; `visible` None means every tenant (platform admins)."""

    roles: Mapping[int, frozenset[str]] = field(default_factory=dict)
    visible: frozenset[int] | None = frozenset()

    @property
    def is_platform_admin(self) -> bool:
        """Whether the person administers the platform itself."""
        return self.visible is None

    @property
    def scope(self) -> str | frozenset[int]:
        """What row level security is told: the same set that `visible_to` filters by."""
        return ALL if self.visible is None else self.visible

    def has_role(self, tenant_id: int, *roles: str) -> bool:
        """Tells whether one of these roles is held in exactly this tenant."""
        return not self.roles.get(tenant_id, frozenset()).isdisjoint(roles)

    def sees(self, tenant_id: int) -> bool:
        """Tells whether assets of this tenant may be shown."""
        return self.visible is None or tenant_id in self.visible


class Viewer(Protocol):
    """Who looks: what `visible_to` needs to know of a principal, and no more."""

    @property
    def access(self) -> Access:
        """What they may see."""

    @property
    def person_id(self) -> int | None:
        """Their own row among the people; None for the system and for nobody."""
