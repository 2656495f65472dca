"""The tenants whose rows this transaction may touch: the second line, held by the database itself."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from tenants.access import ALL

__all__ = ["ALL", "tenant_scope"]


@contextmanager
def tenant_scope(scope: str | Iterable[int]) -> Iterator[None]:
    """Limits every statement inside to the rows of these tenants, by row level security.

    The setting is transaction-local, so a pooled connection never carries it to the next borrower. Without any
    scope the database shows no team-owned row at all. Opens a transaction when there is none.
    """
    is_inner = connection.in_atomic_block
    value = ALL if scope == ALL else "{" + ",".join(str(int(item)) for item in scope) + "}"
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('hanse.scope', true), set_config('hanse.scope', %s, true)", [value])
            before = cursor.fetchone()[0] or ""
        yield
        # The setting ends with the transaction, and rolling back puts it back by itself.
        if is_inner and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('hanse.scope', %s, true)", [before])
