"""Writes to the harness: one tenant's layer, as a whole or in the small acts of every day.

Every act goes one way: permission, the row locked, the edited document judged against what stands above now, kept,
recorded. So a small act can do nothing that a whole document could not.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from django.db import IntegrityError, transaction

from blueprints import verbs
from blueprints.format.findings import Place, located
from blueprints.format.reading import Source, Unreadable, read_yaml
from blueprints.harness import editing
from blueprints.harness.editing import Changed, Edit
from blueprints.models import Layer
from blueprints.queries import harness
from blueprints.services.keeping import keep, log_act
from blueprints.services.soundness import refuse_errors
from kernel.errors import Conflict, Invalid, NotFound, PreconditionFailed
from tenants import authority
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.versions import check_version, lock

Document = Mapping[str, Any]
NAMED: Final = 50
"""How many names of entries a record of the log holds for each list; the history has them all."""


def read_layer(text: str) -> Source:
    """Returns what a YAML text says, with the place of each part. Raises `Invalid` on the field `text`."""
    try:
        return read_yaml(text)
    except Unreadable as error:
        refuse_errors([error.finding], "The layer cannot be read.")
        raise  # the finding of an unreadable text is an error, so this is never reached


@transaction.atomic
def write_layer(
    *,
    actor: Principal,
    owner: Tenant,
    text: str | None = None,
    document: Document | None = None,
    expected_version: int | None = None,
) -> Layer:
    """Returns the layer with exactly this content, given as YAML or as a document; 0 expects that there is none yet.

    A waiver that was not there before, unchanged, is signed by the actor or refused.
    """
    authority.require_keeper(actor, owner, "write harness layers")
    if (text is None) == (document is None):
        raise Invalid("Give the layer once: as text or as a document.", errors={"text": ["One of the two."]})
    source = Source(document) if text is None else read_layer(text)
    return _write(actor, owner, lambda _: source.value, "wrote the layer", expected_version, source.places)


@transaction.atomic
def add_check(*, actor: Principal, owner: Tenant, check: Document, expected_version: int | None = None) -> Layer:
    """Returns the layer with one more check of its own, in force at once for all who stand below."""
    authority.require_keeper(actor, owner, "add checks to the harness")
    return _write(actor, owner, editing.adding_check(check), f"added {_id(check)}", expected_version)


@transaction.atomic
def change_check(*, actor: Principal, owner: Tenant, check: Document, expected_version: int | None = None) -> Layer:
    """Returns the layer with its own check of this id written anew. An owner may also make it less strict."""
    authority.require_keeper(actor, owner, "change checks of the harness")
    name = _id(check)
    return _write(actor, owner, editing.changing_check(name, check), f"changed {name}", expected_version)


@transaction.atomic
def remove_check(*, actor: Principal, owner: Tenant, check: str, expected_version: int | None = None) -> Layer:
    """Returns the layer without a check of its own. What lower tiers said about it applies no longer."""
    authority.require_keeper(actor, owner, "remove checks from the harness")
    return _write(actor, owner, editing.removing_check(check), f"removed {check}", expected_version)


@transaction.atomic
def tighten_check(
    *,
    actor: Principal,
    owner: Tenant,
    check: str,
    parameters: Document | None = None,
    blocking: bool = False,
    evidence: Sequence[str] = (),
    expected_version: int | None = None,
) -> Layer:
    """Returns the layer that demands more of a check of above, named `tenant/id`: what it tightened before stays."""
    authority.require_keeper(actor, owner, "tighten checks of the harness")
    if not (parameters or blocking or evidence):
        raise Invalid("Say what becomes stricter.", errors={"check": ["A value, evidence, or that it blocks."]})
    entry: dict[str, Any] = {"check": check}
    entry |= {"parameters": dict(parameters)} if parameters else {}
    entry |= {"blocking": True} if blocking else {}
    entry |= {"evidence": list(evidence)} if evidence else {}
    return _write(actor, owner, editing.tightening(entry), f"tightened {check}", expected_version)


@transaction.atomic
def loosen_check(*, actor: Principal, owner: Tenant, check: str, expected_version: int | None = None) -> Layer:
    """Returns the layer without what it tightened of a check of above: what stands above holds on."""
    authority.require_keeper(actor, owner, "take back what was tightened")
    return _write(actor, owner, editing.loosening(check), f"no longer tightens {check}", expected_version)


@transaction.atomic
def waive_check(
    *, actor: Principal, owner: Tenant, check: str, reason: str, expires: date, expected_version: int | None = None
) -> Layer:
    """Returns the layer in which its own check does not block until a day, at most 90 days ahead. The actor signs."""
    authority.require_keeper(actor, owner, "waive checks of the harness")
    if actor.person is None:
        raise Invalid("Only a person waives a check.", errors={"check": ["The installation signs nothing."]})
    waiver = {
        "check": f"{owner.slug}/{check}",
        "person": actor.person.handle,
        "reason": reason.strip(),
        "expires": expires.isoformat(),
    }
    return _write(actor, owner, editing.waiving(waiver), f"waived {check}", expected_version)


@transaction.atomic
def lift_waiver(*, actor: Principal, owner: Tenant, check: str, expected_version: int | None = None) -> Layer:
    """Returns the layer without the waiver of its own check, which blocks again as it says."""
    authority.require_keeper(actor, owner, "lift waivers of the harness")
    return _write(
        actor, owner, editing.lifting(f"{owner.slug}/{check}"), f"lifted the waiver of {check}", expected_version
    )


def _id(check: Document) -> str:
    return str(check.get("id", ""))


def _write(
    actor: Principal,
    owner: Tenant,
    edit: Edit,
    why: str,
    expected: int | None,
    places: Mapping[str, Place] | None = None,
) -> Layer:
    layer = _locked(owner, expected)
    before = layer.document
    try:
        document = edit(before)
    except editing.Absent as absent:
        raise NotFound(f"The layer of {owner.name} has no entry for {absent}.") from absent
    found = harness.faults_of(actor, owner, before, document)
    refuse_errors(located(found, places or {}), f"The harness of {owner.name} cannot be written like this.")
    changed = list(editing.changes(before, document))
    if layer.pk is not None and not changed:
        return layer  # the same demands in another order are the same layer
    layer.document, layer.changed_by = document, actor.person
    layer.version += 1
    _keep(layer, actor, why)
    _record(layer, actor, why, changed)
    return layer


def _locked(owner: Tenant, expected: int | None) -> Layer:
    """Returns the row locked, or one of version 0 that is not kept yet."""
    row = Layer.objects.filter(owner=owner).first()
    if row is not None:
        row = lock(row)
        check_version(row, expected)
        return row
    if expected:
        raise PreconditionFailed("There is no layer. Read it again.", current_version=0)
    return Layer(owner=owner, document=harness.document_of(None, owner), version=0)


def _keep(layer: Layer, actor: Principal, why: str) -> None:
    try:
        with transaction.atomic():
            keep(layer, actor, why)
    except IntegrityError as error:  # the other's row appeared after ours was looked for
        said = f"Somebody wrote the first layer of {layer.owner.name} at the same moment. Read it again."
        raise Conflict(said) from error


def _record(layer: Layer, actor: Principal, why: str, changed: Sequence[Changed]) -> None:
    facts: dict[str, Any] = {"why": why, "version": layer.version}
    for section in editing.SECTIONS:
        names = [f"{one.name} {one.kind}" for one in changed if one.section == section]
        facts |= {section: names[:NAMED]} if names else {}
    log_act(layer.owner_id, actor, verbs.LAYER_CHANGED, layer.owner.slug, **facts)
    for one in changed:
        if one.section == "waivers":
            _record_waiver(layer, actor, one)


def _record_waiver(layer: Layer, actor: Principal, changed: Changed) -> None:
    if changed.after is None:
        log_act(layer.owner_id, actor, verbs.WAIVER_LIFTED, changed.name)
        return
    said = {name: changed.after[name] for name in ("reason", "expires")}
    log_act(layer.owner_id, actor, verbs.CHECK_WAIVED, changed.name, **said)
