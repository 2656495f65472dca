"""Bytes to text. What is not text says so; what is text in another encoding is still read."""

import codecs
from typing import Final

from registry.context.reading.sections import Unreadable

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LOOKED_AT: Final = 65_536
_CONTROL: Final = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")


def decode(content: bytes) -> str:
    """Returns the text with `\\n` as the only line end and without NUL. Raises `Unreadable` for what is no text."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _plain(_strictly(content[len(mark) :], encoding))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = _other(content)
    if sum(ord(character) in _CONTROL for character in text[:_LOOKED_AT]) * 20 > min(len(text), _LOOKED_AT):
        raise Unreadable("It is not text: too many control characters are in it.")
    return _plain(text)


def _strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise Unreadable(f"It says that it is {encoding.upper()}, and is not.") from None


def _other(content: bytes) -> str:
    head = content[:_LOOKED_AT]
    if b"\0" in head:
        raise Unreadable("It is not text: it is neither UTF-8 nor marked as UTF-16.")
    # Every byte is a character in Windows' western encoding; five are not assigned, and Latin-1 has them.
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
