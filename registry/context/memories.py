"""What agents learned and propose to their teams, and what they asked and did not find."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from kernel import clock, ids
from registry.context.models import Document
from tenants.models import Agent, Delegation, Person, Tenant
from tenants.ownership import OwnedQuerySet

MAX_STATEMENT = 2_000
MAX_EVIDENCE = 2_000
MAX_TAGS = 8
MAX_TAG = 32
MAX_ASKED = 200


class Memory(models.Model):
    """A statement that an agent proposes to its team. Nobody finds it before a reviewer has accepted it."""

    class State(models.TextChoices):
        """What became of it."""

        WAITING = "waiting", "Waiting"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(max_length=MAX_STATEMENT)
    evidence = models.TextField(max_length=MAX_EVIDENCE, blank=True)
    tags = ArrayField(models.CharField(max_length=MAX_TAG), default=list, blank=True)
    marks = ArrayField(models.CharField(max_length=48), default=list, blank=True)
    digest = models.CharField(max_length=64, help_text="What it says, without regard to case and blanks.")
    times = models.PositiveIntegerField(default=1, help_text="How often it was proposed.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+")
    delegation = models.ForeignKey(Delegation, on_delete=models.PROTECT, related_name="+")
    call = models.UUIDField(help_text="The call that proposed it, as the audit log names it.")
    sensitivity = models.SmallIntegerField(help_text="How sensitive what the call could see was, at most.")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    document = models.ForeignKey(Document, on_delete=models.SET_NULL, null=True, blank=True, related_name="memories")
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Memory]] = OwnedQuerySet["Memory"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "digest"], condition=Q(state="waiting"), name="memory_waits_once"),
            models.CheckConstraint(
                condition=Q(state="waiting", decided_at=None) | ~Q(state="waiting") & Q(decided_at__isnull=False),
                name="memory_decided_unless_waiting",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "state", "-id"], name="memory_by_state"),
            models.Index(fields=["owner", "digest"], name="memory_by_digest"),
            models.Index(fields=["agent", "created_at"], name="memory_by_agent"),
        ]
        ordering = ["-id"]


class Gap(models.Model):
    """A question of a team's agents that found nothing good. It says neither who asked nor in which call."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    text = models.CharField(max_length=MAX_ASKED)
    asked = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField(default=clock.now, editable=False)
    last_at = models.DateTimeField(default=clock.now)

    objects: ClassVar[models.Manager[Gap]] = OwnedQuerySet["Gap"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "text"], name="gap_once")]
        indexes = [models.Index(fields=["owner", "last_at"], name="gap_by_time")]
        ordering = ["-asked", "-last_at"]
