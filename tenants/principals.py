"""Who is asking, and what they reach: computed once per request, used everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import connection

from tenants.models import Person
from tenants.rules import Role
from tenants.scope import ALL


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


@dataclass(frozen=True, slots=True)
class Principal:
    """A signed-in person (or the system itself, `person` None) with their access as of the request's start."""

    person: Person | None
    access: Access

    @property
    def uid(self) -> UUID | None:
        """The person's public id for audit records; None for the system."""
        return self.person.uid if self.person else None


SYSTEM: Final = Principal(person=None, access=Access(visible=None))
"""The installation acting by itself: first start, scheduled probes. Never reachable from a request."""

NOBODY: Final = Principal(person=None, access=Access())
"""Not signed in: sees nothing."""


def principal_of(person: Person) -> Principal:
    """Returns the principal with live roles. One query, by a function that answers for this person only."""
    if not person.is_active:
        return Principal(person=person, access=Access())
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, role FROM tenants_access(%s)", [person.pk])
        rows = cursor.fetchall()
    roles: dict[int, set[str]] = {}
    visible: set[int] = set()
    admin = False
    for tenant_id, role in rows:
        visible.add(tenant_id)
        if role:
            roles.setdefault(tenant_id, set()).add(role)
            admin = admin or role == Role.PLATFORM_ADMIN
    frozen = {tenant_id: frozenset(held) for tenant_id, held in roles.items()}
    return Principal(person=person, access=Access(roles=frozen, visible=None if admin else frozenset(visible)))
