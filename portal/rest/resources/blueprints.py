"""Blueprints: the library, what one is, who forks it and how, and what a text would mean before it is proposed."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from blueprints.linting import Linted, lint_text
from blueprints.models import Blueprint
from blueprints.queries import forks as fork_queries
from blueprints.queries import library
from blueprints.queries.forks import Effect
from blueprints.services import publishing
from blueprints.services.soundness import read_sound
from portal.rest import filters
from portal.rest.blueprint_fields import BlueprintOut, BlueprintRef, ForkOut, LintFindingOut, document_text
from portal.rest.fields import Input, Output, PersonRef, TenantRef, Text
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from portal.rest.throttling import HeavyThrottle, PrincipalThrottle


class CountedBlueprintOut(BlueprintOut):
    """A blueprint in a list, with how many active forks of it you see."""

    fork_count = serializers.IntegerField()
    version = serializers.IntegerField()


class BlueprintDetail(BlueprintOut):
    """A blueprint with what follows it, if you see that."""

    successor = serializers.SerializerMethodField()
    version = serializers.IntegerField()

    @extend_schema_field(BlueprintRef(allow_null=True))
    def get_successor(self, row: Blueprint) -> Any:
        """Returns what follows it."""
        found = library.successor_of(self.context["principal"], row)
        return BlueprintRef(found).data if found else None


class Deprecation(Input):
    """Why a blueprint takes no new forks, and what to use instead."""

    reason = Text(max_length=200)
    successor = Text(max_length=110, required=False, allow_blank=True, default="", help_text="`namespace/name`.")


class BlueprintText(Input):
    """A whole blueprint."""

    text = document_text(help_text="YAML, at most 256 KiB.")


class LintOut(Output):
    """What is wrong with a text; nothing refuses it when `ok`."""

    ok = serializers.BooleanField()
    findings = LintFindingOut(many=True)


class VersionEffectOut(Output):
    """What a new version would mean for one fork."""

    ref = serializers.CharField()
    team = TenantRef()
    name = serializers.CharField()
    behind = serializers.IntegerField()
    drift = serializers.IntegerField()
    conflicts = serializers.ListField(child=serializers.CharField(), help_text="Pointers of what would clash.")


class VersionPreviewOut(Output):
    """What publishing a text would mean for the active forks that you see."""

    effects = VersionEffectOut(many=True)
    left_out = serializers.IntegerField(help_text="Forks beyond the first 500, which were not compared.")


class FamilyOut(Output):
    """One change that several forks make."""

    digest = serializers.CharField(help_text="Of what is changed; reason and place in a list do not count.")
    operation = serializers.DictField()
    forks = serializers.ListField(child=serializers.CharField())


class FamiliesOut(Output):
    """Changes that at least two of the active forks you see make."""

    families = FamilyOut(many=True)


class BlueprintMomentOut(Output):
    """One change in the history of a blueprint."""

    at = serializers.DateTimeField(source="history_date")
    by = PersonRef(source="history_user", allow_null=True)
    reason = serializers.CharField(source="history_change_reason", allow_null=True)
    status = serializers.ChoiceField(choices=Blueprint.Status.choices)
    title = serializers.CharField()
    head = serializers.CharField(source="head.semver", allow_null=True)
    version = serializers.IntegerField()


class BlueprintResource(Resource):
    """Blueprints."""

    resource = "blueprints"

    @operation(
        summary="List blueprints",
        gives=CountedBlueprintOut,
        listing=Listing(
            filters=filters.BlueprintFilters,
            sorts={
                "name": "name",
                "title": "title",
                "owner": "owner__slug",
                "status": "status",
                "changed": "changed_at",
                "created": "created_at",
            },
        ),
    )
    def list(self) -> Any:
        """Blueprints that you see: those of your teams, of their domains and of the platform."""
        return library.with_fork_counts(self.principal, library.blueprints(self.principal))

    @operation(summary="Read a blueprint", gives=BlueprintDetail)
    def retrieve(self, namespace: str, name: str) -> Blueprint:
        """One blueprint; what it says is in its versions."""
        return library.blueprint_by_ref(self.principal, namespace, name)

    @operation(summary="Deprecate a blueprint", takes=Deprecation, gives=BlueprintDetail, conditional=True)
    def deprecate(self, data: dict[str, Any], namespace: str, name: str) -> Blueprint:
        """It takes no new forks from now on. Those that it has stay, and can move to the successor."""
        found = library.blueprint_by_ref(self.principal, namespace, name)
        ref, expected = data.pop("successor"), self.expected(found)
        successor = self.named("successor", library.blueprint_named, ref) if ref else None
        return publishing.deprecate_blueprint(
            actor=self.principal, blueprint=found, successor=successor, expected_version=expected, **data
        )

    @operation(summary="Restore a blueprint", gives=BlueprintDetail, conditional=True)
    def restore(self, namespace: str, name: str) -> Blueprint:
        """It can be forked again."""
        found = library.blueprint_by_ref(self.principal, namespace, name)
        expected = self.expected(found)
        return publishing.restore_blueprint(actor=self.principal, blueprint=found, expected_version=expected)

    @operation(
        summary="List a blueprint's forks",
        gives=ForkOut,
        listing=Listing(filters=filters.ForkFilters, sorts={**filters.FORK_NUMBERS, **filters.FORK_SORTS}),
    )
    def forks(self, namespace: str, name: str) -> Any:
        """Active forks that you see, those that drifted most first."""
        found = library.blueprint_by_ref(self.principal, namespace, name)
        return fork_queries.listed_forks(fork_queries.forks_of(self.principal, found))

    @operation(summary="Read a blueprint's families", gives=FamiliesOut)
    def families(self, namespace: str, name: str) -> dict[str, Any]:
        """The same change in several forks, the most frequent first: what many need may belong upstream."""
        found = library.blueprint_by_ref(self.principal, namespace, name)
        return {"families": fork_queries.families_of(self.principal, found)}

    @operation(
        summary="List a blueprint's changes",
        gives=BlueprintMomentOut,
        listing=Listing(sorts={"at": "-history_date"}),
    )
    def changes(self, namespace: str, name: str) -> Any:
        """Its history, newest first."""
        return library.blueprint_history(library.blueprint_by_ref(self.principal, namespace, name))


class LintResource(Resource):
    """Judges a text and keeps nothing of it."""

    resource = "blueprints"

    @operation(summary="Lint a blueprint", takes=BlueprintText, gives=LintOut)
    def lint(self, data: dict[str, Any]) -> Linted:
        """Everything that is wrong with a text, with line and remedy. That there is something wrong is no error."""
        return lint_text(data["text"])


class PreviewResource(Resource):
    """Compares a text with every fork, so it may be asked a few times a minute."""

    resource = "blueprints"
    throttle_classes = [PrincipalThrottle, HeavyThrottle]

    @operation(summary="Preview a next version", takes=BlueprintText, gives=VersionPreviewOut)
    def preview(self, data: dict[str, Any], namespace: str, name: str) -> dict[str, Any]:
        """What each active fork that you see would be, were this text the head. Nothing is kept of it."""
        found = library.blueprint_by_ref(self.principal, namespace, name)
        effects = fork_queries.affected_by(self.principal, found, read_sound(data["text"]))
        count = fork_queries.forks_of(self.principal, found).count()
        return {"effects": list(_effects(effects)), "left_out": count - len(effects)}


def _effects(effects: Iterable[Effect]) -> Iterable[dict[str, Any]]:
    for effect in effects:
        fork, difference = effect.fork, effect.difference
        yield {
            "ref": fork.ref,
            "team": fork.owner,
            "name": fork.name,
            "behind": difference.behind,
            "drift": difference.drift,
            "conflicts": [change.as_dict()["path"] for change in difference.conflicts],
        }
