"""A small SQLite file behind each demo application, as an internal application would have its own database."""

import sqlite3
import threading
from pathlib import Path
from typing import Any


class Store:
    """One file, one connection, one statement at a time."""

    def __init__(self, path: Path, schema: str) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(schema)

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Returns the rows of a query."""
        with self._lock:
            return [dict(row) for row in self._connection.execute(statement, values)]

    def write(self, statement: str, **values: Any) -> int:
        """Returns the id of the row written last."""
        with self._lock:
            return int(self._connection.execute(statement, values).lastrowid or 0)
