"""`./manage.py agent_token`: a bearer token of an agent for one team, and nothing else on standard output."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from portal.cli.identities import add_identity_arguments, mint_for


class Command(BaseCommand):
    """Mints a token for a live delegation. Who runs it has the signing key, so it is an operator's tool."""

    help = "Print a bearer token with which AGENT acts for PERSON in TEAM. Works only where a delegation holds."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the options."""
        add_identity_arguments(parser)
        parser.add_argument("--minutes", type=int, default=15, help="how long it lives, 1 to 60 (default 15)")
        parser.add_argument("--tools", default="", help="comma list of tool names it is narrowed to")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the token."""
        tools = [name for name in options["tools"].split(",") if name]
        self.stdout.write(mint_for(options, minutes=options["minutes"], tools=tools))
