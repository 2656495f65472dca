"""Moments as people say them, with the exact one underneath."""

from datetime import datetime, timedelta
from typing import Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from kernel import clock

_STEPS: Final = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (86_400 * 60, 86_400, "d"))


def spoken(moment: datetime, present: datetime) -> str:
    """Returns `4 min ago`, `in 3 d` or a date beyond 60 days."""
    seconds = (present - moment).total_seconds()
    size = abs(seconds)
    if size < 5:
        return "just now"
    for below, unit, name in _STEPS:
        if size < below:
            amount = f"{int(size // unit)} {name}"
            return f"{amount} ago" if seconds > 0 else f"in {amount}"
    return moment.strftime("%-d %b %Y")


def duration(span: timedelta) -> str:
    """Returns `40 s`, `4 min 10 s`, `5 h 3 min` or `12 d 4 h`: two units, which is as exact as anybody reads."""
    seconds = max(0, int(span.total_seconds()))
    units = (("d", seconds // 86_400), ("h", seconds // 3600 % 24), ("min", seconds // 60 % 60), ("s", seconds % 60))
    first = next((place for place, (_, amount) in enumerate(units) if amount), 3)
    return " ".join(f"{amount} {unit}" for unit, amount in units[first : first + 2] if amount) or "0 s"


def ago(moment: datetime | None) -> SafeString:
    """Returns a `<time>` that reads as a distance and carries the exact moment."""
    if moment is None:
        return format_html('<span class="muted">{}</span>', "never")
    exact = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    text = spoken(moment, clock.now())
    return format_html('<time class="nowrap" datetime="{}" title="{}">{}</time>', clock.timestamp(moment), exact, text)


def exactly(moment: datetime | None) -> SafeString:
    """Returns a `<time>` with the exact moment in UTC."""
    if moment is None:
        return format_html('<span class="muted">{}</span>', "never")
    text = moment.strftime("%Y-%m-%d %H:%M:%S")
    return format_html('<time class="nowrap" datetime="{}">{} UTC</time>', clock.timestamp(moment), text)
