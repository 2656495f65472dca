"""The harness: what is in force for a tenant, its own layer, and what writing that would do."""

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from blueprints.format.reading import MAX_BYTES
from blueprints.harness.editing import text_of
from blueprints.harness.merging import Refusal
from blueprints.models import Layer
from blueprints.queries import harness
from blueprints.services.harness import write_layer
from kernel.errors import Invalid, NotFound
from portal.rest.fields import TIERS, Input, Output, PersonRef, TenantRef, Text
from portal.rest.operations import Resource, operation
from portal.rest.preconditions import require_absent_or_match
from tenants import queries as tenants
from tenants.models import Tenant


class Words(serializers.ListField):
    """A list of texts."""

    child = serializers.CharField()


class Sources(serializers.DictField):
    """Names of tenants by what they demand."""

    child = Words()


class HarnessParameterOut(Output):
    """A value with the direction in which it gets stricter; `scale` orders the words of the direction `lower`."""

    direction = serializers.CharField()
    value = serializers.JSONField()
    scale = Words(required=False)


class HarnessWaiverOut(Output):
    """An owner's own check does not block for a while."""

    owner = serializers.CharField()
    person = serializers.CharField()
    reason = serializers.CharField()
    expires = serializers.DateField()


class HarnessCheckOut(Output):
    """A check in force. Every `…_by` names tenants: whose value holds, who lets it block, who asks for evidence."""

    id = serializers.CharField()
    tier = serializers.ChoiceField(choices=TIERS)
    owners = Words()
    title = serializers.CharField()
    sensor = serializers.CharField()
    blocking = serializers.BooleanField()
    command = Words()
    prompt = serializers.CharField()
    parameters = serializers.DictField(child=HarnessParameterOut())
    evidence = Words()
    set_by = Sources()
    blocked_by = Words()
    evidence_by = Sources()
    tightened = Sources()
    waivers = HarnessWaiverOut(many=True)
    waived = serializers.BooleanField()


class HarnessFindingOut(Output):
    """What is wrong with a layer, where, and what to do about it. `path` is a JSON pointer."""

    code = serializers.CharField()
    severity = serializers.CharField()
    path = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    column = serializers.IntegerField(allow_null=True)
    message = serializers.CharField()
    remedy = serializers.CharField()


class HarnessLapsedOut(HarnessFindingOut):
    """An entry of a tenant that fits no more what stands above. It is left out, or (`in_force`) runs beside."""

    tenant = serializers.CharField()
    in_force = serializers.BooleanField()


class HarnessOut(Output):
    """What is in force. `whole` is false when you may not see every domain of a team: then more is in force."""

    tenant = TenantRef()
    whole = serializers.BooleanField()
    sources = TenantRef(many=True)
    checks = HarnessCheckOut(many=True)
    lapsed = HarnessLapsedOut(many=True)
    inherited_by = TenantRef(many=True)


class HarnessLayerOut(Output):
    """What one tenant has written itself: the same as a document and as YAML."""

    owner = TenantRef()
    document = serializers.DictField()
    text = serializers.SerializerMethodField()
    changed_by = PersonRef(allow_null=True)
    changed_at = serializers.DateTimeField()
    version = serializers.IntegerField()

    def get_text(self, layer: Layer) -> str:
        """Returns the document as YAML."""
        return text_of(layer.document)


class NewHarnessLayer(Input):
    """A whole layer, either as YAML in `text` or as a `document`."""

    text = Text(max_length=MAX_BYTES, trim_whitespace=False, required=False)
    document = serializers.DictField(required=False)


class HarnessChangeOut(Output):
    """An entry of the layer that would be another."""

    section = serializers.ChoiceField(choices=("checks", "tighten", "waivers"))
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=("added", "changed", "removed"))


class HarnessPreviewOut(Output):
    """What writing a layer would do: with findings it would be refused, else it would touch these teams and entries."""

    findings = HarnessFindingOut(many=True)
    changes = HarnessChangeOut(many=True)
    teams = TenantRef(many=True)
    lapsing = HarnessLapsedOut(many=True)
    layer_version = serializers.IntegerField(help_text="Of the layer as it is; 0: there is none.")


class HarnessResource(Resource):
    """The harness of a tenant."""

    resource = "harness"

    @operation(summary="Read the harness", gives=HarnessOut)
    def retrieve(self, slug: str) -> dict[str, Any]:
        """Every check in force with the source of each value. Nothing of a tenant that it is not below is in it."""
        found = harness.harness_of(self.principal, self._tenant(slug))
        return {
            "tenant": found.tenant,
            "whole": found.is_whole,
            "sources": list(found.sources.values()),
            "checks": [check.as_dict() for check in found.checks],
            "lapsed": _lapsed(found.lapsed),
            "inherited_by": harness.inheritors(self.principal, found.tenant),
        }

    @operation(summary="Read a layer", gives=HarnessLayerOut)
    def layer(self, slug: str) -> Layer:
        """What the tenant itself adds, tightens and waives."""
        found = harness.layer_of(self.principal, self._tenant(slug))
        if found is None:
            raise NotFound("It has written no layer yet.")
        return found

    @operation(summary="Write a layer", takes=NewHarnessLayer, gives=HarnessLayerOut, conditional=True, creatable=True)
    def update(self, data: dict[str, Any], slug: str) -> Layer:
        """Refused with the path of everything that would weaken what stands above. `If-None-Match: *` for the first."""
        owner = self._tenant(slug)
        present = harness.layer_of(self.principal, owner)
        require_absent_or_match(self.request, str(present.version) if present else None)
        version = present.version if present else 0
        return write_layer(actor=self.principal, owner=owner, expected_version=version, **data)

    @operation(summary="Preview a layer", takes=NewHarnessLayer, gives=HarnessPreviewOut)
    def preview(self, data: dict[str, Any], slug: str) -> dict[str, Any]:
        """What would be refused; else who inherits it, and which entries below would no longer apply."""
        if len(data) != 1:
            raise Invalid("Give the layer once: as text or as a document.", errors={"text": ["One of the two."]})
        shown = harness.preview(self.principal, self._tenant(slug), **data)
        return {
            "findings": [finding.as_dict() for finding in shown.findings],
            "changes": shown.changes,
            "teams": shown.teams,
            "lapsing": _lapsed(shown.lapsing),
            "layer_version": shown.layer_version,
        }

    def _tenant(self, slug: str) -> Tenant:
        return tenants.tenant_by_slug(self.principal, slug)


def _lapsed(found: Iterable[Refusal]) -> list[dict[str, Any]]:
    return [{**one.finding.as_dict(), "tenant": one.tenant, "in_force": one.still_runs} for one in found]
