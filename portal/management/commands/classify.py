"""`./manage.py classify`: what a repository is fit for, measured from a checkout. Needs no database."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from blueprints.classification.survey import Classification, classify
from kernel import clock


class Command(BaseCommand):
    """Reads a checkout and executes nothing of it. Input that cannot be classified ends with exit code 2."""

    help = "Say whether a repository is fit for dark-factory or interactive-assistant, and what it lacks."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the options."""
        parser.add_argument("path", type=Path, help="the top of a git checkout")
        parser.add_argument("--executed", type=Path, metavar="FILE", help="report of the signals that were executed")
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the result."""
        result = classify(options["path"], now=clock.now(), executed=options["executed"])
        self.stdout.write(json.dumps(result.as_json(), indent=2) if options["json"] else _as_text(result))


def _as_text(result: Classification) -> str:
    said = result.as_json()
    lines = [f"{said['pattern']}, level {said['level']} ({said['level_name']}), commit {said['commit'] or 'none'}"]
    lines += [f"  level {item.level}  {item.signal}: {item.remedy}" for item in result.judgement.missing]
    return "\n".join(lines)
