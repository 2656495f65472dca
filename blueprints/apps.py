from django.apps import AppConfig

from blueprints import verbs


class BlueprintsConfig(AppConfig):
    """Versioned workflows, their forks, the harness, and what repositories are fit for."""

    name = "blueprints"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        verbs.register()
