"""Where time comes from, so that a test can set it in one place."""

import math
import time
from datetime import UTC, datetime
from functools import lru_cache


def now() -> datetime:
    """Returns the present moment, always aware and in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime | None = None) -> str:
    """Returns RFC 3339 text in UTC with microseconds and a `Z`; text order equals time order."""
    if moment is None:
        second, microsecond = divmod(time.time_ns() // 1_000, 1_000_000)
    else:
        second, microsecond = math.floor(moment.timestamp()), moment.microsecond
    return f"{_to_the_second(second)}{microsecond:06d}Z"


@lru_cache(maxsize=4)
def _to_the_second(second: int) -> str:
    """Thousands of records are made in one second, so its text is kept."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")


def monotonic_ms() -> float:
    """Returns milliseconds from an arbitrary start that never runs backwards; only for durations."""
    return time.monotonic() * 1000.0
