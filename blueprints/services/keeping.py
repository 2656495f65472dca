"""How every row here is written: with who changed it and why in its history, and a record in the log."""

from collections.abc import Mapping
from typing import Any

from audit.services import record
from blueprints.models import Blueprint, Fork, Layer, Repository
from blueprints.versions import namespace_of
from kernel import clock
from tenants.principals import Principal


def keep(row: Blueprint | Fork | Layer | Repository, actor: Principal, reason: str) -> None:
    """Saves a row that has a history; simple-history reads actor and reason from the instance when it saves."""
    row._change_reason = reason[:100]  # type: ignore[union-attr]  # noqa: SLF001
    row._history_user = actor.person  # type: ignore[union-attr]  # noqa: SLF001
    if not isinstance(row, Repository):
        row.changed_at = clock.now()
    row.save()


def note_progress(repository: Repository) -> None:
    """Saves how far a measurement has come. That is no change of the repository, so its history does not hear of it."""
    fields = ("stage", "asked_at", "claim", "claimed_at", "attempts")
    Repository.objects.filter(pk=repository.pk).update(**{name: getattr(repository, name) for name in fields})


def log_act(scope: int, actor: Principal, verb: str, target: str, **facts: object) -> None:
    """Records an act in the log of a tenant."""
    record(scope=scope, verb=verb, person=actor.uid, object=target, facts=facts)


def header_of_fork(fork: Fork, base: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the header under which a fork stands on a base: its own names and number, the rest is the base's."""
    own = {
        "namespace": namespace_of(fork.owner.tier, fork.owner.slug),
        "name": fork.name,
        "version": f"0.{fork.version}.0",
        "title": fork.title,
        "owner": fork.owner.slug,
    }
    return {**base["document"], **own}
