from django.apps import AppConfig

from registry import verbs


class RegistryConfig(AppConfig):
    """MCP servers, tools, pins, credentials."""

    name = "registry"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        verbs.register()
