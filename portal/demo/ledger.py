"""An accounts ledger in double entry: an internal application of the demo estate, with an MCP server in front of it."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from kernel import clock
from portal.demo.store import Store

ACCOUNTS: Final = {"1000": "Cash", "1200": "Receivables", "2000": "Payables", "4000": "Sales", "6000": "Freight"}

Cents = Annotated[int, Field(gt=0, le=10**12, description="Amount in cents.")]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, debit TEXT NOT NULL, credit TEXT NOT NULL,
  cents INTEGER NOT NULL CHECK (cents > 0), text TEXT NOT NULL, reverses INTEGER UNIQUE REFERENCES entry (id)
)
"""


class Ledger:
    """Keeps entries. An entry is never changed: a wrong one is reversed once, by its mirror."""

    def __init__(self, path: Path) -> None:
        self._store = Store(path, SCHEMA)
        if not self._store.rows("SELECT 1 FROM entry LIMIT 1"):
            self.post("1200", "4000", 1_250_000, "Invoice 2041")
            self.post("6000", "2000", 184_500, "Harbour dues, October")
            self.post("1000", "1200", 1_250_000, "Payment of invoice 2041")

    def balances(self) -> list[dict[str, Any]]:
        """Returns every account with its balance in cents, debit positive. They always sum to nought."""
        rows = self._store.rows(
            "SELECT account, SUM(cents) AS cents FROM (SELECT debit AS account, cents FROM entry"
            " UNION ALL SELECT credit, -cents FROM entry) GROUP BY account"
        )
        sums = {row["account"]: row["cents"] for row in rows}
        return [{"account": key, "name": name, "cents": sums.get(key, 0)} for key, name in ACCOUNTS.items()]

    def entries(self, account: str | None, limit: int) -> list[dict[str, Any]]:
        """Returns entries, newest first, of one account or of all."""
        return self._store.rows(
            "SELECT * FROM entry WHERE :account IS NULL OR :account IN (debit, credit) ORDER BY id DESC LIMIT :limit",
            account=account,
            limit=max(1, min(limit, 200)),
        )

    def post(self, debit: str, credit: str, cents: int, text: str, reverses: int | None = None) -> dict[str, Any]:
        """Returns the new entry."""
        if debit not in ACCOUNTS or credit not in ACCOUNTS or debit == credit:
            raise ValueError(f"Two different accounts of {', '.join(ACCOUNTS)}, please.")
        key = self._store.write(
            "INSERT INTO entry (at, debit, credit, cents, text, reverses)"
            " VALUES (:at, :debit, :credit, :cents, :text, :reverses)",
            at=clock.timestamp(),
            debit=debit,
            credit=credit,
            cents=cents,
            text=text,
            reverses=reverses,
        )
        return self._store.rows("SELECT * FROM entry WHERE id = :id", id=key)[0]

    def reverse(self, entry: int, reason: str) -> dict[str, Any]:
        """Returns the mirror entry. An entry is reversed at most once, and a reversal never."""
        found = self._store.rows("SELECT * FROM entry WHERE id = :id", id=entry)
        if not found or found[0]["reverses"] is not None:
            raise ValueError(f"There is no entry {entry} that can be reversed.")
        if self._store.rows("SELECT 1 FROM entry WHERE reverses = :id", id=entry):
            raise ValueError(f"Entry {entry} was reversed before.")
        old = found[0]
        return self.post(old["credit"], old["debit"], old["cents"], f"Reversal of {entry}: {reason}", entry)


def ledger_server(path: Path) -> MCPServer:
    """Returns the ledger's MCP server over its store."""
    ledger = Ledger(path)
    server = MCPServer("accounts-ledger", title="Accounts ledger", version="2.0.1", log_level="WARNING")

    @server.tool(title="Balances", annotations=ToolAnnotations(read_only_hint=True))
    def balances() -> str:
        """Lists all accounts with their balances in cents."""
        return json.dumps(ledger.balances())

    @server.tool(title="List entries", annotations=ToolAnnotations(read_only_hint=True))
    def list_entries(account: str | None = None, limit: int = 50) -> str:
        """Lists entries, newest first, of one account or of all."""
        return json.dumps(ledger.entries(account, limit))

    @server.tool(title="Post an entry", annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False))
    def post_entry(debit: str, credit: str, cents: Cents, text: str) -> str:
        """Posts an amount from one account to another."""
        return json.dumps(ledger.post(debit, credit, cents, text))

    @server.tool(title="Reverse an entry", annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True))
    def reverse_entry(entry: int, reason: str) -> str:
        """Reverses an entry by posting its mirror."""
        return json.dumps(ledger.reverse(entry, reason))

    return server
