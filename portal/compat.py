"""The only place that knows Django 5.2 from 6.x."""

import django

HAS_PARTIALS = django.VERSION >= (6, 0)

# Django 6 has template partials of its own; before, django-template-partials gives the same tags.
PARTIALS_APPS: tuple[str, ...] = () if HAS_PARTIALS else ("template_partials.apps.SimpleAppConfig",)
PARTIALS_BUILTINS: tuple[str, ...] = () if HAS_PARTIALS else ("template_partials.templatetags.partials",)
TEMPLATE_LOADERS: tuple[str, ...] = (
    "django.template.loaders.filesystem.Loader",
    "django.template.loaders.app_directories.Loader",
)


def cached_loaders() -> list[object]:
    """Returns the loaders setting under which `page.html#part` works."""
    cached = ("django.template.loaders.cached.Loader", list(TEMPLATE_LOADERS))
    return [cached] if HAS_PARTIALS else [("template_partials.loader.Loader", [cached])]
