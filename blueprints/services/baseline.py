"""The layers that are shipped beside the library: a platform baseline, and examples of what domains demand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from django.db import transaction

from blueprints.format.reading import read_yaml
from blueprints.harness.layers import TIERS
from blueprints.models import Layer
from blueprints.queries.harness import layer_of
from blueprints.services.harness import write_layer
from kernel.errors import Invalid
from tenants.models import Tenant
from tenants.principals import Principal

FOLDER: Final = Path(__file__).resolve().parent.parent / "library" / "harness"
SHIPPED: Final = ("platform", "payments", "cloud")
"""By name, uppermost first: `platform` is the baseline, `payments` asks for what PCI DSS does, `cloud` for services."""


def shipped_layer(name: str) -> dict[str, Any]:
    """Returns a shipped layer as it lies in its file."""
    if name not in SHIPPED:
        known = f"Shipped are: {', '.join(SHIPPED)}."
        raise Invalid(f"There is no shipped layer {name!r}.", errors={"name": [known]})
    document: dict[str, Any] = read_yaml((FOLDER / f"{name}.yaml").read_bytes()).value
    return document


@transaction.atomic
def load_layers(*, actor: Principal, owners: Mapping[str, Tenant]) -> list[Layer]:
    """Returns the layers written from shipped ones, by the name of each: a tenant that has a layer already keeps it.

    Whose the layer is, and what it calls the platform, is rewritten for the tenants given.
    """
    platform = owners["platform"].slug if "platform" in owners else "platform"
    ordered = sorted(owners.items(), key=lambda item: TIERS.index(item[1].tier))
    return [
        write_layer(actor=actor, owner=owner, document=_for(owner, shipped_layer(name), platform), expected_version=0)
        for name, owner in ordered
        if layer_of(actor, owner) is None
    ]


def _for(owner: Tenant, document: dict[str, Any], platform: str) -> dict[str, Any]:
    made = {**document, "owner": {"tier": owner.tier, "tenant": owner.slug}}
    for entry in made.get("tighten", ()):
        tenant, _, check = entry["check"].partition("/")
        entry["check"] = f"{platform}/{check}" if tenant == "platform" else entry["check"]
    return made
