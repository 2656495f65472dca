"""Who is asking, and what they reach: computed once per request, used everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection

from tenants.access import Access
from tenants.models import Person
from tenants.rules import Role, Sensitivity


@dataclass(frozen=True, slots=True)
class Principal:
    """A signed-in person (or the system itself, `person` None) with their access as of the request's start."""

    person: Person | None
    access: Access

    @property
    def person_id(self) -> int | None:
        """The person's own row; None for the system and for nobody."""
        return self.person.pk if self.person else None

    @property
    def uid(self) -> UUID | None:
        """The person's public id for audit records; None for the system."""
        return self.person.uid if self.person else None

    @property
    def clearance(self) -> int:
        """The highest sensitivity that may be read: a person's own; everything for the system, and hardly any for nobody."""
        if self.person is not None:
            return self.person.clearance
        return Sensitivity.RESTRICTED if self.access.visible is None else Sensitivity.PUBLIC


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
