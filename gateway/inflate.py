"""Decoding of compressed replies with a limit on what comes out, because a small reply can unfold into gigabytes."""

import zlib
from typing import Final

from gateway.upstream_errors import ProtocolBroken, TooLarge

_IDENTITY: Final = frozenset({b"", b"identity"})
_GZIP: Final = frozenset({b"gzip", b"x-gzip"})


def known_encoding(value: bytes) -> bytes:
    """Returns b"" for identity, b"gzip" or b"deflate", or raises: what we cannot read we cannot scrub."""
    encoding = value.strip().lower()
    if encoding in _IDENTITY:
        return b""
    if encoding in _GZIP:
        return b"gzip"
    if encoding == b"deflate":
        return encoding
    raise ProtocolBroken("The upstream used an encoding that was not asked for.", sent=True)


class Inflater:
    """Decodes one body piece by piece; its whole output never passes `max_bytes`."""

    def __init__(self, encoding: bytes, max_bytes: int) -> None:
        self._encoding = encoding
        self._left = max_bytes
        self._decoder = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == b"gzip" else None

    def feed(self, data: bytes) -> bytes:
        decoder = self._decoder = self._decoder or _deflate_decoder(data)
        try:
            piece = decoder.decompress(data, self._left + 1)
        except zlib.error:
            raise ProtocolBroken("The compressed reply cannot be read.", sent=True) from None
        self._left -= len(piece)
        if self._left < 0:
            raise TooLarge("The reply is too large once decompressed.", sent=True)
        if decoder.unused_data:
            raise ProtocolBroken("There is something behind the compressed reply.", sent=True)
        return piece

    def finish(self) -> None:
        """Raises unless the compressed stream came to its end: half a reply is no reply."""
        if self._decoder is None or not self._decoder.eof:
            raise ProtocolBroken("The compressed reply is cut short.", sent=True)


def _deflate_decoder(data: bytes) -> "zlib._Decompress":
    """The name "deflate" stands for two formats; the first two bytes tell which."""
    wrapped = len(data) >= 2 and data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def decode_body(encoding: bytes, raw: bytes, max_bytes: int) -> bytes:
    """Returns the decoded body, or raises when it is too large, broken or cut short."""
    inflater = Inflater(encoding, max_bytes)
    body = inflater.feed(raw)
    inflater.finish()
    return body
