"""`./manage.py apply DIR`: makes the catalog what the files of a directory say, or prints what that would change."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.applying.files import read_directory
from portal.applying.making import apply_entries

NOT_APPLIED = 1
NOT_DONE = 2


class Command(BaseCommand):
    """Acts as the installation itself, through the services that people use. What no file names stays as it is."""

    help = "Make tenants, people, roles, agents, servers, tool groups and sources of documents what the YAML files in DIR say."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the options."""
        parser.add_argument("directory", metavar="DIR", type=Path)
        parser.add_argument("--plan", action="store_true", help="print what would change, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints one line for each change; with any fault, the faults with file and line, and nothing is changed."""
        directory: Path = options["directory"]
        if not directory.is_dir():
            raise CommandError(f"{directory} is no directory.", returncode=NOT_DONE)
        entries, faults = read_directory(directory)
        report = apply_entries(entries, keep=not options["plan"] and not faults)
        for fault in (*faults, *report.faults):
            self.stderr.write(str(fault))
        if faults or report.faults:
            raise CommandError("Nothing was changed.", returncode=NOT_APPLIED)
        for change in report.changes:
            self.stdout.write(change)
        done = "would change" if options["plan"] else "changed"
        self.stdout.write(f"{len(report.changes)} {done}, {len(entries)} entries")
