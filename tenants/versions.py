"""Optimistic concurrency: every changeable row carries a version, and a writer may say which one it read."""

from typing import Protocol, TypeVar

from django.db import models

from kernel.errors import PreconditionFailed

M = TypeVar("M", bound=models.Model)


class Versioned(Protocol):
    """A row with a version that each write raises by one."""

    version: int


def lock(row: M) -> M:
    """Returns the row read again and locked until the transaction ends."""
    manager = type(row)._default_manager  # noqa: SLF001 - the public way to the manager of any model
    return manager.select_for_update().get(pk=row.pk)


def check_version(row: Versioned, expected: int | None) -> None:
    """Raises when the writer read another version than the present one; None means the writer did not say."""
    if expected is not None and row.version != expected:
        raise PreconditionFailed("It was changed in the meantime. Read it again.", current_version=row.version)
