"""Blueprints, their versions and forks, what teams ask of owners, harness layers, and repositories."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from blueprints.classification.standing import Standing, standing
from blueprints.versions import namespace_of
from kernel import clock, ids
from registry.context.models import GitCredential
from tenants.models import Person, Tenant
from tenants.ownership import OwnedQuerySet

PATTERNS = [
    ("dark-factory", "Dark factory"),
    ("interactive-assistant", "Interactive assistant"),
    ("either", "Either"),
]
VARIANTS = [("any", "Any"), ("greenfield", "Greenfield"), ("brownfield", "Brownfield")]


class Blueprint(models.Model):
    """A workflow that a tenant publishes, under one name for all its versions."""

    class Status(models.TextChoices):
        """A draft has no published version yet; a deprecated one takes no new forks."""

        DRAFT = "draft", "Draft"
        ACTIVE = "active", "Active"
        DEPRECATED = "deprecated", "Deprecated"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="blueprints")
    name = models.SlugField(max_length=48)
    title = models.CharField(max_length=200)
    summary = models.CharField(max_length=1000)
    variant = models.CharField(max_length=10, choices=VARIANTS, default="any")
    pattern = models.CharField(max_length=21, choices=PATTERNS)
    tags = ArrayField(models.CharField(max_length=48), default=list, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    status_reason = models.CharField(max_length=200, blank=True)
    successor = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    head = models.ForeignKey("Version", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    changed_at = models.DateTimeField(default=clock.now, editable=False)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Blueprint]] = OwnedQuerySet["Blueprint"].as_manager()
    history = HistoricalRecords(user_db_constraint=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="blueprint_once"),
            models.CheckConstraint(condition=Q(name__regex=rf"^{ids.SLUG_PATTERN}$"), name="blueprint_name_shape"),
            models.CheckConstraint(
                condition=Q(status="draft", head=None) | ~Q(status="draft") & Q(head__isnull=False),
                name="blueprint_head_unless_draft",
            ),
        ]
        indexes = [
            models.Index(fields=["name", "id"], name="blueprint_by_name"),
            models.Index(fields=["-changed_at", "id"], name="blueprint_by_change"),
            GinIndex(SearchVector("name", "title", "summary", config="simple"), name="blueprint_search"),
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title

    @property
    def namespace(self) -> str:
        """What stands before the slash in its reference; it follows from the owner and never changes."""
        return namespace_of(self.owner.tier, self.owner.slug)

    @property
    def ref(self) -> str:
        """The name without a version: `namespace/name`."""
        return f"{self.namespace}/{self.name}"


class Version(models.Model):
    """One version of a blueprint: its text, its content and its lock. A trigger lets nothing of these change."""

    class Status(models.TextChoices):
        """Only a published version can be forked or run."""

        PROPOSED = "proposed", "Proposed"
        PUBLISHED = "published", "Published"
        REJECTED = "rejected", "Rejected"
        WITHDRAWN = "withdrawn", "Withdrawn"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    blueprint = models.ForeignKey(Blueprint, on_delete=models.PROTECT, related_name="versions")
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    semver = models.CharField(max_length=64)
    digest = models.CharField(max_length=71)
    document = models.JSONField()
    text = models.TextField(help_text="As its author wrote it, comments included.")
    lock = models.JSONField()
    note = models.CharField(max_length=500, help_text="What changed and why.")
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PROPOSED)
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    proposed_at = models.DateTimeField(default=clock.now, editable=False)
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.CharField(max_length=200, blank=True)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Version]] = OwnedQuerySet["Version"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["blueprint", "semver"],
                condition=Q(status__in=["proposed", "published"]),
                name="version_once",
            ),
            models.CheckConstraint(
                condition=Q(status="proposed", decided_at=None) | ~Q(status="proposed") & Q(decided_at__isnull=False),
                name="version_decided_unless_proposed",
            ),
        ]
        indexes = [
            models.Index(fields=["blueprint", "-id"], name="version_by_blueprint"),
            models.Index(fields=["owner", "id"], condition=Q(status="proposed"), name="version_waiting"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.ref

    @property
    def ref(self) -> str:
        """The reference that forks and locks name: `namespace/name@version`."""
        return f"{self.blueprint.ref}@{self.semver}"


class Fork(models.Model):
    """A team's overlay on one base version. `behind`, `drift` and `conflicts` are against the head named `measured`."""

    class Mode(models.TextChoices):
        """A configuration sets parameters only and follows the head; a detached copy follows nothing by itself."""

        OVERLAY = "overlay", "Overlay"
        CONFIGURATION = "configuration", "Configuration"
        DETACHED = "detached", "Detached"

    class Status(models.TextChoices):
        """A retired fork stays to be read."""

        ACTIVE = "active", "Active"
        RETIRED = "retired", "Retired"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="forks")
    blueprint = models.ForeignKey(Blueprint, on_delete=models.PROTECT, related_name="forks")
    base = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="forks")
    measured = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    name = models.SlugField(max_length=48)
    title = models.CharField(max_length=200)
    mode = models.CharField(max_length=13, choices=Mode.choices, default=Mode.OVERLAY)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.ACTIVE)
    status_reason = models.CharField(max_length=200, blank=True)
    operations = models.JSONField(default=list)
    document = models.JSONField()
    digest = models.CharField(max_length=71)
    behind = models.PositiveIntegerField(default=0)
    drift = models.PositiveIntegerField(default=0)
    conflicts = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    changed_at = models.DateTimeField(default=clock.now, editable=False)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Fork]] = OwnedQuerySet["Fork"].as_manager()
    history = HistoricalRecords(
        excluded_fields=["behind", "drift", "conflicts", "measured", "document"], user_db_constraint=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="fork_once"),
            models.CheckConstraint(condition=Q(name__regex=rf"^{ids.SLUG_PATTERN}$"), name="fork_name_shape"),
        ]
        indexes = [
            models.Index(fields=["blueprint", "owner"], name="fork_by_blueprint"),
            models.Index(fields=["name", "id"], name="fork_by_name"),
            models.Index(fields=["-changed_at", "id"], name="fork_by_change"),
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """The fork's own name: `team.X/name`."""
        return f"{namespace_of(self.owner.tier, self.owner.slug)}/{self.name}"


class ChangeRequest(models.Model):
    """A team asks the owner of a blueprint to take some of a fork's operations into the next version.

    It belongs to whom it is asked of, and everybody who sees the blueprint sees it. The team is named by its words at
    the time, because those who decide need not see the team itself.
    """

    class Status(models.TextChoices):
        """Only an open request can be decided."""

        OPEN = "open", "Open"
        ACCEPTED = "accepted", "Accepted"
        DECLINED = "declined", "Declined"
        WITHDRAWN = "withdrawn", "Withdrawn"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="change_requests")
    blueprint = models.ForeignKey(Blueprint, on_delete=models.PROTECT, related_name="change_requests")
    against = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    fork_uid = models.UUIDField(help_text="The fork that it comes from.")
    team_slug = models.SlugField(max_length=48)
    team_name = models.CharField(max_length=120)
    title = models.CharField(max_length=200)
    note = models.TextField(max_length=4000, blank=True)
    operations = models.JSONField()
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.OPEN)
    opened_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    opened_at = models.DateTimeField(default=clock.now, editable=False)
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.CharField(max_length=200, blank=True)
    result = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, blank=True, related_name="requests")
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[ChangeRequest]] = OwnedQuerySet["ChangeRequest"].as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status="open", decided_at=None) | ~Q(status="open") & Q(decided_at__isnull=False),
                name="request_decided_unless_open",
            ),
            models.CheckConstraint(
                condition=Q(status="accepted", result__isnull=False) | ~Q(status="accepted") & Q(result=None),
                name="request_result_if_accepted",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="request_by_owner"),
            models.Index(fields=["fork_uid"], name="request_by_fork"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.title


class Layer(models.Model):
    """What one tenant adds to the harness: checks of its own, what it tightens, and waivers of its own checks."""

    owner = models.OneToOneField(Tenant, on_delete=models.PROTECT, related_name="layer")
    document = models.JSONField()
    changed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(default=clock.now, editable=False)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Layer]] = OwnedQuerySet["Layer"].as_manager()
    history = HistoricalRecords(user_db_constraint=False)


class Repository(models.Model):
    """A team's repository and what it was measured to be fit for. `record` is signed; `pattern` is what holds now."""

    class Pattern(models.TextChoices):
        """How agents may work on it."""

        DARK_FACTORY = "dark-factory", "Dark factory"
        INTERACTIVE = "interactive-assistant", "Interactive assistant"

    class Stage(models.TextChoices):
        """Where a measurement under way has come to; empty when there is none."""

        WAITING = "waiting", "Waits for a worker"
        FETCHING = "fetching", "Fetches the commit"
        READING = "reading", "Reads the files"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="repositories")
    slug = models.SlugField(max_length=48)
    name = models.CharField(max_length=120)
    url = models.CharField(max_length=500, help_text="Where it is cloned from.")
    branch = models.CharField(max_length=200, blank=True, help_text="Empty: the remote's own choice.")
    pattern = models.CharField(max_length=21, choices=Pattern.choices, default=Pattern.INTERACTIVE)
    measured = models.CharField(max_length=21, choices=Pattern.choices, blank=True)
    level = models.PositiveSmallIntegerField(null=True, blank=True)
    commit = models.CharField(max_length=64, blank=True)
    record = models.JSONField(null=True, blank=True)
    signature = models.CharField(max_length=200, blank=True)
    key_id = models.CharField(max_length=64, blank=True)
    findings = models.JSONField(default=dict, blank=True, help_text="Signals with their facts, and what is missing.")
    measured_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When a measurement was asked for last.")
    fault = models.CharField(max_length=300, blank=True, help_text="Why the last measurement could not be made.")
    executed = models.JSONField(null=True, blank=True, help_text="The last report of what was executed.")
    stage = models.CharField(max_length=8, choices=Stage.choices, blank=True, help_text="Of the measurement under way.")
    claim = models.UUIDField(null=True, blank=True, help_text="Which run of a worker measures it.")
    claimed_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often the measurement under way was begun.")
    lowered_at = models.DateTimeField(null=True, blank=True, help_text="Since then it is held down by a person.")
    lowered_reason = models.CharField(max_length=200, blank=True)
    approved_until = models.DateTimeField(null=True, blank=True, help_text="An approval raises it until then.")
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Repository]] = OwnedQuerySet["Repository"].as_manager()
    history = HistoricalRecords(
        excluded_fields=["findings", "record", "asked_at", "executed", "stage", "claim", "claimed_at", "attempts"],
        user_db_constraint=False,
    )

    class Meta:
        verbose_name_plural = "repositories"
        constraints = [
            models.UniqueConstraint(fields=["owner", "slug"], name="repository_once"),
            models.CheckConstraint(condition=Q(slug__regex=rf"^{ids.SLUG_PATTERN}$"), name="repository_slug_shape"),
            models.CheckConstraint(
                condition=Q(lowered_at=None) | Q(approved_until=None), name="repository_lowered_or_approved"
            ),
        ]
        indexes = [
            models.Index(fields=["slug", "id"], name="repository_by_slug"),
            models.Index(fields=["asked_at"], condition=~Q(stage=""), name="repository_under_way"),
            models.Index(fields=["expires_at"], name="repository_by_expiry"),
        ]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        """The name by which records and the log speak of it: `team/slug`."""
        return f"{self.owner.slug}/{self.slug}"

    @property
    def subject(self) -> str:
        """What its credential is sealed for."""
        return f"repository:{self.uid}"

    def standing_at(self, at: datetime, *, signed: bool = True, commits_since: int = 0) -> Standing:
        """Returns what it may be used for at a moment, and why. `queries.standing_of` looks at the signature, too."""
        return standing(
            self.record,
            lowered=self.lowered_at is not None,
            approved_until=self.approved_until,
            at=at,
            signed=signed,
            commits_since=commits_since,
        )

    def state_at(self, at: datetime) -> str:
        """Returns `measuring`, `failed`, `unmeasured`, `expired` or `measured`: what there is to know about it now."""
        if self.stage:
            return "measuring"
        if self.fault:
            return "failed"
        if self.expires_at is None:
            return "unmeasured"
        return "measured" if at < self.expires_at else "expired"


class RepositoryCredential(GitCredential):
    """The credential of a repository that is measured. It goes with the repository."""

    repository = models.OneToOneField(Repository, on_delete=models.CASCADE, related_name="credential")

    objects: ClassVar[models.Manager[RepositoryCredential]] = OwnedQuerySet["RepositoryCredential"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["owner", "id"], name="repository_credential_by_owner")]


class PatternRequest(models.Model):
    """Somebody asks that a repository may run as a dark factory before all that only running shows was run."""

    class Status(models.TextChoices):
        """Only an open request can be decided."""

        OPEN = "open", "Open"
        APPROVED = "approved", "Approved"
        DECLINED = "declined", "Declined"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="pattern_requests")
    reason = models.CharField(max_length=200)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.OPEN)
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    asked_at = models.DateTimeField(default=clock.now, editable=False)
    until = models.DateTimeField(null=True, blank=True, help_text="An approval holds until then.")
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.CharField(max_length=200, blank=True)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[PatternRequest]] = OwnedQuerySet["PatternRequest"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository"], condition=Q(status="open"), name="pattern_request_one_open"),
        ]
        indexes = [models.Index(fields=["owner", "-id"], name="pattern_request_by_owner")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.reason
