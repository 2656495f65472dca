"""The Django application of the REST API: it keeps API keys and the answers to idempotent requests."""

from django.apps import AppConfig

from portal.rest import verbs


class RestConfig(AppConfig):
    """Two tables, none of them owned by a tenant: a key and a kept answer belong to one person."""

    name = "portal.rest"
    label = "rest"
    verbose_name = "REST API"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Names what can be done to keys for the audit log."""
        verbs.register()
