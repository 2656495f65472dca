"""What the gateway counted since its start, in the Prometheus text format (version 0.0.4)."""

import re
from collections.abc import Mapping
from typing import Final

from gateway.wire import Reply, Scope
from kernel.errors import NotFound

PATH: Final = "/metrics"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
_TYPE: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_GAUGES: Final = frozenset({"in_flight"})
_NOT_A_LABEL: Final = re.compile(r"[^a-z0-9_.]")


def answer_metrics(scope: Scope, counts: Mapping[str, int]) -> Reply:
    """Returns the counters, to collectors on this host only: how much is refused, and why, is not for everybody."""
    client = scope.get("client")
    if not client or client[0] not in _LOOPBACK:
        raise NotFound("There is no such address.", code="address_unknown")
    return Reply(200, render(counts), (_TYPE, (b"cache-control", b"no-store")))


def render(counts: Mapping[str, int]) -> bytes:
    """Returns gauges under their own name, and every counter as `hanse_gateway_events_total{event=…}`."""
    lines = []
    for name in sorted(_GAUGES & counts.keys()):
        lines += [f"# TYPE hanse_gateway_{name} gauge", f"hanse_gateway_{name} {counts[name]}"]
    lines.append("# TYPE hanse_gateway_events_total counter")
    for name in sorted(counts.keys() - _GAUGES):
        lines.append(f'hanse_gateway_events_total{{event="{_NOT_A_LABEL.sub("_", name)}"}} {counts[name]}')
    return ("\n".join(lines) + "\n").encode()
