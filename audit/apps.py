"""Tells Django about the audit app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The audit log: knows nobody, so every other app may write to it."""

    name = "audit"
    label = "audit"
    default_auto_field = "django.db.models.BigAutoField"
