"""Newline-delimited JSON-RPC with one server process: many callers at once, and nothing that the server says is trusted."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from gateway.rewrite import read_json, write_json
from gateway.stdio.specs import Limits
from gateway.wire import Refusal

Message = dict[str, Any]
MAX_DEPTH: Final = 128
CLOSED_OUTPUT: Final = "it closed its output"
_NOT_OURS: Final = {"code": -32601, "message": "This client offers nothing to servers."}


class StdioError(Exception):
    """A call without an answer from the server. `sent` says whether the server may have acted on it."""

    def __init__(self, code: str, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of the server: `result` or `error`, and whether its numbers need exact writing."""

    message: Message
    exact: bool


class Channel(asyncio.SubprocessProtocol):
    """Ends for ever with its process. Every request has an id of ours, so callers' ids never meet."""

    def __init__(self, limits: Limits, on_end: Callable[["Channel"], None]) -> None:
        self._limits = limits
        self._on_end = on_end
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Answer]] = {}
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._noise = 0
        self._stderr = bytearray()
        self._transport: asyncio.SubprocessTransport | None = None
        self.ended = asyncio.Event()
        self.reason = ""
        self.timeouts = 0
        self.was_asked_to_end = False

    # For callers

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self.reason

    @property
    def pid(self) -> int | None:
        return self._transport.get_pid() if self._transport is not None else None

    @property
    def stderr(self) -> str:
        """Returns the last that the server wrote to its standard error. It may hold secrets."""
        return self._stderr.decode("utf-8", "replace")

    async def request(self, method: str, params: Message, *, seconds: float, exact: bool = False) -> Answer:
        """Returns the server's answer. A caller that goes away cancels at the server."""
        if not self.is_open:
            raise StdioError("stdio_died", "The server's process has ended.", sent=False)
        if len(self._pending) >= self._limits.in_flight:
            raise StdioError("stdio_busy", "The server has too many calls in flight.", sent=False)
        number = next(self._ids)
        self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, exact=exact)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            self._cancel(number, "The time for this call is over.")
            self.timeouts += 1
            if self.timeouts >= self._limits.timeouts:
                self.end("it did not answer several calls in a row")
            raise StdioError("stdio_timeout", "The server did not answer in time.", sent=True) from None
        except asyncio.CancelledError:
            self._cancel(number, "The caller went away.")
            raise
        finally:
            self._pending.pop(number, None)

    def notify(self, method: str, params: Message | None = None) -> None:
        self._write({"jsonrpc": "2.0", "method": method} | ({"params": params} if params is not None else {}))

    def _cancel(self, number: int, reason: str) -> None:
        if self.is_open:
            try:
                self.notify("notifications/cancelled", {"requestId": number, "reason": reason})
            except StdioError:
                pass

    def _write(self, message: Message, *, exact: bool = True) -> None:
        pipe = self._pipe(0)
        if pipe is None or pipe.is_closing():
            raise StdioError("stdio_died", "The server's process has ended.", sent=False)
        if pipe.get_write_buffer_size() > self._limits.message_bytes:
            self.end("it does not read its input")
            raise StdioError("stdio_died", "The server does not read its input and was stopped.", sent=False)
        pipe.write(write_json(message, exact=exact) + b"\n")

    def _pipe(self, descriptor: int) -> asyncio.WriteTransport | None:
        if self._transport is None:
            return None
        return cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(descriptor))

    def end(self, reason: str) -> None:
        """Fails every call in flight and asks the guardian to take the whole process tree down."""
        if self.reason:
            return
        self.reason = reason
        for answer in self._pending.values():
            if not answer.done():
                error = StdioError("stdio_died", f"The server was lost during the call: {reason}.", sent=True)
                answer.set_exception(error)
        if self._transport is not None and self._transport.get_returncode() is None:
            self._transport.terminate()

    def kill(self) -> None:
        """The last resort, for a guardian that does not answer."""
        if self._transport is not None and self._transport.get_returncode() is None:
            self._transport.kill()
            self._transport.close()

    # asyncio.SubprocessProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._stderr += data
            del self._stderr[: -self._limits.stderr_bytes]
        elif not self.reason:
            self._receive(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self.end(CLOSED_OUTPUT)

    def process_exited(self) -> None:
        status = self._transport.get_returncode() if self._transport is not None else None
        ended = f"its process ended with status {status}"
        if self.reason == CLOSED_OUTPUT:
            self.reason = ended
        self.end(ended)

    def connection_lost(self, exc: Exception | None) -> None:
        """Comes after the end of the process and of its pipes, so its last words are here."""
        self.end("its pipes were closed")
        self.ended.set()
        self._on_end(self)

    # What the server says

    def _receive(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole = b"".join([*self._line, line])
            self._line.clear()
            self._line_bytes = 0
            self._read_line(whole)
        if rest:
            self._line.append(rest)
            self._line_bytes += len(rest)
            if self._line_bytes > self._limits.message_bytes:
                self.end("it sent a message above the size limit")

    def _read_line(self, line: bytes) -> None:
        if len(line) > self._limits.message_bytes:
            self.end("it sent a message above the size limit")
            return
        message, exact = _parse(line)
        answer = self._pending.get(message["id"]) if _is_answer(message) else None
        if answer is not None and not answer.done():
            self.timeouts = 0
            self._noise = max(0, self._noise - 64 * 1024)
            answer.set_result(Answer(message, exact))
            return
        self._noise += len(line) + 1
        if self._noise > self._limits.noise_bytes:
            self.end("it floods its output")
        elif "method" in message and "id" in message:
            self._refuse(message)

    def _refuse(self, message: Message) -> None:
        """A server gets no sampling, roots or elicitation from us; only a ping is answered."""
        reply = {"result": {}} if message["method"] == "ping" else {"error": _NOT_OURS}
        try:
            self._write({"jsonrpc": "2.0", "id": message["id"], **reply})
        except StdioError:
            pass


def _parse(line: bytes) -> tuple[Message, bool]:
    """Returns a JSON object, an empty one for whatever else a server prints."""
    try:
        message, exact = read_json(line, depth=MAX_DEPTH)
    except Refusal:
        return {}, False
    return (message, exact) if isinstance(message, dict) else ({}, False)


def _is_answer(message: Message) -> bool:
    number = message.get("id")
    has_one = isinstance(message.get("result"), dict) != isinstance(message.get("error"), dict)
    return isinstance(number, int) and not isinstance(number, bool) and has_one and "method" not in message
