"""The price of a governed call: the same upstream directly and through the gateway, in turns, on one machine."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import psycopg

from portal.bench import estate as estates
from portal.bench import machine, messages
from portal.bench.figures import Figure, Report
from portal.bench.installation import installed, server_version
from portal.bench.load import Measured, Plan
from portal.bench.processes import Gateway, database_cpu_seconds, give_core, run_load, serving_gateway, serving_upstream
from portal.config import Config
from portal.ports import free_ports

MANY: Final = 32
SERVER: Final = "tools"
_KINDS: Final = {"read": estates.READ, "write": estates.WRITE}


@dataclass(frozen=True, slots=True)
class Stand:
    """Everything that runs, and the token that a caller shows."""

    config: Config
    gateway: Gateway
    upstream_port: int
    credential: str = field(repr=False)
    token: str = field(repr=False)
    estate: estates.Estate = field(repr=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of load with what it cost: CPU of the gateway and of PostgreSQL per call, in milliseconds."""

    measured: Measured
    cpu_ms: float = 0.0
    database_cpu_ms: float = 0.0


@contextmanager
def standing() -> Iterator[Stand]:
    """Yields an installation with gateway and upstream, prepared through the services."""
    upstream_port = free_ports(1)
    with installed(HANSE_UPSTREAM_ALLOW=f"127.0.0.1:{upstream_port}") as config:
        estate = estates.make_estate(upstream_port)
        estates.add_server(estate, SERVER, estates.three_tools())
        token = estates.token(estate, [SERVER])
        give_core(config)
        with (
            serving_upstream(upstream_port, estates.HEADER, estate.credential),
            serving_gateway(config) as gateway,
        ):
            yield Stand(config, gateway, upstream_port, estate.credential, token, estate)


def measure(*, quick: bool = False) -> Report:
    """Returns the figures of a governed call. Raises when a reply was wrong or a call was not recorded exactly twice."""
    seconds, rounds = (0.3, 1) if quick else (3.0, 3)
    turns: dict[tuple[str, int], list[Turn]] = {}
    flushes: list[float] = []
    with standing() as stand:
        for _round in range(rounds):
            for connections in (MANY, 1):
                for kind in ("direct", *_KINDS):
                    plan = _plan(stand, kind, connections, seconds)
                    flushes.append(machine.flush_ms(stand.config.data))
                    turns.setdefault((kind, connections), []).append(
                        run_turn(stand, plan) if kind != "direct" else Turn(check(run_load(plan)))
                    )
        described = machine.describe(stand.config.data, postgresql=server_version(stand.config))
        described["flush_ms"] = round(statistics.median(flushes), 3)
        memory = stand.gateway.memory_mb()
    figures = [*_figures(turns, statistics.median(flushes))]
    figures.append(Figure(name="gateway memory after the load, RSS", value=memory["rss"], unit="MB", digits=0))
    notes = ("errors 0; audit rows exactly 2 per call, counted after each run", _spread(turns))
    return Report(bench="gateway", machine=described, figures=figures, notes=notes)


def run_turn(stand: Stand, plan: Plan, *, rows_per_call: int = 2) -> Turn:
    """Returns what a run through the gateway measured and cost; every call must be in the log `rows_per_call` times."""
    rows, cpu = count_events(stand.config), stand.gateway.cpu_seconds()
    database = database_cpu_seconds(stand.config)
    measured = check(run_load(plan))
    spent = stand.gateway.cpu_seconds() - cpu
    database_spent = database_cpu_seconds(stand.config) - database
    recorded = count_events(stand.config) - rows
    if recorded != rows_per_call * measured.calls:
        raise RuntimeError(f"{measured.calls} calls left {recorded} audit rows instead of {rows_per_call} each")
    return Turn(measured, spent / measured.calls * 1000, database_spent / measured.calls * 1000)


def check(measured: Measured) -> Measured:
    """Returns what was measured if every reply was right."""
    if measured.errors or not measured.calls:
        raise RuntimeError(f"{measured.errors} of {measured.calls} replies were wrong: {measured.sample[:500]}")
    return measured


def count_events(config: Config) -> int:
    """Returns how many audit events there are."""
    with psycopg.connect(config.dsn("owner")) as asked:
        asked.execute("SELECT set_config('hanse.scope', '*', true)")
        row = asked.execute("SELECT count(*) FROM audit_event").fetchone()
    return int(row[0]) if row else 0


def _plan(stand: Stand, kind: str, connections: int, seconds: float) -> Plan:
    if kind == "direct":
        extra = {estates.HEADER.lower(): stand.credential}
        request = messages.call_request(f"/{SERVER}", estates.READ, extra)
        port = stand.upstream_port
    else:
        extra = {"authorization": f"Bearer {stand.token}"}
        request = messages.call_request(f"/mcp/{estates.TEAM}", f"{SERVER}__{_KINDS[kind]}", extra)
        port = stand.gateway.port
    return Plan(
        port=port,
        request=request,
        status=200,
        expected=messages.call_reply(),
        connections=connections,
        warm=min(1.0, seconds / 3),
        seconds=seconds,
    )


def _figures(turns: dict[tuple[str, int], list[Turn]], flush: float) -> Iterator[Figure]:
    direct = _median(turns, "direct", MANY)
    yield Figure(name="direct, 32 clients", value=direct.rate, unit="calls/s", digits=0)
    for kind in _KINDS:
        through, alone = _median(turns, kind, MANY), _median(turns, kind, 1)
        rate, ratio = f"{kind} tool, 32 clients", f"{kind} tool, rate over direct"
        yield Figure(name=rate, value=through.rate, unit="calls/s", digits=0)
        yield Figure(name=ratio, value=through.rate / direct.rate, unit="", target=0.40, floor=0.20, at_most=False)
        cpu = statistics.median([turn.cpu_ms for turn in turns[kind, MANY]])
        yield Figure(
            name=f"{kind} tool, gateway CPU per call, 32 clients",
            value=cpu,
            unit="ms",
            target=0.2,
            floor=0.4,
            digits=3,
        )
        database = statistics.median([turn.database_cpu_ms for turn in turns[kind, MANY]])
        yield Figure(name=f"{kind} tool, PostgreSQL CPU per call", value=database, unit="ms", digits=3)
        added = alone.p50 - _median(turns, "direct", 1).p50
        bound = 1.25 + 1.5 * flush
        yield Figure(name=f"{kind} tool, added p50, 1 client", value=added, unit="ms", target=bound)
        yield Figure(name=f"{kind} tool, added p50, 1 client, in flushes", value=added / flush, unit="flushes")
        late = through.p99 - direct.p99
        yield Figure(name=f"{kind} tool, added p99, 32 clients", value=late, unit="ms", target=5.0)


@dataclass(frozen=True, slots=True)
class _Middle:
    rate: float
    p50: float
    p99: float


def _median(turns: dict[tuple[str, int], list[Turn]], kind: str, connections: int) -> _Middle:
    runs = [turn.measured for turn in turns[kind, connections]]
    return _Middle(*(statistics.median([getattr(run, name) for run in runs]) for name in ("rate", "p50", "p99")))


def _spread(turns: dict[tuple[str, int], list[Turn]]) -> str:
    parts = [
        f"{kind} x{connections}: " + "/".join(f"{turn.measured.rate:.0f}" for turn in runs)
        for (kind, connections), runs in turns.items()
    ]
    return "calls/s of each run: " + ", ".join(parts)
