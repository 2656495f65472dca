"""The counters are readable by a collector on the host, and by nobody else."""

import pytest

from gateway.metrics import answer_metrics, render
from kernel.errors import NotFound

COUNTS = {"in_flight": 2, "calls.ok": 7, 'x"} 1\nevil 2': 1}


def test_names_cannot_break_out_of_their_label():
    lines = render(COUNTS).decode().splitlines()
    assert 'hanse_gateway_events_total{event="calls.ok"} 7' in lines
    assert "hanse_gateway_in_flight 2" in lines
    assert len(lines) == 5


@pytest.mark.parametrize("client", [None, ("10.0.0.9", 1), ("203.0.113.9", 1)])
def test_only_this_host_may_collect(client):
    with pytest.raises(NotFound):
        answer_metrics({"client": client}, COUNTS)
    assert answer_metrics({"client": ("127.0.0.1", 1)}, COUNTS).status == 200
