"""The tenants whose rows this transaction may touch: the second line, held by the database itself."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from tenants.access import ALL

__all__ = ["ALL", "tenant_scope"]


@contextmanager
def tenant_scope(scope: str | Iterable[int], *, person: int | None = None) -> Iterator[None]:
    """Limits every statement inside to the rows of these tenants, by row level security.

    `person` is who asks: a few rows belong to people before they belong to a tenant.

    The setting is transaction-local, so a pooled connection never carries it to the next borrower. Without any
    scope the database shows no team-owned row at all. Opens a transaction when there is none.
    """
    is_inner = connection.in_atomic_block
    value = ALL if scope == ALL else "{" + ",".join(str(int(item)) for item in scope) + "}"
    with transaction.atomic():
        with connection.cursor() as cursor:
            before = _tell(cursor, value, "" if person is None else str(int(person)))
        yield
        # The setting ends with the transaction, and rolling back puts it back by itself.
        if is_inner and not connection.needs_rollback:
            with connection.cursor() as cursor:
                _tell(cursor, *before)


def _tell(cursor: CursorWrapper, scope: str, person: str) -> tuple[str, str]:
    """Returns what was set before."""
    cursor.execute(
        "SELECT current_setting('hanse.scope', true), current_setting('hanse.person', true),"
        " set_config('hanse.scope', %s, true), set_config('hanse.person', %s, true)",
        [scope, person],
    )
    row = cursor.fetchone()
    return row[0] or "", row[1] or ""
