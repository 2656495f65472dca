"""`./manage.py call`: one governed call through the running gateway, with the audit record that it left."""

import json
from typing import Any, Final
from uuid import UUID

import httpx2
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.queries import Filters, Row, calls_visible
from kernel import clock
from portal.cli.identities import add_identity_arguments, mint_for
from tenants.scope import ALL, tenant_scope

PROTOCOL: Final = "2026-07-28"
SECONDS: Final = 90.0


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
        answer = _post(f"{settings.HANSE.gateway_url}/mcp/{options['team']}", token, options["tool"], arguments)
        body = read_body(answer)
        call = answer.headers.get("hanse-call", "")
        with tenant_scope(ALL):
            records = [_as_record(row) for row in calls_visible(None, Filters(call=UUID(call)))] if call else []
        shown = body.get("result", body.get("error", body))
        self.stdout.write(json.dumps({"result": shown, "audit": records}, indent=2))
        if "error" in body or body.get("result", {}).get("isError"):
            raise SystemExit(1)


def read_body(answer: httpx2.Response) -> dict[str, Any]:
    """Returns the JSON-RPC answer. Raises `CommandError` when what answers there is no gateway."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise CommandError(
            f"What answers at {answer.url} (HTTP {answer.status_code}) is no gateway. "
            f"Where it runs apart, HANSE_GATEWAY_URL names it."
        )
    return body


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


def _post(url: str, token: str, tool: str, arguments: dict[str, Any]) -> httpx2.Response:
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": tool,
            "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": PROTOCOL,
                "io.modelcontextprotocol/clientInfo": {"name": "hanse-call", "version": clock.now().strftime("%Y")},
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    }
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": PROTOCOL,
        "mcp-method": "tools/call",
        "mcp-name": tool,
    }
    try:
        return httpx2.post(url, json=message, headers=headers, timeout=SECONDS, trust_env=False)
    except httpx2.HTTPError as error:
        raise CommandError(f"The gateway at {url} does not answer: {error}. Is `up` running?") from None
