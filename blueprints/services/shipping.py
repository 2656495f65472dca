"""The library that comes with Hanse: published like any other, so that a team has something to fork from day one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.db import transaction

from blueprints.format.reading import read_yaml
from blueprints.models import Blueprint, Version
from blueprints.services.publishing import propose_version, publish_version
from blueprints.versions import namespace_of
from tenants.models import Tenant
from tenants.principals import Principal

LIBRARY: Final = Path(__file__).resolve().parent.parent / "library"
NOTE: Final = "Comes with Hanse."


@transaction.atomic
def publish_shipped(*, author: Principal, reviewer: Principal, owner: Tenant) -> list[Version]:
    """Returns the shipped blueprints of an owner's namespace, published as far as it has none of that name yet."""
    present = set(Blueprint.objects.filter(owner=owner).values_list("name", flat=True))
    made = []
    for name, text in shipped_texts(namespace_of(owner.tier, owner.slug)):
        if name not in present:
            proposed = propose_version(actor=author, owner=owner, text=text, note=NOTE)
            made.append(publish_version(actor=reviewer, version=proposed))
    return made


def shipped_texts(namespace: str) -> Iterator[tuple[str, str]]:
    """Yields name and text of each shipped blueprint of a namespace, by name."""
    for path in sorted(LIBRARY.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        header = read_yaml(text).value["document"]
        if header["namespace"] == namespace:
            yield header["name"], text
