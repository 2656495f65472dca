"""API keys (only their digests), and the answers that an idempotent request gets again."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from kernel import clock, ids
from tenants.models import Person


class ApiKey(models.Model):
    """Lets a program act as one person, with that person's roles as they are at each request, or less."""

    class Scope(models.TextChoices):
        """`read` admits no request that could change anything."""

        READ = "read", "Read"
        WRITE = "write", "Read and write"

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    scope = models.CharField(max_length=5, choices=Scope.choices, default=Scope.READ)
    prefix = models.CharField(max_length=16, help_text="How the key begins, to tell keys apart.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the key, which has 256 random bits.")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["ApiKey"]] = models.Manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="api_key_ends_after_start"),
            models.CheckConstraint(condition=Q(scope__in=["read", "write"]), name="api_key_scope_known"),
        ]
        indexes: ClassVar = [models.Index(fields=["person", "id"], name="api_key_by_person")]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"


class KeptAnswer(models.Model):
    """The answer to a request that carried an `Idempotency-Key`. `body` is null when it held a secret."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=128)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(default=clock.now)

    objects: ClassVar[models.Manager["KeptAnswer"]] = models.Manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person", "key"], name="kept_answer_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["person", "created_at"], name="kept_answer_by_age")]

    def __str__(self) -> str:
        return f"{self.status} for {self.key}"
