from django.apps import AppConfig

from tenants import verbs


class TenantsConfig(AppConfig):
    """Tiers, people, agents, roles and delegations."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        verbs.register()
