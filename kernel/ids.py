"""Public identifiers: UUIDv7 (RFC 9562), ordered by creation time."""

import os
import re
import time
from typing import Final
from uuid import UUID

SLUG_PATTERN: Final = r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?"
_SLUG = re.compile(rf"\A{SLUG_PATTERN}\Z")


def new_uid() -> UUID:
    """Returns a UUIDv7: 48 bits of milliseconds since 1970, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def is_slug(text: str) -> bool:
    """Tells whether `text` is 1 to 48 of a-z, 0-9 and inner hyphens: safe in URLs and tool names alike."""
    return _SLUG.match(text) is not None
