"""MCP servers, their tools, pins, probes, groups and sealed credentials; what is searched is in `registry.context`."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from kernel import clock, ids
from registry.context.memories import Gap, Memory
from registry.context.models import Chunk, Document, Import, ImportItem, Source, SourceCredential, Word
from tenants.models import Person, Tenant
from tenants.ownership import OwnedQuerySet
from tenants.rules import Effect, Sensitivity, choices_of

__all__ = [
    "Chunk",
    "Credential",
    "Document",
    "Gap",
    "Import",
    "ImportItem",
    "Memory",
    "Probe",
    "Server",
    "Source",
    "SourceCredential",
    "Tool",
    "ToolGroup",
    "Word",
]


class Server(models.Model):
    """An MCP server, or an HTTP API that is wrapped as one: an internal application, owned by a team, a domain or the
    platform."""

    class Transport(models.TextChoices):
        """How the gateway talks to it."""

        HTTP = "http", "Streamable HTTP"
        STDIO = "stdio", "stdio"
        INTERNAL = "hanse", "Internal"
        OPENAPI = "openapi", "HTTP API"

    class Status(models.TextChoices):
        """Only an active server's tools are served."""

        DRAFT = "draft", "Draft"
        ACTIVE = "active", "Active"
        QUARANTINED = "quarantined", "Quarantined"
        RETIRED = "retired", "Retired"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="servers")
    slug = models.SlugField(max_length=48, unique=True)
    name = models.CharField(max_length=120)
    summary = models.CharField(max_length=400, blank=True)
    transport = models.CharField(max_length=7, choices=Transport.choices)
    url = models.CharField(max_length=500, blank=True)
    command = ArrayField(models.CharField(max_length=500), default=list, blank=True)
    status = models.CharField(max_length=11, choices=Status.choices, default=Status.DRAFT)
    status_reason = models.CharField(max_length=200, blank=True)
    protocol = models.CharField(max_length=16, blank=True, help_text="The newest revision it answered to.")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    probed_at = models.DateTimeField(null=True, blank=True)
    probe_ok = models.BooleanField(null=True)
    tools_changed_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Server]] = OwnedQuerySet["Server"].as_manager()
    history = HistoricalRecords(excluded_fields=["probed_at", "probe_ok", "tools_changed_at"], user_db_constraint=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(slug__regex=rf"^{ids.SLUG_PATTERN}$"), name="server_slug_shape"),
            models.CheckConstraint(
                condition=Q(transport__in=["http", "openapi"], command=[]) & ~Q(url="")
                | Q(transport="stdio", url="") & ~Q(command=[])
                | Q(transport="hanse", command=[], url__startswith="hanse:"),
                name="server_one_transport",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "slug"], name="server_by_owner"),
            GinIndex(SearchVector("slug", "name", "summary", config="simple"), name="server_search"),
        ]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_merged(self) -> bool:
        """Whether this internal server answers for all tiers at once: `hanse:<name>`, not `hanse:<name>/<tenant>`."""
        return self.transport == self.Transport.INTERNAL and "/" not in self.url

    @property
    def is_wrapped(self) -> bool:
        """Whether it is an HTTP API: its tools come from a document, not from what it shows."""
        return self.transport == self.Transport.OPENAPI


class Tool(models.Model):
    """One tool of a server: what was approved, and what the server showed last."""

    class State(models.TextChoices):
        """Only an approved tool is served; `changed` and `new` wait for a person."""

        NEW = "new", "New"
        APPROVED = "approved", "Approved"
        CHANGED = "changed", "Changed"
        MISSING = "missing", "Missing"
        REJECTED = "rejected", "Rejected"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="tools")
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=128)
    exposed_name = models.CharField(max_length=64, unique=True)
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    effect = models.SmallIntegerField(choices=choices_of(Effect), default=Effect.DESTROY)
    sensitivity = models.SmallIntegerField(choices=choices_of(Sensitivity), default=Sensitivity.INTERNAL)
    definition = models.JSONField(null=True, blank=True, help_text="As approved; what agents are shown.")
    pin = models.CharField(max_length=64, blank=True)
    seen = models.JSONField(null=True, blank=True, help_text="As the server showed it last.")
    seen_pin = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.NEW)
    faults = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    warnings = ArrayField(models.CharField(max_length=400), default=list, blank=True)
    first_seen_at = models.DateTimeField(default=clock.now, editable=False)
    approved_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Tool]] = OwnedQuerySet["Tool"].as_manager()
    history = HistoricalRecords(user_db_constraint=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "name"], name="tool_once"),
            models.CheckConstraint(
                condition=~Q(state="approved") | ~Q(pin="") & Q(definition__isnull=False), name="tool_approved_has_pin"
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "id"], name="tool_by_owner"),
            models.Index(fields=["name", "id"], name="tool_by_name"),
            models.Index(fields=["state", "owner"], condition=Q(state__in=["new", "changed"]), name="tool_waiting"),
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ToolGroup(models.Model):
    """A named set of tools that a delegation can grant. Every server has one of its own slug."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="tool_groups")
    slug = models.SlugField(max_length=48, unique=True)
    name = models.CharField(max_length=120)
    server = models.OneToOneField(Server, on_delete=models.CASCADE, null=True, blank=True, related_name="group")
    tools = models.ManyToManyField(Tool, related_name="groups", blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[ToolGroup]] = OwnedQuerySet["ToolGroup"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["owner", "id"], name="tool_group_by_owner")]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


class Credential(models.Model):
    """What the gateway shows to an upstream. Sealed on entry: nothing in the portal can read it again."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    server = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="credential")
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(
        max_length=6, choices=[("header", "Header"), ("bearer", "Bearer token"), ("basic", "Basic")], default="header"
    )
    header = models.CharField(max_length=64)
    sealed = models.BinaryField()
    origin = models.CharField(max_length=300)
    key_id = models.CharField(max_length=64)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    objects: ClassVar[models.Manager[Credential]] = OwnedQuerySet["Credential"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["owner", "id"], name="credential_by_owner")]


class Probe(models.Model):
    """One look at a server through the official SDK: did it answer, and what did it show."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="probes")
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=clock.now)
    ok = models.BooleanField()
    protocol = models.CharField(max_length=16, blank=True)
    tools = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    duration_ms = models.PositiveIntegerField(default=0)
    report = models.JSONField(default=dict, blank=True, help_text="What the owner's contract is judged by.")

    objects: ClassVar[models.Manager[Probe]] = OwnedQuerySet["Probe"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["server", "-at"], name="probe_by_server"),
            models.Index(fields=["owner", "id"], name="probe_by_owner"),
        ]
        ordering = ["-at"]


class ApiDocument(models.Model):
    """The OpenAPI document of a wrapped API as JSON, which of its operations are tools, and the next one.

    A proposed document is looked at beside the present one, and is nothing else until somebody takes it.
    """

    server = models.OneToOneField(Server, on_delete=models.CASCADE, related_name="document")
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    digest = models.CharField(max_length=64)
    chosen = ArrayField(models.CharField(max_length=600), default=list, blank=True)
    taken_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    taken_at = models.DateTimeField(default=clock.now)
    proposed = models.TextField(blank=True)
    proposed_digest = models.CharField(max_length=64, blank=True)
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    proposed_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[ApiDocument]] = OwnedQuerySet["ApiDocument"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["owner", "id"], name="api_document_by_owner")]
