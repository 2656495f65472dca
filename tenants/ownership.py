"""The one way to limit owned rows to a principal. No view, task or command re-derives access."""

from __future__ import annotations

from typing import ClassVar, Generic, Self, TypeVar

from django.db import models

from tenants.access import Viewer

M = TypeVar("M", bound=models.Model)


class OwnedQuerySet(models.QuerySet[M], Generic[M]):
    """Rows that belong to exactly one tenant, named by `owner_field`."""

    owner_field: ClassVar[str] = "owner"

    def visible_to(self, principal: Viewer) -> Self:
        """Returns the rows whose owner the principal sees; adding a filter never shows more."""
        visible = principal.access.visible
        return self if visible is None else self.filter(**{f"{self.owner_field}__in": visible})
