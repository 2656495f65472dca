"""`./manage.py classify`: what a repository is fit for, measured from a checkout; and whether a signed record is ours."""

import json
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from blueprints.classification.record import holds
from blueprints.classification.rules import rule_version
from blueprints.classification.sealing import key_id_of, verify
from blueprints.classification.survey import Classification, classify
from blueprints.queries.repositories import exported_record, harness_of, repository_by_name
from blueprints.services.measuring import record_measurement
from kernel import clock
from kernel.errors import Invalid
from portal.keyring import record_signer, record_verifier
from tenants.principals import SYSTEM
from tenants.scope import ALL, tenant_scope

MAX_RECORD: Final = 4 * 1024 * 1024
NOT_WELL: Final = 1


class Command(BaseCommand):
    """Reads a checkout and executes nothing of it. Input that cannot be classified ends with exit code 2."""

    help = "Say whether a repository is fit for dark-factory or interactive-assistant, and what it lacks."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the options."""
        parser.add_argument("path", type=Path, nargs="?", help="the top of a git checkout")
        parser.add_argument("--executed", type=Path, metavar="FILE", help="report of the signals that were executed")
        parser.add_argument("--record", metavar="TEAM/SLUG", help="keep a signed record for this registered repository")
        parser.add_argument("--verify", type=Path, metavar="FILE", help="check an exported record; needs no database")
        parser.add_argument("--key", type=Path, metavar="FILE", help="with --verify: the public key, if not our own")
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        """Does what is asked: verify, record, or only say."""
        if (options["path"] is None) == (options["verify"] is None):
            raise CommandError("Give the path of a checkout, or --verify and a file.", returncode=2)
        if options["verify"] is not None:
            self._verify(options)
        elif options["record"]:
            self._record(options)
        else:
            result = classify(options["path"], now=clock.now(), executed=options["executed"])
            self.stdout.write(json.dumps(result.as_json(), indent=2) if options["json"] else _as_text(result))

    def _record(self, options: dict[str, Any]) -> None:
        """Takes the checkout for the repository of this name, as whoever runs the command vouches for."""
        with tenant_scope(ALL):
            repository = repository_by_name(SYSTEM, options["record"])
            harness = harness_of(repository.owner)
            now = clock.now()
            result = classify(options["path"], now=now, executed=options["executed"], harness=harness)
            repository = record_measurement(repository, result, record_signer())
        if options["json"]:
            self.stdout.write(json.dumps(exported_record(repository), indent=2))
        else:
            self.stdout.write(_as_text(result))
            self.stdout.write(f"recorded for {repository.ref}, signed by {repository.key_id}")

    def _verify(self, options: dict[str, Any]) -> None:
        document, key = _read(options["verify"]), record_verifier(options["key"])
        try:
            record = verify(document, key)
        except Invalid as error:
            self._say(options, {"verified": False, "why": error.message, "key_id": key_id_of(key)}, error.message)
            raise CommandError("The record does not verify.", returncode=NOT_WELL) from None
        current = holds(record, now=clock.now(), commits_since=0)
        why = _why_not(record) if not current else ""
        said = {"verified": True, "holds": current, "why": why, "key_id": key_id_of(key), **_told(record)}
        state = f"it holds until {record.get('expires')}" if current else why
        named = f"{record.get('repository')}: {record.get('pattern')}, level {record.get('level')}"
        self._say(options, said, f"{named}, commit {record.get('commit')}\nsigned by {key_id_of(key)}; {state}")

    def _say(self, options: dict[str, Any], document: dict[str, Any], text: str) -> None:
        self.stdout.write(json.dumps(document, indent=2) if options["json"] else text)


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_RECORD + 1)
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_RECORD:
        raise Invalid(f"{path} is larger than any record.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Invalid(f"{path} is not JSON.") from None


def _told(record: Any) -> dict[str, Any]:
    names = ("repository", "commit", "pattern", "level", "rule_version", "at", "expires")
    return {name: record.get(name) for name in names}


def _why_not(record: Any) -> str:
    if record.get("rule_version") != rule_version():
        return f"it was made by the rules {record.get('rule_version')}, and these are {rule_version()}"
    return f"it has ended, or has not begun: {record.get('at')} to {record.get('expires')}"


def _as_text(result: Classification) -> str:
    said = result.as_json()
    lines = [f"{said['pattern']}, level {said['level']} ({said['level_name']}), commit {said['commit'] or 'none'}"]
    lines += [f"  level {item.level}  {item.signal}: {item.remedy}" for item in result.judgement.missing]
    return "\n".join(lines)
