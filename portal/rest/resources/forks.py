"""Forks: a team's operations on one version of a blueprint, how far they are from it, and how they move on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from rest_framework import serializers

from blueprints.forks.diff import compare
from blueprints.models import ChangeRequest, Fork, Version
from blueprints.queries import forks as queries
from blueprints.queries import library
from blueprints.services import forking, requests
from kernel.errors import Conflict, Invalid
from portal.rest import filters
from portal.rest.blueprint_fields import (
    FORK_OR_HEAD,
    TARGETS,
    ChangeRequestOut,
    DifferenceOut,
    ForkOut,
    document_text,
    operation_list,
)
from portal.rest.fields import Choice, Input, Output, PersonRef, Reason, Text
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from tenants import queries as tenants


class ForkDetail(ForkOut):
    """A fork with its contents."""

    operations = serializers.ListField(child=serializers.DictField())
    document = serializers.DictField(help_text="The operations resolved on the base.")
    kept_by_policy = serializers.SerializerMethodField(help_text="Pointers of what a regulatory domain demands.")
    is_configuration_at_heart = serializers.SerializerMethodField(help_text="It sets nothing but parameters.")
    successor = serializers.SerializerMethodField(help_text="What follows its blueprint, if you see that.")
    version = serializers.IntegerField()

    def get_kept_by_policy(self, fork: Fork) -> list[str]:
        """Returns pointers of operations."""
        return sorted(queries.policies_of(fork))

    def get_is_configuration_at_heart(self, fork: Fork) -> bool:
        """Tells whether a configuration would do."""
        return queries.is_configuration_at_heart(fork)

    def get_successor(self, fork: Fork) -> str | None:
        """Returns a reference without a version."""
        found = library.successor_of(self.context["principal"], fork.blueprint)
        return found.ref if found else None


class _Content(Input):
    """Operations, or a whole document whose operations are derived."""

    operations = operation_list(required=False)
    text = document_text(required=False, help_text="A full copy in YAML; `reason` is that of each operation.")
    reason = Text(max_length=200, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Returns the values when they say one thing in one way."""
        if "text" in attrs and "operations" in attrs:
            raise serializers.ValidationError({"text": ["Send operations or a text, and not both."]})
        if ("text" in attrs) != ("reason" in attrs):
            said = "Needed with a text." if "text" in attrs else "Each operation has its own."
            raise serializers.ValidationError({"reason": [said]})
        return attrs


class NewFork(_Content):
    """A fork to make of the head, or of the version that is named."""

    blueprint = Text(max_length=200, help_text="`namespace/name`, or `namespace/name@version`.")
    team = Text(max_length=48)
    name = Text(max_length=48)
    title = Text(max_length=200, required=False, allow_blank=True, help_text="Without it: the blueprint's.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Returns the values; the title of a full copy stands in its header."""
        if "text" in attrs and "title" in attrs:
            raise serializers.ValidationError({"title": ["That of a text stands in its header."]})
        return super().validate(attrs)


class ForkEdit(_Content):
    """All operations that a fork has from now on, or its whole document."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Returns the values when there are any."""
        if not attrs.keys() & {"operations", "text"}:
            raise serializers.ValidationError({"operations": ["Send operations, or a text."]})
        return super().validate(attrs)


class Rebase(Input):
    """Where a fork moves, and whose side holds in each conflict, by its pointer."""

    onto = Choice(choices=TARGETS, default="head")
    choices = serializers.DictField(child=Choice(choices=FORK_OR_HEAD), default=dict)


class NewRequest(Input):
    """What of a fork its owner is asked to take, by the pointers of what the operations change."""

    targets = serializers.ListField(child=Text(max_length=500), max_length=500)
    title = Text(max_length=200)
    note = Text(max_length=4000, required=False, allow_blank=True, default="")


class Onto(forms.Form):
    """What a fork is compared with."""

    onto = forms.ChoiceField(required=False, choices=TARGETS, help_text="Without it: the head of its blueprint.")


class ForkMomentOut(Output):
    """One change in the history of a fork."""

    at = serializers.DateTimeField(source="history_date")
    by = PersonRef(source="history_user", allow_null=True)
    reason = serializers.CharField(source="history_change_reason", allow_null=True)
    base = serializers.CharField(source="base.semver", allow_null=True)
    mode = serializers.ChoiceField(choices=Fork.Mode.choices)
    status = serializers.ChoiceField(choices=Fork.Status.choices)
    digest = serializers.CharField()
    operations = serializers.ListField(child=serializers.DictField())
    version = serializers.IntegerField()


class ForkResource(Resource):
    """Forks."""

    resource = "forks"

    @operation(
        summary="List forks",
        gives=ForkOut,
        listing=Listing(filters=filters.ForkFilters, sorts={**filters.FORK_SORTS, **filters.FORK_NUMBERS}),
    )
    def list(self) -> Any:
        """Forks of teams and of blueprints that you see, retired ones, too."""
        return queries.listed_forks(queries.forks(self.principal))

    @operation(
        summary="Fork a blueprint",
        takes=NewFork,
        gives=ForkDetail,
        status=201,
        place=lambda row: f"forks/{row.owner.slug}/{row.name}",
    )
    def create(self, data: dict[str, Any]) -> Fork:
        """By operations, or by a full copy. It may change what it likes and prove no less than its base."""
        version = self.named("blueprint", library.version_by_ref, data.pop("blueprint"))
        team = self.named("team", tenants.tenant_by_slug, data.pop("team"))
        make = forking.import_copy if "text" in data else forking.fork_blueprint
        with _faults_of(data):
            return make(actor=self.principal, version=version, team=team, **data)

    @operation(summary="Read a fork", gives=ForkDetail)
    def retrieve(self, team: str, name: str) -> Fork:
        """One fork with its operations and the document that they make."""
        return queries.fork_by_ref(self.principal, team, name)

    @operation(summary="Change a fork", takes=ForkEdit, gives=ForkDetail, conditional=True)
    def partial_update(self, data: dict[str, Any], team: str, name: str) -> Fork:
        """It has exactly these operations then, or those that make exactly this text of its base."""
        fork = queries.fork_by_ref(self.principal, team, name)
        change = forking.edit_fork if "text" in data else forking.change_fork
        expected = self.expected(fork)
        with _faults_of(data):
            return change(actor=self.principal, fork=fork, expected_version=expected, **data)

    @operation(summary="Compare a fork", asks=Onto, gives=DifferenceOut)
    def difference(self, asked: dict[str, Any], team: str, name: str) -> dict[str, Any]:
        """What the fork changes, what upstream has changed since its base, and where the two exclude each other."""
        fork = queries.fork_by_ref(self.principal, team, name)
        onto = self._onto(fork, asked["onto"], "?onto")
        difference = compare(fork.base.document, onto.document, fork.document)
        return {"base": fork.base.ref, "head": onto.ref, **difference.as_dict()}

    @operation(summary="Rebase a fork", takes=Rebase, gives=ForkDetail, conditional=True)
    def rebase(self, data: dict[str, Any], team: str, name: str) -> Fork:
        """409 with `conflicts` while some wait for a choice; then nothing has changed."""
        fork = queries.fork_by_ref(self.principal, team, name)
        onto, expected = self._onto(fork, data["onto"], "onto"), self.expected(fork)
        return forking.rebase_fork(
            actor=self.principal, fork=fork, onto=onto, choices=data["choices"], expected_version=expected
        )

    @operation(summary="Make a fork a configuration", gives=ForkDetail, conditional=True)
    def configure(self, team: str, name: str) -> Fork:
        """For one that sets parameters only: it follows each new head by itself from now on."""
        fork = queries.fork_by_ref(self.principal, team, name)
        return forking.configure_fork(actor=self.principal, fork=fork, expected_version=self.expected(fork))

    @operation(summary="Retire a fork", takes=Reason, gives=ForkDetail, conditional=True)
    def retire(self, data: dict[str, Any], team: str, name: str) -> Fork:
        """For good. It stays to be read."""
        fork = queries.fork_by_ref(self.principal, team, name)
        return forking.retire_fork(actor=self.principal, fork=fork, expected_version=self.expected(fork), **data)

    @operation(
        summary="List a fork's change requests",
        gives=ChangeRequestOut,
        listing=Listing(filters=filters.ChangeRequestFilters, sorts={"newest": "-pk"}),
    )
    def requests(self, team: str, name: str) -> Any:
        """What it has proposed upstream, newest first."""
        fork = queries.fork_by_ref(self.principal, team, name)
        return queries.listed_requests(queries.requests_of_fork(self.principal, fork))

    @operation(
        summary="Propose changes upstream",
        takes=NewRequest,
        gives=ChangeRequestOut,
        status=201,
        place=lambda row: f"change-requests/{row.uid}",
    )
    def request_change(self, data: dict[str, Any], team: str, name: str) -> ChangeRequest:
        """Asks the owner of the blueprint to take some of the operations into the next version."""
        fork = queries.fork_by_ref(self.principal, team, name)
        try:
            return requests.open_request(actor=self.principal, fork=fork, **data)
        except Conflict as error:
            raise _located(error) from error

    @operation(summary="List a fork's changes", gives=ForkMomentOut, listing=Listing(sorts={"at": "-history_date"}))
    def changes(self, team: str, name: str) -> Any:
        """Its history, newest first."""
        return queries.fork_history(queries.fork_by_ref(self.principal, team, name))

    def _onto(self, fork: Fork, wanted: str, field: str) -> Version:
        followed = wanted == "successor"
        blueprint = library.successor_of(self.principal, fork.blueprint) if followed else fork.blueprint
        if blueprint is None or blueprint.head is None:
            raise Invalid("There is no such target.", errors={field: ["Nothing follows its blueprint that you see."]})
        return library.version_of(self.principal, blueprint, blueprint.head.semver)


def _located(error: Conflict) -> Conflict:
    """Returns a conflict with an open request as one that says where that is."""
    if "request" not in error.facts:
        return error
    facts: dict[str, Any] = {**error.facts, "href": f"/api/v1/change-requests/{error.facts['request']}"}
    return Conflict(error.message, code=error.error_code, **facts)


@contextmanager
def _faults_of(data: dict[str, Any]) -> Iterator[None]:
    """Lets what is wrong with a document point at the field that was sent."""
    try:
        yield
    except Invalid as error:
        if "text" not in data and "text" in error.errors:
            error.errors = {"operations": error.errors["text"]}
        raise
