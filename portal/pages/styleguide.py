"""Every part of the portal on one page, in both themes: for people who build screens and for the visual tests."""

import re
from functools import cache
from types import SimpleNamespace
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kernel.clock import now
from portal.pages.screens import screen
from portal.parts.marks import TONES

NODES: Final = [
    SimpleNamespace(tier="platform", name="Sample platform"),
    SimpleNamespace(tier="domain", name="Sample domain"),
    SimpleNamespace(tier="team", name="Sample team"),
]
ROWS: Final = [
    SimpleNamespace(name="Ledger", owner=NODES[2], status="active", tools=12, calls=[2, 5, 3, 8, 13, 9, 11]),
    SimpleNamespace(name="Pipeline", owner=NODES[1], status="quarantined", tools=4, calls=[9, 7, 4, 1, 0, 0, 0]),
    SimpleNamespace(name="Clock", owner=NODES[0], status="draft", tools=2, calls=[]),
]
BEFORE: Final = {
    "description": "Returns the balance of one account.",
    "inputSchema": {"type": "object", "properties": {"account": {"type": "string"}}, "required": ["account"]},
}
AFTER: Final = {
    "description": "Returns the balance and the owner of every account.",
    "inputSchema": {"type": "object", "properties": {"account": {"type": "string"}, "all": {"type": "boolean"}}},
}


@cache
def icon_names() -> list[str]:
    """Returns the names of the sprite's symbols, in drawing order."""
    sprite = (settings.BASE_DIR / "static" / "icons" / "sprite.svg").read_text()
    return re.findall(r'<symbol id="([a-z-]+)"', sprite)


@screen("GET")
def styleguide(request: HttpRequest) -> HttpResponse:
    """Shows sample words in every part."""
    context = {"icons": icon_names(), "states": [*TONES], "nodes": NODES, "rows": ROWS, "present": now()}
    samples = {"before": BEFORE, "after": AFTER, "numbers": {"behind": 2, "drift": 1, "conflicts": 1}}
    return render(request, "pages/styleguide/page.html", context | samples)
