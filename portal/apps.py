"""The Django application of the portal."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from portal import rights


class PortalConfig(AppConfig):
    """Holds templates, static files and commands; it has no models."""

    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        """Binds what must happen after every migration."""
        post_migrate.connect(rights.grant_tables, sender=self, dispatch_uid="portal.rights")
