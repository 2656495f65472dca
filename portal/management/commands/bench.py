"""`./manage.py bench NAME`: measures a figure again on this machine and prints it beside its target."""

import json
from collections.abc import Callable
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from portal.bench import (
    audit,
    blueprints,
    catalog_blueprints,
    context,
    denied,
    gateway,
    listing,
    onboarding,
    pages,
    start,
)
from portal.bench.figures import Report

_BENCHES: Final[dict[str, Callable[..., Report]]] = {
    "gateway": gateway.measure,
    "denied": denied.measure,
    "listing": listing.measure,
    "audit": audit.measure,
    "start": start.measure,
    "pages": pages.measure,
    "blueprints": blueprints.measure,
    "context": context.measure,
    "onboarding": onboarding.measure,
    "catalog-blueprints": catalog_blueprints.measure,
}


class Command(BaseCommand):
    """Runs benches on an installation of their own; the one that may be running is not touched."""

    help = "Measure again what we claim: a bench by name, or all of them. Needs no running installation."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the options."""
        parser.add_argument("name", choices=[*_BENCHES, "all"])
        parser.add_argument("--json", action="store_true", help="print one JSON document for machines")
        parser.add_argument("--quick", action="store_true", help="so small that only the way through is tried")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the report of each bench when it is there."""
        names = list(_BENCHES) if options["name"] == "all" else [options["name"]]
        reports = []
        for name in names:
            report = _BENCHES[name](quick=options["quick"])
            reports.append(report.as_dict())
            if not options["json"]:
                self.stdout.write(report.as_text() + "\n")
        if options["json"]:
            self.stdout.write(json.dumps(reports, indent=2))
