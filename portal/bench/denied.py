"""The price of a refusal: decided, made durable with its reasons, answered like a tool that does not exist."""

import statistics

from portal.bench import estate as estates
from portal.bench import machine, messages
from portal.bench.figures import Figure, Report
from portal.bench.gateway import MANY, SERVER, Stand, run_turn, standing
from portal.bench.installation import server_version
from portal.bench.load import Plan


def measure(*, quick: bool = False) -> Report:
    """Returns the figures of a call that is above the delegation's ceiling, and of a tool that nobody has."""
    seconds, rounds = (0.3, 1) if quick else (3.0, 3)
    cases = {"above the ceiling": f"{SERVER}__{estates.CLEAR}", "unknown tool": f"{SERVER}__nothing"}
    figures = []
    with standing() as stand:
        for case, tool in cases.items():
            turns = [run_turn(stand, _plan(stand, tool, seconds), rows_per_call=1) for _round in range(rounds)]
            if "tool_unknown" not in turns[0].measured.sample:
                raise RuntimeError(f"this was not refused: {turns[0].measured.sample[:300]}")
            cpu = statistics.median([turn.cpu_ms for turn in turns])
            rate = statistics.median([turn.measured.rate for turn in turns])
            figures += [
                Figure(name=f"{case}, gateway CPU per call, 32 clients", value=cpu, unit="ms", target=0.1, digits=3),
                Figure(name=f"{case}, 32 clients", value=rate, unit="calls/s", digits=0),
            ]
        described = machine.describe(stand.config.data, postgresql=server_version(stand.config))
    notes = ("exactly one audit row per refusal, durable before the answer",)
    return Report(bench="denied", machine=described, figures=figures, notes=notes)


def _plan(stand: Stand, tool: str, seconds: float) -> Plan:
    extra = {"authorization": f"Bearer {stand.token}"}
    request = messages.call_request(f"/mcp/{estates.TEAM}", tool, extra)
    return Plan(port=stand.gateway.port, request=request, status=400, connections=MANY, seconds=seconds)
