"""`./manage.py call`: one governed call through the running gateway, with the audit record that it left."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.queries import Filters, Row, calls_visible
from kernel import clock
from kernel.errors import Unavailable
from portal.calling import call_tool
from portal.cli.identities import add_identity_arguments, mint_for
from tenants.scope import ALL, tenant_scope


class Command(BaseCommand):
    """Makes the call as any client would, over HTTP with a token; has no way around the gateway."""

    help = "Call TOOL with the arguments JSON as AGENT for PERSON in TEAM; print the result and its audit record."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the options."""
        add_identity_arguments(parser)
        parser.add_argument("tool", help="name in the team's surface, for instance clock__get_current_time")
        parser.add_argument("arguments", nargs="?", default="{}", help="a JSON object (default {})")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints one JSON document; the exit code is 1 when the call was refused or failed."""
        arguments = _parse(options["arguments"])
        token = mint_for(options, minutes=2)
        try:
            called = call_tool(team=options["team"], token=token, tool=options["tool"], arguments=arguments)
        except Unavailable as error:
            raise CommandError(error.message) from None
        with tenant_scope(ALL):
            records = [_as_record(row) for row in calls_visible(None, Filters(call=called.call))] if called.call else []
        self.stdout.write(json.dumps({"result": called.shown, "audit": records}, indent=2))
        if not called.ok:
            raise SystemExit(1)


def _as_record(row: Row) -> dict[str, object]:
    """Returns the record as people read it: who let whom do what, why it was allowed, how it ended, where it stands."""
    return {
        "uid": str(row.uid),
        "call": str(row.call),
        "stream": row.stream_name,
        "at": clock.timestamp(row.at),
        "person": str(row.person),
        "agent": str(row.agent),
        "delegation": str(row.delegation),
        "object": row.object,
        "decision": row.decision,
        "reasons": list(row.reasons),
        "result": row.result,
        "ms": row.ms,
        "index": row.index,
    }


def _parse(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError as error:
        raise CommandError(f"The arguments are not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise CommandError("The arguments are a JSON object.")
    return arguments
