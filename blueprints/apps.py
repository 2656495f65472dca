from django.apps import AppConfig


class BlueprintsConfig(AppConfig):
    """Versioned workflows and their forks; holds its floor until they land."""

    name = "blueprints"
    default_auto_field = "django.db.models.BigAutoField"
