"""`./manage.py sequencer`: the process that places audit events and signs checkpoints."""

import signal
import threading
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from audit import keys, sequencer


class Command(BaseCommand):
    """Runs the sequencer until it is told to stop."""

    help = "Give audit events their places in the Merkle log and sign checkpoints; runs until SIGTERM."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="place everything that waits, sweep, and stop")
        parser.add_argument(
            "--minutes", type=float, default=10.0, help="after this an unanswered call counts as unknown"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        signer = keys.load_or_create(settings.HANSE.data / "secrets" / "audit" / "checkpoint.key")
        keys.publish(signer, settings.HANSE.data / "public" / "audit.vkey")
        worker = sequencer.Sequencer(signer)
        limit = timedelta(minutes=options["minutes"])
        if options["once"]:
            sequencer.run_until_idle(worker, limit=limit)
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        sequencer.run(worker, stop, limit=limit)
