"""Looks at a server and says what it shows, or why it does not.

A probe goes through the gateway like everything else: only there can the server's credential be opened. How to get
there is named by the setting `PROBE_ROUTE`, because the registry stands below the gateway and the portal.
"""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from kernel.errors import DomainError
from registry.models import Server
from registry.rules import PROBE_SECONDS
from registry.surfaces import Shown

if TYPE_CHECKING:
    from mcp.client import Transport

# Named and not imported: the SDK takes a second, which every process would spend and only a worker's probe needs.
_LOOK: Final = "registry.looking.look"


class Look(Protocol):
    """How a server is looked at once the way to it is open."""

    async def __call__(self, target: "Transport") -> Shown:
        """Returns what the server shows."""


class Route(Protocol):
    """The way to a server. A `bare` one goes without the server's credential."""

    def __call__(self, server: Server, *, bare: bool = False) -> "AbstractAsyncContextManager[Transport]":
        """Returns the way, to be entered."""


def probe(server: Server) -> Shown:
    """Returns what the server shows now, or why it does not. Never raises for what a server does."""
    route: Route = import_string(settings.PROBE_ROUTE)
    return asyncio.run(_probe(server, route))


async def _probe(server: Server, route: Route) -> Shown:
    began = time.monotonic()
    try:
        async with asyncio.timeout(PROBE_SECONDS), route(server) as transport:
            shown = await _look(transport)
    except Exception as error:  # noqa: BLE001 - whatever a hostile server provokes is the probe's finding
        took = int((time.monotonic() - began) * 1000)
        return Shown(ok=False, error=_reason(error), duration_ms=took)
    return replace(shown, bare=await _answers_bare(server, route)) if server.url else shown


async def _answers_bare(server: Server, route: Route) -> bool:
    """Tells whether the server shows its tools to who brings no credential: then whoever reaches it can call it."""
    try:
        async with asyncio.timeout(PROBE_SECONDS), route(server, bare=True) as transport:
            return (await _look(transport)).ok
    except Exception:  # noqa: BLE001 - every way of not answering is the answer that is wanted here
        return False


async def _look(transport: "Transport") -> Shown:
    look: Look = import_string(_LOOK)
    return await look(transport)


def _reason(error: BaseException) -> str:
    """Returns one short line; groups are opened, because the first cause inside is what a person can act on."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return f"No answer within {PROBE_SECONDS:.0f} s."
    text = error.message if isinstance(error, DomainError) else str(error)
    # The words may be the server's own: whatever no column holds or no page shows becomes a blank.
    return "".join(char if char.isprintable() else " " for char in f"{type(error).__name__}: {text}"[:300])
