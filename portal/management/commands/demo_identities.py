"""`./manage.py demo_identities`: names of the demo estate that the other commands accept."""

import json
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.demo import estate
from tenants.principals import SYSTEM
from tenants.queries import live_delegation
from tenants.scope import ALL, tenant_scope

TEAM: Final = "checkout"
PERSON: Final = "jonas"
AGENT: Final = "release-pilot"


class Command(BaseCommand):
    """Prints one team, person and agent between whom a delegation holds."""

    help = "Print a team, a person and an agent of the demo estate that can make a governed call."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the options."""
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints only what holds in this installation."""
        with tenant_scope(ALL):
            found = live_delegation(SYSTEM, team=TEAM, person=PERSON, agent=AGENT)
        if not found.team.invented:
            raise CommandError("This installation has no demo estate.")
        names = {"team": TEAM, "person": f"{PERSON}@{estate.MAIL_DOMAIN}", "agent": AGENT}
        text = json.dumps(names) if options["json"] else "\n".join(f"{key}: {value}" for key, value in names.items())
        self.stdout.write(text)
