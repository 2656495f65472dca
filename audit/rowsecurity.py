"""Migration operations that put the second line behind `visible_to` into the database itself: row level security.

What a session may see is its transaction-local setting `hanse.scope`: `*`, or `{1,2,3}`, or unset, which shows nothing.
"""

from collections.abc import Sequence
from typing import Any, Final

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

APP: Final = "hanse_app"
GATEWAY: Final = "hanse_gateway"
AUDIT: Final = "hanse_audit"
ROLES: Final = (APP, GATEWAY, AUDIT)

# Each part is a sub-select without a reference to the row, so PostgreSQL evaluates it once a query (InitPlan).
# A setting made by SET LOCAL is the empty string once its transaction ends, not NULL: both mean that nothing is visible.
_EVERYTHING: Final = "(SELECT current_setting('hanse.scope', true) = '*')"
_SCOPES: Final = (
    "(SELECT string_to_array(trim(both '{}' from "
    "NULLIF(NULLIF(current_setting('hanse.scope', true), ''), '*')), ','))::bigint[]"
)

CREATE_ROLES: Final = """
DO $$
DECLARE role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['hanse_app', 'hanse_gateway', 'hanse_audit'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;  -- another database of this cluster was migrated at the same moment
      END;
    END IF;
  END LOOP;
END $$;
"""


def scope_condition(column: str) -> str:
    """Returns the SQL condition under which a row with that scope column is visible to the session."""
    return f"{_EVERYTHING} OR {column} = ANY({_SCOPES})"


class _Statements(Operation):
    """Runs SQL and changes no model state."""

    reversible = True
    reduces_to_sql = True

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        pass

    def forward_sql(self) -> list[str]:
        raise NotImplementedError

    def backward_sql(self) -> list[str]:
        raise NotImplementedError

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        for statement in self.forward_sql():
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        for statement in self.backward_sql():
            schema_editor.execute(statement, params=None)


class EnableRowSecurity(_Statements):
    """Limits hanse_app to the rows whose `column` (a tenant's number) is in the session's scope.

    The owner (who migrates, and whose SECURITY DEFINER functions check for themselves) passes, as do `readers`, for
    SELECT only, and `writers`. Everybody else, also with a grant, sees nothing. `condition` replaces the column rule
    for tables that have their scope elsewhere; `check` adds to what hanse_app may write.
    """

    def __init__(
        self,
        table: str,
        column: str = "",
        *,
        condition: str = "",
        check: str = "true",
        readers: Sequence[str] = (),
        writers: Sequence[str] = (),
    ) -> None:
        if bool(column) == bool(condition):
            raise ValueError("give a column or a condition")
        self.table = table
        self.column = column
        self.condition = condition
        self.check = check
        self.readers = tuple(readers)
        self.writers = tuple(writers)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        names = ("column", "condition", "check", "readers", "writers")
        return type(self).__name__, [self.table], {name: getattr(self, name) for name in names if getattr(self, name)}

    def describe(self) -> str:
        return f"Limit the rows of {self.table} to the session's scope"

    def forward_sql(self) -> list[str]:
        condition = self.condition or scope_condition(self.column)
        return [
            f"ALTER TABLE {self.table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {self.table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY hanse_scope ON {self.table} TO {APP} USING ({condition}) WITH CHECK (({condition}) AND ({self.check}))",
            f"CREATE POLICY hanse_owner ON {self.table} TO CURRENT_USER USING (true) WITH CHECK (true)",
            *(f"CREATE POLICY hanse_read_{r} ON {self.table} FOR SELECT TO {r} USING (true)" for r in self.readers),
            *(
                f"CREATE POLICY hanse_all_{w} ON {self.table} TO {w} USING (true) WITH CHECK (true)"
                for w in self.writers
            ),
        ]

    def backward_sql(self) -> list[str]:
        policies = [
            "hanse_scope",
            "hanse_owner",
            *(f"hanse_read_{reader}" for reader in self.readers),
            *(f"hanse_all_{writer}" for writer in self.writers),
        ]
        return [
            *(f"DROP POLICY IF EXISTS {policy} ON {self.table}" for policy in policies),
            f"ALTER TABLE {self.table} NO FORCE ROW LEVEL SECURITY",
            f"ALTER TABLE {self.table} DISABLE ROW LEVEL SECURITY",
        ]


class Grant(_Statements):
    """Gives `privileges` on `on` (a table, or `SEQUENCE x`, or `FUNCTION f(...)`) to roles."""

    def __init__(self, privileges: str, on: str, *to: str) -> None:
        self.privileges = privileges
        self.on = on
        self.to = to

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        return type(self).__name__, [self.privileges, self.on, *self.to], {}

    def describe(self) -> str:
        return f"Grant {self.privileges} on {self.on} to {', '.join(self.to)}"

    def forward_sql(self) -> list[str]:
        return [f"GRANT {self.privileges} ON {self.on} TO {', '.join(self.to)}"]

    def backward_sql(self) -> list[str]:
        return [f"REVOKE {self.privileges} ON {self.on} FROM {', '.join(self.to)}"]
