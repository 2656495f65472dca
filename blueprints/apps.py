from django.apps import AppConfig


class BlueprintsConfig(AppConfig):
    """Versioned workflows and their forks; so far what is pure: format, lint, forks."""

    name = "blueprints"
    default_auto_field = "django.db.models.BigAutoField"
