"""One prepared statement on one connection, sent and awaited through libpq's own non-blocking calls.

The driver's general path prepares a cursor and two watchers for each statement, which at this rate costs more than
the statement. Here the socket is watched once. Statements may follow each other before the first is answered (libpq's
pipeline mode, a Sync after each, so each is a transaction of its own): PostgreSQL runs them in the order in which they
were sent and need not wait for us between two.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import errors, pq

_PREPARE: Final = "PREPARE hanse_append (jsonb) AS SELECT audit_append($1)"
_NAME: Final = b"hanse_append"
_GOOD: Final = frozenset({pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK})

ROWS_REFUSED: Final = (psycopg.DataError, psycopg.IntegrityError)
"""What says that the rows are wrong and the connection is good."""

Settle = Callable[[psycopg.Error | None], None]


@dataclass(slots=True)
class _Statement:
    """One that is under way. What it returns comes before its COMMIT, so it is settled by the answer to its Sync."""

    settle: Settle
    timer: asyncio.TimerHandle
    failure: psycopg.Error | None = None


class Appender:
    """Owns its connection from the moment it is made. Any failure of the connection is final: make another one."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Any], on_lost: Callable[[], None], *, deadline: float
    ) -> None:
        self.is_lost = False
        self._connection = connection
        self._on_lost = on_lost
        self._deadline = deadline
        self._pg = connection.pgconn
        # libpq forgets the number when it closes the socket, but the loop must still be told to let go of it.
        self._fd = connection.pgconn.socket
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[_Statement] = deque()
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._loop.add_reader(self._fd, self._read)

    @classmethod
    async def connect(cls, dsn: str, on_lost: Callable[[], None], *, deadline: float) -> "Appender":
        """Returns an appender whose commits are synchronous, whatever the installation's default is."""
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        try:
            await connection.execute("SET synchronous_commit = on")
            await connection.execute(_PREPARE)
            made = cls(connection, on_lost, deadline=deadline)
        except BaseException:
            await connection.close()
            raise
        try:
            await made._prove()
        except BaseException:
            await made.close()
            raise
        return made

    def append(self, rows: bytes, settle: Settle) -> None:
        """Sends these rows, a JSON array, and returns at once.

        `settle` is called with None after their COMMIT, or with the error for which there was none; statements are
        settled in the order in which they were sent. Raises `psycopg.Error` when they could not even be sent, and then
        never calls `settle`.
        """
        self._pg.send_query_prepared(_NAME, [rows])
        self._pg.pipeline_sync()
        self._under_way.append(_Statement(settle, self._loop.call_later(self._deadline, self._expire)))
        self._flush()

    async def close(self) -> None:
        """Closes the connection; whoever still waits gets an error."""
        self._lose(psycopg.OperationalError("the connection was closed"))
        await self._connection.close()

    async def _prove(self) -> None:
        """Appends nothing, so that a connection that cannot append is not taken for one that can."""
        proven: asyncio.Future[None] = self._loop.create_future()

        def settle(error: psycopg.Error | None) -> None:
            if proven.done():
                return
            if error is None:
                proven.set_result(None)
            else:
                proven.set_exception(error)

        self.append(b"[]", settle)
        await proven

    def _flush(self) -> None:
        try:
            if self._pg.flush():
                self._loop.add_writer(self._fd, self._drain)
        except psycopg.Error as error:
            self._lose(error)

    def _drain(self) -> None:
        self._loop.remove_writer(self._fd)
        self._flush()

    def _read(self) -> None:
        try:
            self._pg.consume_input()
            while self._under_way and not self._pg.is_busy():
                result = self._pg.get_result()
                if result is not None:
                    self._take(result)
        except psycopg.Error as error:
            self._lose(error)

    def _take(self, result: pq.abc.PGresult) -> None:
        statement = self._under_way[0]
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            self._under_way.popleft()
            statement.timer.cancel()
            statement.settle(statement.failure)
            if statement.failure is not None and not isinstance(statement.failure, ROWS_REFUSED):
                self._lose(statement.failure)  # who may not append, or cannot, is not ready for the next call either
        elif result.status not in _GOOD and statement.failure is None:
            statement.failure = errors.error_from_result(result)

    def _expire(self) -> None:
        self._lose(psycopg.OperationalError("the database did not answer in time"))

    def _lose(self, error: psycopg.Error) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        # At once: the number of a closed socket is the next connection's, which is not ours to watch.
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        while self._under_way:
            statement = self._under_way.popleft()
            statement.timer.cancel()
            statement.settle(error)
        self._on_lost()
