"""Sources of documents, what was read of them, the chunks that are searched, and imports with their items."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Q

from kernel import clock, ids
from registry.git.access import KINDS
from tenants.models import Person, Tenant
from tenants.ownership import OwnedQuerySet
from tenants.rules import Sensitivity, choices_of

MAX_PATH = 500
OPEN = ("queued", "running", "paused")
"""The states in which an import still has something to do; a source has at most one such import."""


class Source(models.Model):
    """Where documents of one tenant come from: a repository, an export, a folder of files."""

    class Kind(models.TextChoices):
        """How its documents get here."""

        FILES = "files", "Files"
        GIT = "git", "Git repository"
        EXPORT = "export", "Wiki export"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="sources")
    slug = models.SlugField(max_length=48)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=6, choices=Kind.choices, default=Kind.FILES)
    location = models.CharField(
        max_length=500, blank=True, help_text="Where it is read from: of a repository its address, else for people."
    )
    branch = models.CharField(max_length=200, blank=True, help_text="Of a repository; empty: its own choice.")
    sensitivity = models.SmallIntegerField(choices=choices_of(Sensitivity), default=Sensitivity.INTERNAL)
    commit = models.CharField(max_length=64, blank=True, help_text="The commit that was read last, of a repository.")
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    read_at = models.DateTimeField(null=True, blank=True, help_text="When an import of it ended last.")
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Source]] = OwnedQuerySet["Source"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "slug"], name="source_once"),
            models.CheckConstraint(condition=Q(slug__regex=rf"^{ids.SLUG_PATTERN}$"), name="source_slug_shape"),
        ]
        indexes = [models.Index(fields=["slug", "id"], name="source_by_slug")]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        """What its credential is sealed for."""
        return f"source:{self.uid}"


class GitCredential(models.Model):
    """What is shown to the server of a repository, sealed on entry: nothing in the portal can read it again."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=6, choices=KINDS)
    sealed = models.BinaryField()
    address = models.CharField(max_length=500, help_text="What it is bound to, in the spelling that was sealed.")
    key_id = models.CharField(max_length=64)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        abstract = True


class SourceCredential(GitCredential):
    """The credential of a repository that documents are read from. It goes with its source."""

    source = models.OneToOneField(Source, on_delete=models.CASCADE, related_name="credential")

    objects: ClassVar[models.Manager[SourceCredential]] = OwnedQuerySet["SourceCredential"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["owner", "id"], name="source_credential_by_owner")]


class Document(models.Model):
    """One document as it was read last. A copy of another document of its owner has no chunks: it names the other."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="documents")
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    path = models.CharField(max_length=MAX_PATH)
    title = models.CharField(max_length=200, blank=True)
    format = models.CharField(max_length=10)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the document's bytes.")
    reading = models.PositiveSmallIntegerField(help_text="Which version of our reading it was read with.")
    commit = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=12)
    sensitivity = models.SmallIntegerField(choices=choices_of(Sensitivity), default=Sensitivity.INTERNAL)
    marks = ArrayField(models.CharField(max_length=48), default=list, blank=True)
    chunk_count = models.PositiveIntegerField(default=0)
    withheld_count = models.PositiveIntegerField(default=0)
    copy_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="copies")
    changed_at = models.DateTimeField(help_text="When it was changed where it comes from, as far as that is known.")
    read_at = models.DateTimeField(default=clock.now)

    objects: ClassVar[models.Manager[Document]] = OwnedQuerySet["Document"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "path"], name="document_once"),
            models.UniqueConstraint(fields=["owner", "digest"], condition=Q(copy_of=None), name="document_not_twice"),
            models.CheckConstraint(condition=~Q(copy_of=F("id")), name="document_copy_of_another"),
        ]
        indexes = [
            models.Index(fields=["owner", "-changed_at"], name="document_by_change"),
            models.Index(fields=["path", "id"], name="document_by_path"),
        ]
        ordering = ["path"]

    def __str__(self) -> str:
        return self.title or self.path


class Chunk(models.Model):
    """A part of a document that can be found. What search filters by stands here, so that it filters before it ranks.

    Its vector is in the column `embedding`, which only a database with pgvector has; `embedded_with` names the model
    that made it, and is empty while there is none.
    """

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks")
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="+", db_index=False)
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    key = models.CharField(max_length=32, help_text="Its place: heading path and ordinal.")
    digest = models.CharField(max_length=32, help_text="What it says.")
    ordinal = models.PositiveIntegerField()
    heading = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    text = models.TextField()
    line = models.PositiveIntegerField(default=0)
    page = models.PositiveIntegerField(default=0)
    words = models.PositiveIntegerField()
    language = models.CharField(max_length=12)
    sensitivity = models.SmallIntegerField(choices=choices_of(Sensitivity))
    changed_at = models.DateTimeField()
    withheld = models.BooleanField(default=False, help_text="Something like a secret is in it: never shown.")
    marks = ArrayField(models.CharField(max_length=48), default=list, blank=True)
    tsv = SearchVectorField()
    embedded_with = models.CharField(max_length=64, blank=True)

    objects: ClassVar[models.Manager[Chunk]] = OwnedQuerySet["Chunk"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["document", "key"], name="chunk_once")]
        indexes = [
            models.Index(fields=["owner", "language"], name="chunk_by_owner"),
            models.Index(fields=["source"], name="chunk_by_source"),
            models.Index(
                fields=["owner", "id"], condition=Q(embedded_with="", withheld=False), name="chunk_to_be_embedded"
            ),
            GinIndex(fields=["tsv"], name="chunk_words", fastupdate=False),
        ]
        ordering = ["document", "ordinal"]


class Word(models.Model):
    """In how many of an owner's chunks a word is: what makes a rare word count more. Counted anew after imports."""

    owner = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", db_index=False)
    word = models.TextField(db_collation="C")
    chunks = models.PositiveIntegerField()

    objects: ClassVar[models.Manager[Word]] = OwnedQuerySet["Word"].as_manager()

    class Meta:
        # All owners of a word stand together, because who sees many of them asks how often all of them have it.
        constraints = [models.UniqueConstraint(fields=["word", "owner"], include=["chunks"], name="word_once")]
        indexes = [models.Index(fields=["owner"], name="word_by_owner")]


class Import(models.Model):
    """One reading of a source. These rows are the only truth: a task only wakes a worker to look at them.

    A worker holds an import by its lease, and its number is `fence`: what an earlier holder still writes is refused.
    """

    class State(models.TextChoices):
        """What is to be done with it."""

        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        CANCELLED = "cancelled", "Cancelled"
        FAILED = "failed", "Failed"
        DONE = "done", "Done"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="imports")
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=9, choices=State.choices, default=State.QUEUED)
    commit = models.CharField(max_length=64, blank=True)
    unchanged = models.PositiveIntegerField(default=0, help_text="Documents that are as they were, so not read again.")
    is_staged = models.BooleanField(
        default=True, help_text="Whether its documents are here; else a repository is next."
    )
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often a worker began to fetch it.")
    fault = models.CharField(max_length=300, blank=True, help_text="Why nothing of it could be had.")
    fence = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True, blank=True)
    began_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    began_at = models.DateTimeField(default=clock.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Import]] = OwnedQuerySet["Import"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source"], condition=Q(state__in=OPEN), name="import_one_open"),
            models.CheckConstraint(
                condition=Q(state__in=OPEN, ended_at=None) | ~Q(state__in=OPEN) & Q(ended_at__isnull=False),
                name="import_ended_unless_open",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="import_by_owner"),
            models.Index(fields=["id"], condition=Q(state__in=["queued", "running"]), name="import_to_do"),
        ]
        ordering = ["-id"]


class ImportItem(models.Model):
    """One document of an import. `content` is what waits to be read, and is gone as soon as it was."""

    class State(models.TextChoices):
        """What became of it."""

        WAITING = "waiting", "Waiting"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    of = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="items")
    owner = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    path = models.CharField(max_length=MAX_PATH)
    commit = models.CharField(max_length=64, blank=True)
    changed_at = models.DateTimeField()
    is_removal = models.BooleanField(default=False)
    content = models.BinaryField(null=True)
    digest = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    fault = models.CharField(max_length=300, blank=True)
    chunks = models.PositiveIntegerField(default=0)

    objects: ClassVar[models.Manager[ImportItem]] = OwnedQuerySet["ImportItem"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["of", "path"], name="import_item_once")]
        indexes = [models.Index(fields=["of", "state", "id"], name="import_item_by_state")]
        ordering = ["id"]
