from django.apps import AppConfig

from registry import provided, verbs
from tenants import founded


class RegistryConfig(AppConfig):
    """MCP servers, tools, pins, credentials."""

    name = "registry"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        verbs.register()
        provided.register("registry.context.tools.PROVIDER")
        founded.register("registry.providing.provide_for")
