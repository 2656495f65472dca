"""One prepared statement on one connection, sent and awaited through libpq's own non-blocking calls.

The driver's general path prepares a cursor and two watchers for each statement, which at this rate costs more than
the statement. Here the socket is watched once, and one exchange is under way at a time.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import errors, pq

_PREPARE: Final = "PREPARE hanse_append (jsonb) AS SELECT audit_append($1)"
_NAME: Final = b"hanse_append"
_GOOD: Final = frozenset({pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK})


class Appender:
    """Owns its connection from the moment it is made. Any failure of the connection is final: make another one."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], on_lost: Callable[[], None]) -> None:
        self.is_lost = False
        self._connection = connection
        self._on_lost = on_lost
        self._pg = connection.pgconn
        # libpq forgets the number when it closes the socket, but the loop must still be told to let go of it.
        self._fd = connection.pgconn.socket
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] | None = None
        self._result: pq.abc.PGresult | None = None
        self._loop.add_reader(self._fd, self._read)

    @classmethod
    async def connect(cls, dsn: str, on_lost: Callable[[], None]) -> "Appender":
        """Returns an appender whose commits are synchronous, whatever the installation's default is."""
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        try:
            await connection.execute("SET synchronous_commit = on")
            await connection.execute(_PREPARE)
        except BaseException:
            await connection.close()
            raise
        made = cls(connection, on_lost)
        try:
            await made.append(b"[]")
        except BaseException:
            await made.close()
            raise
        return made

    async def append(self, rows: bytes) -> None:
        """Returns after the COMMIT of these rows, a JSON array. Raises `psycopg.Error` when there was none."""
        done = self._loop.create_future()
        self._done, self._result = done, None
        try:
            self._pg.send_query_prepared(_NAME, [rows])
            self._flush()
        except BaseException:
            self._done = None  # nobody waits for it, so it must not be told of the loss
            raise
        await done

    async def close(self) -> None:
        """Closes the connection; whoever still waits gets an error."""
        self._lose(psycopg.OperationalError("the connection was closed"))
        await self._connection.close()

    def _flush(self) -> None:
        if self._pg.flush():
            self._loop.add_writer(self._fd, self._drain)

    def _drain(self) -> None:
        try:
            if not self._pg.flush():
                self._loop.remove_writer(self._fd)
        except psycopg.Error as error:
            self._lose(error)

    def _read(self) -> None:
        try:
            self._pg.consume_input()
            if self._pg.is_busy():
                return
            while (result := self._pg.get_result()) is not None:
                self._result = result
                if self._pg.is_busy():
                    return
        except psycopg.Error as error:
            self._lose(error)
            return
        self._finish()

    def _finish(self) -> None:
        done, result, self._done = self._done, self._result, None
        if done is None or done.done():
            return
        if result is not None and result.status in _GOOD:
            done.set_result(None)
        else:
            failed = psycopg.OperationalError("no result") if result is None else errors.error_from_result(result)
            done.set_exception(failed)

    def _lose(self, error: psycopg.Error) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        # At once: the number of a closed socket is the next connection's, which is not ours to watch.
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        done, self._done = self._done, None
        if done is not None and not done.done():
            done.set_exception(error)
        self._on_lost()
