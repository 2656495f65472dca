"""`./manage.py blueprint`: lint, compare and compile files without a database; publish, fork and show with one."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from blueprints.compiling import NotSound, compile_blueprint
from blueprints.forks.diff import Change, compare, compare_two
from blueprints.forks.operations import OverlayRefused, check_overlay, is_overlay, resolve
from blueprints.format.findings import Finding, located
from blueprints.format.reading import MAX_BYTES, Source, Unreadable, read_yaml
from blueprints.format.schema import check_shape, json_schema
from blueprints.linting import lint
from blueprints.versions import Reference, digest_of
from kernel.errors import DomainError, Invalid
from portal.cli import blueprints as stored

_MARKS: Final = {"fork-only": "fork    ", "upstream-only": "upstream", "same": "same    ", "conflict": "CONFLICT"}
NOT_WELL: Final = 1
NOT_DONE: Final = 2


class _Faulty(Exception):
    """A file holds no sound document; what is wrong stands in `findings`."""

    def __init__(self, name: str, findings: list[Finding]) -> None:
        super().__init__(f"{name} is not sound.")
        self.name = name
        self.findings = findings


class Command(BaseCommand):
    """Ends with 0 when all is well, 1 when a file has errors (or a fork conflicts), 2 when it cannot be done."""

    help = "Lint, compare and compile blueprints that lie in files; publish, fork and show them as the installation."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the actions."""
        actions = parser.add_subparsers(dest="action", required=True)
        checking = actions.add_parser("lint", help="explain every error with its place and its remedy")
        checking.add_argument("files", nargs="+", metavar="FILE")
        comparing = actions.add_parser("diff", help="what changed between two versions, and in a fork of the first")
        comparing.add_argument("base_file", metavar="BASE")
        comparing.add_argument("head_file", metavar="HEAD")
        comparing.add_argument("fork_file", metavar="FORK", nargs="?", help="a document, or an overlay on BASE")
        compiling = actions.add_parser("compile", help="print the lock that runs are pinned to")
        compiling.add_argument("file", metavar="FILE")
        compiling.add_argument("--base", metavar="FILE", help="the base version, when FILE is an overlay")
        actions.add_parser("schema", help="print the JSON Schema of a blueprint")
        publishing = actions.add_parser("publish", help="make a file the head of its blueprint, without a review")
        publishing.add_argument("file", metavar="FILE")
        publishing.add_argument("--owner", required=True, help="slug of the platform, domain or team that owns it")
        publishing.add_argument("--note", default="Published from the command line.", help="what changes, and why")
        forking = actions.add_parser("fork", help="fork a version, or a head, for a team")
        forking.add_argument("ref", metavar="REF", help="NAMESPACE/NAME, or NAMESPACE/NAME@VERSION")
        forking.add_argument("--team", required=True, help="slug of the team")
        forking.add_argument("--name", required=True, help="name of the fork within its team")
        forking.add_argument("--title", default="", help="for people (default: that of the blueprint)")
        showing = actions.add_parser("show", help="print a version as it was written, or a fork as an overlay")
        showing.add_argument("what", metavar="REF|TEAM/NAME")
        for action in (checking, comparing, publishing, forking, showing):
            action.add_argument("--json", action="store_true", help="one JSON document for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        """Does one action."""
        action: Callable[[dict[str, Any]], None] = getattr(self, f"do_{options['action']}")
        try:
            action(options)
        except Invalid as error:
            self._refuse(error, options)
        except DomainError as error:
            raise CommandError(str(error), returncode=NOT_DONE) from None
        except _Faulty as faulty:
            for finding in faulty.findings:
                self.stderr.write(finding.as_text(faulty.name))
            raise CommandError(str(faulty), returncode=NOT_WELL) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}", returncode=NOT_DONE) from None

    def do_lint(self, options: dict[str, Any]) -> None:
        """Prints the findings of all files; an overlay is judged by its shape, because its base is not here."""
        results = {name: _findings(name) for name in options["files"]}
        if options["json"]:
            shown = [{"file": name, "findings": [one.as_dict() for one in found]} for name, found in results.items()]
            self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))
        else:
            self._print_findings(results)
        if any(_errors(found) for found in results.values()):
            raise CommandError("There are errors.", returncode=NOT_WELL)

    def do_diff(self, options: dict[str, Any]) -> None:
        """Prints what changed; with a fork, the two numbers and every clash."""
        base, head = _document(options["base_file"]), _document(options["head_file"])
        fork = _document(options["fork_file"], base=base) if options["fork_file"] else None
        difference = compare_two(base, head) if fork is None else compare(base, head, fork)
        if options["json"]:
            self.stdout.write(json.dumps(difference.as_dict(), indent=2, ensure_ascii=False))
        else:
            for change in difference.changes:
                self.stdout.write(_line(change))
            drift = "" if fork is None else f", drift {difference.drift}, conflicts {len(difference.conflicts)}"
            self.stdout.write(f"behind {difference.behind}{drift}")
        if difference.conflicts:
            raise CommandError("Fork and head exclude each other in places.", returncode=NOT_WELL)

    def do_compile(self, options: dict[str, Any]) -> None:
        """Prints the lock of a document, or of an overlay on its base."""
        base = _document(options["base"]) if options["base"] else None
        document = _document(options["file"], base=base)
        pinned = None if base is None else {"ref": str(Reference.of(base)), "digest": digest_of(base)}
        try:
            lock = compile_blueprint(document, base=pinned)
        except NotSound as unsound:
            raise _Faulty(options["file"], _placed(unsound.findings, options["file"])) from None
        self.stdout.write(json.dumps(lock, indent=2, ensure_ascii=False))

    def do_schema(self, options: dict[str, Any]) -> None:
        """Prints the JSON Schema."""
        self.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False))

    def do_publish(self, options: dict[str, Any]) -> None:
        """Publishes a file."""
        text = stored.read_file(options["file"])
        with stored.everything():
            version = stored.publish_text(text, owner=options["owner"], note=options["note"])
            shown = stored.as_json(version) if options["json"] else f"published {version.ref} {version.digest}"
        self.stdout.write(shown)

    def do_fork(self, options: dict[str, Any]) -> None:
        """Forks a version."""
        names = {name: options[name] for name in ("team", "name", "title")}
        with stored.everything():
            fork = stored.fork_version(options["ref"], **names)
            said = f"forked {fork.base.ref} as {fork.ref}, behind {fork.behind}"
            shown = stored.as_json(fork) if options["json"] else said
        self.stdout.write(shown)

    def do_show(self, options: dict[str, Any]) -> None:
        """Prints a version, or a fork."""
        with stored.everything():
            row = stored.find(options["what"])
            shown = stored.as_json(row) if options["json"] else stored.as_text(row)
        self.stdout.write(shown)

    def _refuse(self, error: Invalid, options: dict[str, Any]) -> NoReturn:
        """Findings are those of the file, with their lines; other input is told in one line."""
        findings = error.facts.get("findings")
        if not isinstance(findings, list):
            said = " ".join(sentence for sentences in error.errors.values() for sentence in sentences)
            raise CommandError(f"{error} {said}".strip(), returncode=NOT_DONE) from None
        if options["json"]:
            self.stdout.write(json.dumps({"findings": findings}, indent=2, ensure_ascii=False))
        source = options.get("file") or options.get("ref") or ""
        for finding in findings:
            self.stderr.write(Finding(**finding).as_text(source))
        raise CommandError(str(error), returncode=NOT_WELL) from None

    def _print_findings(self, results: dict[str, list[Finding]]) -> None:
        for name, found in results.items():
            for finding in found:
                self.stdout.write(finding.as_text(name))
            if not found:
                self.stdout.write(f"{name}: ok")


def _read(name: str) -> Source:
    with Path(name).open("rb") as file:
        return read_yaml(file.read(MAX_BYTES + 1))


def _findings(name: str) -> list[Finding]:
    try:
        source = _read(name)
    except Unreadable as unreadable:
        return [unreadable.finding]
    found = check_overlay(source.value) if is_overlay(source.value) else lint(source.value)
    return located(found, source.places)


def _document(name: str, *, base: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns a document of the right shape; an overlay is resolved on `base`, and must have been made on just that."""
    try:
        source = _read(name)
    except Unreadable as unreadable:
        raise _Faulty(name, [unreadable.finding]) from None
    overlaid = is_overlay(source.value)
    wrong = check_overlay(source.value) if overlaid else list(check_shape(source.value))
    if wrong:
        raise _Faulty(name, located(wrong, source.places))
    document: dict[str, Any] = _resolved(name, source, base) if overlaid else source.value
    return document


def _resolved(name: str, source: Source, base: dict[str, Any] | None) -> dict[str, Any]:
    if base is None:
        raise CommandError(f"{name} is an overlay: give its base, too.", returncode=NOT_DONE)
    if source.value["base"]["digest"] != digest_of(base):
        said = f"{name} is an overlay on {source.value['base']['ref']}, and the base given is another document."
        raise CommandError(said, returncode=NOT_DONE)
    try:
        return resolve(base, source.value)
    except OverlayRefused as refused:
        raise _Faulty(name, located(refused.findings, source.places)) from None


def _placed(findings: Iterable[Finding], name: str) -> list[Finding]:
    """A document that was resolved stands in no file, so only what was read as it is has lines."""
    source = _read(name)
    return list(findings) if is_overlay(source.value) else located(findings, source.places)


def _errors(found: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in found)


def _line(change: Change) -> str:
    return f"{_MARKS[change.state]}  /{'/'.join(change.path)}"
