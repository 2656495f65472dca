"""Reading of server-sent events as they arrive."""

import re
from typing import Final

from gateway.upstream_errors import TooLarge

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class EventParser:
    """Turns pieces of a stream, cut anywhere, into the data of whole events. One event never passes `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._begun = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Returns the data of every event that this piece completes; events without data are nothing."""
        text = self._rest + chunk
        if not self._begun:
            # The mark may come in pieces too.
            if len(text) < 3 and _BYTE_ORDER_MARK.startswith(text):
                self._rest = text
                return []
            self._begun = True
            text = text.removeprefix(_BYTE_ORDER_MARK)
        # A carriage return at the end may be the first half of a line end.
        held = b"\r" if text.endswith(b"\r") else b""
        *lines, rest = _LINE_END.split(text[: len(text) - len(held)])
        self._rest = rest + held
        self._check(self._size + len(self._rest))
        return [event for line in lines if (event := self._read(line)) is not None]

    def _read(self, line: bytes) -> bytes | None:
        if not line:
            event = b"\n".join(self._data) if self._data else None
            self._data, self._size = [], 0
            return event
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value) + 1
            self._check(self._size)
        return None

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise TooLarge("An event of the reply is too large.", sent=True)
