from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

from tenants import verbs


class TenantsConfig(AppConfig):
    """Tiers, people, agents, roles and delegations."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Registers verbs, and lets each app that has a module `steps` put its steps of an onboarding into their places."""
        verbs.register()
        autodiscover_modules("steps")
