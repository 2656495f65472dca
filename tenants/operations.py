"""Migration operations for what the ORM does not know: notifications when a policy fact changes."""

from typing import Any

from django.db.migrations.operations.base import Operation

CHANNEL = "hanse_policy"


class NotifyOnChange(Operation):
    """Sends `NOTIFY hanse_policy, part` once per writing statement on a table, so that gateways reload that part."""

    reversible = True

    def __init__(self, table: str, part: str) -> None:
        self.table = table
        self.part = part

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Changes no model state."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Creates one statement trigger; the function is shared by all tables of a part."""
        schema_editor.execute(f"""
            CREATE OR REPLACE FUNCTION hanse_notify_{self.part}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_notify('{CHANNEL}', '{self.part}'); RETURN NULL; END $$;
        """)
        schema_editor.execute(f"""
            CREATE TRIGGER {self.table}_notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {self.table}
            FOR EACH STATEMENT EXECUTE FUNCTION hanse_notify_{self.part}();
        """)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Drops the trigger; the shared function stays for other tables."""
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {self.table}_notify ON {self.table}")

    def describe(self) -> str:
        """Returns the line that `migrate` prints."""
        return f"Notify gateways when {self.table} changes"
