"""The price of `tools/list`: 400 approved tools, of which a delegation shows three or all."""

import json
import statistics
from collections.abc import Iterator

from portal.bench import estate as estates
from portal.bench import machine, messages
from portal.bench.figures import Figure, Report
from portal.bench.gateway import MANY, SERVER, Stand, Turn, run_turn, standing
from portal.bench.installation import server_version
from portal.bench.load import PLACE, Plan
from tenants.rules import Effect

ALL_TOOLS = 400


def measure(*, quick: bool = False) -> Report:
    """Returns the figures of both lists. Raises when a list does not hold exactly the tools that it must."""
    seconds, rounds = (0.3, 1) if quick else (3.0, 3)
    figures: list[Figure] = []
    with standing() as stand:
        more = [estates.definition(f"tool-{number:03}", readOnlyHint=True) for number in range(ALL_TOOLS - 3)]
        estates.add_server(stand.estate, "more", more)
        surfaces = {3: [SERVER], ALL_TOOLS: [SERVER, "more"]}
        for visible, groups in surfaces.items():
            token = estates.token(stand.estate, groups, effect=Effect.DESTROY)
            many = [run_turn(stand, _plan(stand, token, MANY, seconds), rows_per_call=0) for _round in range(rounds)]
            alone = [run_turn(stand, _plan(stand, token, 1, seconds), rows_per_call=0) for _round in range(rounds)]
            _check_list(many[0].measured.sample, visible)
            figures += _figures(f"{visible} of {ALL_TOOLS}", many, alone)
        described = machine.describe(stand.config.data, postgresql=server_version(stand.config))
    return Report(bench="listing", machine=described, figures=figures)


def _figures(case: str, many: list[Turn], alone: list[Turn]) -> Iterator[Figure]:
    cpu = statistics.median([turn.cpu_ms for turn in many])
    p50 = statistics.median([turn.measured.p50 for turn in alone])
    rate = statistics.median([turn.measured.rate for turn in many])
    size = len(many[0].measured.sample)
    yield Figure(name=f"{case}, gateway CPU per call, 32 clients", value=cpu, unit="ms", target=0.3, digits=3)
    yield Figure(name=f"{case}, p50, 1 client", value=p50, unit="ms", target=1.5)
    yield Figure(name=f"{case}, 32 clients", value=rate, unit="calls/s", digits=0)
    yield Figure(name=f"{case}, size of the reply", value=size / 1000, unit="kB", digits=1)


def _plan(stand: Stand, token: str, connections: int, seconds: float) -> Plan:
    request = messages.list_request(f"/mcp/{estates.TEAM}", {"authorization": f"Bearer {token}"})
    return Plan(port=stand.gateway.port, request=request, status=200, connections=connections, seconds=seconds)


def _check_list(sample: str, visible: int) -> None:
    """The other replies were compared with this one, byte for byte."""
    shown = json.loads(sample.replace(PLACE.decode(), "0"))["result"]["tools"]
    if len({tool["name"] for tool in shown}) != visible:
        raise RuntimeError(f"the list holds {len(shown)} tools instead of {visible}")
