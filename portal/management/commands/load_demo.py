"""`./manage.py load_demo`: the invented estate, loaded by the first `up`."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from portal.demo.loading import load_estate
from tenants.principals import SYSTEM
from tenants.queries import tenants
from tenants.scope import ALL, tenant_scope


class Command(BaseCommand):
    """Loads the demo estate into an empty installation."""

    help = "Load the invented demo estate. Only into an empty installation."

    def handle(self, *args: Any, **options: Any) -> None:
        """Loads everything or nothing."""
        with tenant_scope(ALL):
            if tenants(SYSTEM).exists():
                raise CommandError("This installation has tenants already; the demo estate goes into an empty one.")
            greeting = load_estate(settings.HANSE)
        self.stdout.write(greeting)
