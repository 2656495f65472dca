"""Small charts as SVG: crisp, themed by CSS classes, readable aloud."""

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 96, 20


def points(values: Sequence[float]) -> list[tuple[float, float]]:
    """Returns where each value lies in the box, 1 px away from its edges; a flat line lies at the bottom."""
    top = max(values, default=0)
    step = WIDTH / max(len(values) - 1, 1)
    return [
        (round(index * step, 1), round(HEIGHT - 1 - (value / top if top else 0) * (HEIGHT - 2), 1))
        for index, value in enumerate(values)
    ]


def sparkline(values: Sequence[float], label: str = "Calls") -> SafeString:
    """Returns a sparkline whose title says the total, the least and the most."""
    if not values:
        return format_html('<span class="muted">{}</span>', "none yet")
    path = "M" + "L".join(f"{x} {y}" for x, y in points(values))
    said = f"{label}: {sum(values):,.0f} in all, {min(values):,.0f} to {max(values):,.0f}"
    return format_html(
        '<svg class="spark" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" aria-label="{said}">'
        '<title>{said}</title><path class="area" d="{path}L{w} {h}L0 {h}Z"/><path d="{path}"/></svg>',
        w=WIDTH,
        h=HEIGHT,
        said=said,
        path=path,
    )
