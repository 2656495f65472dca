"""What the log keeps: streams, events, erasable payloads, and the Merkle tree over the events' leaves."""

from typing import ClassVar, Final

from django.db import models
from django.db.models import Q

from audit.records import Kind
from kernel.clock import now
from kernel.ids import new_uid

KINDS: Final = tuple((kind.value, kind.name.title()) for kind in Kind)


class Stream(models.Model):
    """One log, of one tenant. `scope` is that tenant's number; audit never asks what it means."""

    uid = models.UUIDField(unique=True, default=new_uid, editable=False)
    scope = models.BigIntegerField(unique=True)
    name = models.TextField()
    kind = models.TextField(default="tenant")
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return self.name


class Event(models.Model):
    """One thing that happened. `leaf` holds the exact bytes that the tree covers; the other columns repeat it for search.

    The id comes from a default that takes the transaction's number first (see the first migration): the sequencer
    relies on that order to know when no lower id can still appear.
    """

    uid = models.UUIDField(unique=True, editable=False)
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="+")
    scope = models.BigIntegerField()
    kind = models.TextField(choices=KINDS)
    call = models.UUIDField(null=True)
    at = models.DateTimeField()
    person = models.UUIDField(null=True)
    agent = models.UUIDField(null=True)
    delegation = models.UUIDField(null=True)
    verb = models.TextField()
    object = models.TextField()
    decision = models.TextField(default="")
    result = models.TextField(default="")
    leaf = models.TextField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["scope", "-id"], name="audit_event_newest"),
            models.Index(fields=["person", "-id"], name="audit_event_person", condition=Q(person__isnull=False)),
            models.Index(fields=["agent", "-id"], name="audit_event_agent", condition=Q(agent__isnull=False)),
            models.Index(fields=["call"], name="audit_event_call", condition=Q(call__isnull=False)),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(kind__in=[kind.value for kind in Kind]), name="audit_event_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.verb} {self.object}"


class Payload(models.Model):
    """What was said, with the salt of its commitment. Deleting the row erases it and leaves the tree as it was."""

    event = models.UUIDField(primary_key=True, editable=False)
    scope = models.BigIntegerField()
    salt = models.BinaryField()
    body = models.TextField(null=True)  # noqa: DJ001  null: the body was not kept, its commitment still holds

    def __str__(self) -> str:
        return str(self.event)


class Leaf(models.Model):
    """The place of one event in its stream's tree."""

    event = models.OneToOneField(Event, primary_key=True, on_delete=models.PROTECT, related_name="place")
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, db_index=False, related_name="+")
    index = models.BigIntegerField()
    hash = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "index"], name="audit_leaf_place"),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id}/{self.index}"


class Tile(models.Model):
    """256 neighbouring hashes of one level of the tree; partial tiles are computed, never stored."""

    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, db_index=False, related_name="+")
    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hashes = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "level", "index"], name="audit_tile_place"),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id}/{self.level}/{self.index}"


class Checkpoint(models.Model):
    """A signed statement of a stream's size and root."""

    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, db_index=False, related_name="+")
    size = models.BigIntegerField()
    root = models.BinaryField()
    at = models.DateTimeField(default=now)
    note = models.TextField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "size"], name="audit_checkpoint_place"),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id}@{self.size}"


class Mark(models.Model):
    """How far the sequencer has looked, so that a restart does not read the whole log."""

    name = models.TextField(primary_key=True)
    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}={self.value}"
