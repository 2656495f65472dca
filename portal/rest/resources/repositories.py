"""Repositories: what they are fit for, their signed records, and who lowered or raised them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from blueprints import tasks
from blueprints.classification.signals import LEVELS, Executed, State
from blueprints.classification.standing import Because
from blueprints.models import PatternRequest, Repository
from blueprints.queries import repositories as queries
from blueprints.services import patterns
from blueprints.services import repositories as services
from kernel import clock
from portal.parts import readiness
from portal.rest import filters
from portal.rest.fields import Input, Output, PersonRef, Reason, TenantRef, Text
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from portal.sources import repository_sources
from tenants import queries as tenants

BECAUSE = [(one.value, one.name.replace("_", " ").capitalize()) for one in Because]
SIGNAL_STATES = [(state.value, state.value) for state in (*State, *Executed)]


class StandingOut(Output):
    """What it may be used for at this moment."""

    pattern = serializers.ChoiceField(choices=Repository.Pattern.choices)
    because = serializers.ChoiceField(choices=BECAUSE)
    sentence = serializers.CharField(help_text="Why, for people.")
    until = serializers.DateTimeField(allow_null=True, help_text="When that ends by itself.")


class RepositoryOut(Output):
    """A repository."""

    uid = serializers.UUIDField()
    team = TenantRef(source="owner")
    slug = serializers.CharField()
    name = serializers.CharField()
    url = serializers.CharField()
    branch = serializers.CharField(help_text="Empty: the repository's own choice.")
    standing = serializers.SerializerMethodField()
    state = serializers.SerializerMethodField()
    measured = serializers.ChoiceField(choices=Repository.Pattern.choices, allow_blank=True)
    level = serializers.IntegerField(allow_null=True, min_value=0, max_value=len(LEVELS) - 1)
    commit = serializers.CharField()
    measured_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    stage = serializers.ChoiceField(choices=Repository.Stage.choices, allow_blank=True)
    asked_at = serializers.DateTimeField(allow_null=True)
    fault = serializers.CharField(help_text="Why the last measurement could not be made.")
    lowered_at = serializers.DateTimeField(allow_null=True)
    lowered_reason = serializers.CharField()
    approved_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    version = serializers.IntegerField()

    @extend_schema_field(StandingOut)
    def get_standing(self, row: Repository) -> Any:
        """Returns what it may be used for at this moment."""
        return StandingOut(readiness.standing_now(row)).data

    @extend_schema_field(serializers.ChoiceField(choices=queries.STATE_CHOICES))
    def get_state(self, row: Repository) -> str:
        """Returns what is known of it now: measured, expired, unmeasured, measuring or failed."""
        return row.state_at(clock.now())


class MissingOut(Output):
    """One thing to do, and the level that needs it."""

    signal = serializers.CharField()
    level = serializers.IntegerField()
    state = serializers.ChoiceField(choices=SIGNAL_STATES)
    do = serializers.CharField()


class RepositoryDetail(RepositoryOut):
    """A repository with all that was found in it; what is missing comes most valuable first."""

    missing = MissingOut(many=True, source="findings.missing", default=[])
    signals = serializers.DictField(
        child=serializers.DictField(),
        source="findings.signals",
        default={},
        help_text="By name: its `state`, and the facts that led to it.",
    )
    key_id = serializers.CharField(help_text="The key that signed the record.")
    version = serializers.IntegerField()


class NewRepository(Input):
    """A repository to register: over HTTPS, or in a directory that the operator listed (`file:///…`)."""

    team = Text(max_length=48)
    slug = Text(max_length=48)
    name = Text(max_length=120)
    url = Text(max_length=500)
    branch = Text(max_length=200, required=False, allow_blank=True)


class RepositoryChange(Input):
    """What of a repository can change; what is left out stays."""

    name = Text(max_length=120, required=False)
    url = Text(max_length=500, required=False)
    branch = Text(max_length=200, required=False, allow_blank=True)


class RecordOut(Output):
    """A signed record as it leaves the house; `manage.py classify --verify` checks it without a database."""

    record = serializers.DictField()
    signature = serializers.CharField(help_text="Ed25519 over the type, a line end, and the canonical JSON, in base64.")
    key_id = serializers.CharField()
    facts = serializers.DictField(help_text="What the record was made from; its digest is in the record.")


class RepositoryPast(Output):
    """One change in the history of a repository: a measurement, a lowering, an approval, another place."""

    at = serializers.DateTimeField(source="history_date")
    by = PersonRef(source="history_user", allow_null=True)
    reason = serializers.CharField(source="history_change_reason", allow_null=True)
    name = serializers.CharField()
    url = serializers.CharField()
    branch = serializers.CharField()
    pattern = serializers.ChoiceField(choices=Repository.Pattern.choices)
    measured = serializers.ChoiceField(choices=Repository.Pattern.choices, allow_blank=True)
    level = serializers.IntegerField(allow_null=True)
    commit = serializers.CharField()
    fault = serializers.CharField()
    version = serializers.IntegerField()


class RepositoryRef(Output):
    """Enough of a repository to find it."""

    team = serializers.CharField(source="owner.slug")
    slug = serializers.CharField()
    name = serializers.CharField()


class PatternRequestOut(Output):
    """Somebody asks that a repository may be a dark factory although not everything was executed, or was lowered."""

    uid = serializers.UUIDField()
    repository = RepositoryRef()
    reason = serializers.CharField()
    status = serializers.ChoiceField(choices=PatternRequest.Status.choices)
    asked_by = PersonRef(allow_null=True)
    asked_at = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True, help_text="An approval holds until then.")
    decided_by = PersonRef(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decision_reason = serializers.CharField()
    version = serializers.IntegerField()


class PatternApproval(Input):
    """Why it is approved, and until when: at most as long as the record holds, which is what it is without an end."""

    reason = Text(max_length=200)
    until = serializers.DateTimeField(required=False)


LISTING = Listing(
    filters=filters.RepositoryFilters,
    sorts={"slug": "slug", "name": "name", "team": "owner__slug", "created": "created_at"},
)
REQUESTS = Listing(filters=filters.PatternRequestFilters, sorts={"asked": "-asked_at"})


class RepositoryResource(Resource):
    """Repositories."""

    resource = "repositories"

    @operation(summary="List repositories", gives=RepositoryOut, listing=LISTING)
    def list(self) -> Any:
        """Repositories of the teams that you see, with what each may be used for now."""
        return queries.repositories(self.principal)

    @operation(
        summary="Register a repository",
        takes=NewRepository,
        gives=RepositoryDetail,
        status=201,
        place=lambda row: f"repositories/{row.ref}",
    )
    def create(self, data: dict[str, Any]) -> Repository:
        """It is measured in the background. Until then it is for the interactive assistant."""
        team = self.named("team", tenants.tenant_by_slug, data.pop("team"))
        repository = services.register_repository(actor=self.principal, team=team, sources=repository_sources(), **data)
        tasks.wake(repository)
        return repository

    @operation(summary="Read a repository", gives=RepositoryDetail)
    def retrieve(self, team: str, slug: str) -> Repository:
        """One repository with every signal and what it lacks."""
        return queries.repository_by_ref(self.principal, team, slug)

    @operation(summary="Change a repository", takes=RepositoryChange, gives=RepositoryDetail, conditional=True)
    def partial_update(self, data: dict[str, Any], team: str, slug: str) -> Repository:
        """Another address or branch drops what was measured, and is measured anew."""
        repository = queries.repository_by_ref(self.principal, team, slug)
        expected = self.expected(repository)
        changed = services.change_repository(
            actor=self.principal, repository=repository, sources=repository_sources(), expected_version=expected, **data
        )
        if changed.stage:
            tasks.wake(changed)
        return changed

    @operation(summary="Remove a repository", status=204, conditional=True)
    def destroy(self, team: str, slug: str) -> None:
        """With what was measured and asked of it. Its history and the log stay."""
        repository = queries.repository_by_ref(self.principal, team, slug)
        expected = self.expected(repository)
        services.remove_repository(actor=self.principal, repository=repository, expected_version=expected)

    @operation(summary="Ask for a measurement", gives=RepositoryDetail, status=202)
    def measure(self, team: str, slug: str) -> Repository:
        """Fetches and reads it in the background; `stage` says how far that is. Asking twice is asking once."""
        repository = queries.repository_by_ref(self.principal, team, slug)
        asked = services.ask_measurement(actor=self.principal, repository=repository)
        tasks.wake(asked)
        return asked

    @operation(summary="Lower a pattern", takes=Reason, gives=RepositoryDetail, conditional=True)
    def lower(self, data: dict[str, Any], team: str, slug: str) -> Repository:
        """It is for the interactive assistant, whatever is measured, until an approval lifts that."""
        repository = queries.repository_by_ref(self.principal, team, slug)
        expected = self.expected(repository)
        return patterns.lower_pattern(actor=self.principal, repository=repository, expected_version=expected, **data)

    @operation(summary="Read a signed record", gives=RecordOut)
    def record(self, team: str, slug: str) -> dict[str, object]:
        """The last record with its signature and its facts, to be kept or checked elsewhere."""
        return queries.exported_record(queries.repository_by_ref(self.principal, team, slug))

    @operation(
        summary="List a repository's changes", gives=RepositoryPast, listing=Listing(sorts={"at": "-history_date"})
    )
    def changes(self, team: str, slug: str) -> Any:
        """Its history, newest first: measurements, lowerings, approvals, other places."""
        return queries.repository_history(queries.repository_by_ref(self.principal, team, slug))


class RepositoryRequestResource(Resource):
    """What is asked of one repository."""

    resource = "repository_requests"

    @operation(summary="List what was asked of a repository", gives=PatternRequestOut, listing=REQUESTS)
    def list(self, team: str, slug: str) -> Any:
        """Requests to raise its pattern, newest first."""
        repository = queries.repository_by_ref(self.principal, team, slug)
        return queries.requests_of_repository(self.principal, repository)

    @operation(
        summary="Ask to raise a pattern",
        takes=Reason,
        gives=PatternRequestOut,
        status=201,
        place=lambda row: f"pattern-requests/{row.uid}",
    )
    def create(self, data: dict[str, Any], team: str, slug: str) -> PatternRequest:
        """Only where the files give all they can and no run has failed. Somebody else who keeps the team decides."""
        repository = queries.repository_by_ref(self.principal, team, slug)
        return patterns.ask_pattern(actor=self.principal, repository=repository, **data)


class PatternRequestResource(Resource):
    """Requests to raise a pattern, of all repositories."""

    resource = "pattern_requests"

    @operation(summary="List pattern requests", gives=PatternRequestOut, listing=REQUESTS)
    def list(self) -> Any:
        """Requests that you see, newest first."""
        return queries.pattern_requests(self.principal)

    @operation(summary="Read a pattern request", gives=PatternRequestOut)
    def retrieve(self, uid: str) -> PatternRequest:
        """One request with its decision."""
        return queries.pattern_request_by_uid(self.principal, uid)

    @operation(summary="Approve a pattern", takes=PatternApproval, gives=PatternRequestOut, conditional=True)
    def approve(self, data: dict[str, Any], uid: str) -> PatternRequest:
        """A dark factory until the end, at most as long as the record holds. Nobody approves what they asked for."""
        request = queries.pattern_request_by_uid(self.principal, uid)
        expected = self.expected(request)
        return patterns.approve_pattern(actor=self.principal, request=request, expected_version=expected, **data)

    @operation(summary="Decline a pattern", takes=Reason, gives=PatternRequestOut, conditional=True)
    def decline(self, data: dict[str, Any], uid: str) -> PatternRequest:
        """It stays as it is; the reason is read by who asked."""
        request = queries.pattern_request_by_uid(self.principal, uid)
        expected = self.expected(request)
        return patterns.decline_pattern(actor=self.principal, request=request, expected_version=expected, **data)
