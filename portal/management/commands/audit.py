"""`./manage.py audit`: check the log, export it, prove one record, check a proof without any database."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from audit import keys, queries, tiles
from audit.models import Stream
from audit.notes import Head, NoteError, Verifier, open_checkpoint
from audit.proofs import Proof, ProofError
from audit.verification import Report, verify_stream
from kernel.errors import DomainError

EVERYTHING: Final = "*"


class Command(BaseCommand):
    """Each action ends with 0 when everything holds and with 1 when anything does not."""

    help = "Verify the audit log, export it for outsiders, prove one record, check a proof offline."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        verify = actions.add_parser("verify", help="recompute the log from its records; exit 1 on any finding")
        verify.add_argument("--stream", help="one stream's uid or name (default: all)")
        verify.add_argument(
            "--checkpoint", action="append", default=[], metavar="FILE", help="a checkpoint kept outside"
        )
        export = actions.add_parser("export", help="write the log as C2SP tlog-tiles")
        export.add_argument("directory", type=Path)
        export.add_argument("--stream", help="one stream's uid or name (default: all)")
        proof = actions.add_parser("proof", help="print one record's proof (c2sp.org/tlog-proof@v1)")
        proof.add_argument("uid", type=UUID)
        check = actions.add_parser("check-proof", help="check a proof; needs no database")
        check.add_argument("file", type=Path)
        check.add_argument("--key", type=Path, required=True, help="file with the verifier key")
        for action in (verify, proof, check):
            action.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        action: Callable[..., None] = getattr(self, "do_" + options["action"].replace("-", "_"))
        try:
            action(options)
        except (DomainError, NoteError, ProofError, tiles.LogError, OSError) as error:
            raise CommandError(str(error)) from error

    def do_verify(self, options: dict[str, Any]) -> None:
        verifier = _verifier()
        witnessed = [_read_head(Path(name), verifier) for name in options["checkpoint"]]
        with transaction.atomic():
            found = _streams(options["stream"])
            reports = [verify_stream(stream, verifier, witnessed=witnessed) for stream in found]
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(report) for report in reports], indent=2))
        else:
            for report in reports:
                self._print_report(report)
        if not all(report.ok for report in reports):
            raise CommandError("The audit log does not hold.")

    def do_export(self, options: dict[str, Any]) -> None:
        verifier = _verifier()
        with transaction.atomic():
            for stream in _streams(options["stream"]):
                checkpoint = queries.latest_checkpoint(stream.pk)
                if checkpoint is None:
                    continue
                directory = options["directory"] / str(stream.uid)
                entries = queries.entries(stream.pk, checkpoint.size)
                head = tiles.write_log(directory, entries, checkpoint.note, verifier)
                (directory / "vkey").write_text(verifier.named(head.origin).vkey() + "\n")
                self.stdout.write(f"{directory}  {head.size} entries  {stream.name}")

    def do_proof(self, options: dict[str, Any]) -> None:
        with transaction.atomic():
            _see_everything()
            proof = queries.inclusion_proof(options["uid"])
        head = proof.verify(_verifier())
        if options["json"]:
            self.stdout.write(json.dumps(_proof_json(proof, head), indent=2, ensure_ascii=False))
        else:
            self.stdout.write(proof.text(), ending="")
            self.stderr.write(proof.leaf.decode())

    def do_check_proof(self, options: dict[str, Any]) -> None:
        proof = Proof.parse(_proof_text(options["file"].read_bytes()))
        head = proof.verify(keys.load_verifier(options["key"]))
        if options["json"]:
            self.stdout.write(json.dumps(_proof_json(proof, head), indent=2, ensure_ascii=False))
        else:
            self.stdout.write(f"holds: entry {proof.index} of {head.size} in {head.origin}")
            self.stdout.write(proof.leaf.decode())

    def _print_report(self, report: Report) -> None:
        state = "ok" if report.ok else "BROKEN"
        self.stdout.write(f"{state}  {report.size} entries, {report.checkpoints} checkpoints  {report.stream.name}")
        for finding in report.findings:
            self.stdout.write(f"    {finding.what}: {finding.text}")


def _verifier() -> Verifier:
    return keys.load_verifier(settings.HANSE.data / "public" / "audit.vkey")


def _see_everything() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('hanse.scope', %s, true)", [EVERYTHING])


def _streams(wanted: str | None) -> list[Stream]:
    """Returns the streams asked for. Seeing none at all is a failure: a check of nothing must not pass."""
    _see_everything()
    found = [stream for stream in queries.streams(None) if wanted in {None, stream.name, str(stream.uid)}]
    if not found:
        raise CommandError("There is no such audit stream." if wanted else "There is no audit stream.")
    return found


def _read_head(path: Path, verifier: Verifier) -> Head:
    return open_checkpoint(path.read_text(), verifier)


def _proof_text(data: bytes) -> str:
    """Returns the proof's text from a file made by `audit proof`, with or without `--json`."""
    try:
        text = data.decode()
        return str(json.loads(text)["proof"]) if text.startswith("{") else text
    except (ValueError, KeyError, TypeError) as error:
        raise ProofError("the file holds no proof") from error


def _proof_json(proof: Proof, head: Head) -> dict[str, object]:
    return {
        "proof": proof.text(),
        "leaf": json.loads(proof.leaf),
        "index": proof.index,
        "size": head.size,
        "origin": head.origin,
    }


def _as_json(report: Report) -> dict[str, object]:
    return {
        "stream": str(report.stream.uid),
        "name": report.stream.name,
        "ok": report.ok,
        "size": report.size,
        "root": report.root.hex(),
        "checkpoints": report.checkpoints,
        "findings": [{"what": item.what, "index": item.index, "text": item.text} for item in report.findings],
    }
