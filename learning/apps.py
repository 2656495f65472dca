from django.apps import AppConfig


class LearningConfig(AppConfig):
    """Lessons that travel up anonymised; holds its floor until they land."""

    name = "learning"
    default_auto_field = "django.db.models.BigAutoField"
