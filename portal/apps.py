"""The Django application of the portal."""

import gc

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate

from portal import celery, rights


class PortalConfig(AppConfig):
    """Holds templates, static files and commands; it has no models."""

    name = "portal"
    verbose_name = "Portal"
    tasks = celery.app  # every process that starts Django can enqueue

    def ready(self) -> None:
        """Binds what must happen after every migration, and ends the loading that `portal.settings` began."""
        # Django sends the signal only for apps with models; by the time it sends any, every table is there.
        post_migrate.connect(rights.grant_tables, sender=apps.get_app_config("tenants"), dispatch_uid="portal.rights")
        gc.freeze()
        gc.enable()
