"""The log's throughput: rows committed by several writers until each has its place under a signed checkpoint."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
from django.db import connection

from audit import records
from audit.keys import load_verifier
from audit.queries import streams
from audit.verification import verify_stream
from kernel.ids import new_uid_text
from portal.bench import estate as estates
from portal.bench import machine
from portal.bench.figures import Figure, Report
from portal.bench.gateway import count_events
from portal.bench.installation import installed, server_version
from portal.bench.processes import running_sequencer
from portal.config import Config
from tenants.scope import ALL, tenant_scope

WRITERS = 2
BATCH = 32
"""Rows in a commit: what the gateway's group commit gathers from 32 clients."""
_APPEND = "SELECT audit_append(%s::jsonb)"
_BODY = b'{"text":"about as long as what small tools are given and what they return"}'
_PATIENCE = 300.0


def measure(*, quick: bool = False) -> Report:
    """Returns the figures of the whole way of an event. Raises when one is missing or the log does not verify."""
    calls = 320 if quick else 20_000
    with installed() as config:
        estate = estates.make_estate(1)
        with tenant_scope(ALL):
            stream = streams(None).get(scope=estate.team.pk)
            log = records.Log(stream.pk, str(stream.uid), estate.team.pk)
        with running_sequencer(config):
            _wait_for_sequencer(config)
            before = count_events(config)
            began = time.monotonic()
            _write(config, log, calls)
            written = time.monotonic() - began
            _wait_for_sequencer(config)
            sequenced = time.monotonic() - began
        events = count_events(config) - before
        if events != 2 * calls:
            raise RuntimeError(f"{events} events in the log instead of {2 * calls}")
        verified, entries = _verify(config, stream.pk)
        described = machine.describe(config.data, postgresql=server_version(config))
    figures = [
        Figure(
            name="durable and sequenced",
            value=events / sequenced,
            unit="events/s",
            target=5_000,
            at_most=False,
            digits=0,
        ),
        Figure(name="durable", value=events / written, unit="events/s", digits=0),
        Figure(name="last event's wait for its signed place", value=(sequenced - written) * 1000, unit="ms", digits=0),
        Figure(name="verification of the whole log", value=entries / verified, unit="events/s", digits=0),
    ]
    notes = (f"{WRITERS} writers, {BATCH} rows in a commit, {events:,} events in one stream, every entry verified",)
    return Report(bench="audit", machine=described, figures=figures, notes=notes)


def _write(config: Config, log: records.Log, calls: int) -> None:
    share = calls // WRITERS
    barrier = threading.Barrier(WRITERS)
    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(_write_share, config, log, share, barrier) for _ in range(WRITERS)]:
            done.result()


def _write_share(config: Config, log: records.Log, calls: int, barrier: threading.Barrier) -> None:
    actor = records.Actor(new_uid_text(), new_uid_text(), new_uid_text())
    with psycopg.connect(config.dsn("gateway"), autocommit=True, prepare_threshold=0) as writer:
        writer.execute("SET synchronous_commit = on")
        barrier.wait()
        for _batch in range(calls * 2 // BATCH):
            rows = [row for _call in range(BATCH // 2) for row in _call_rows(log, actor)]
            writer.execute(_APPEND, [records.encode(rows)])


def _call_rows(log: records.Log, actor: records.Actor) -> tuple[records.Row, records.Row]:
    call, verb, tool = new_uid_text(), "tools.call", "tools/look"
    legs = ("person", "agent", "delegation")
    return (
        records.intent(log, actor, call=call, verb=verb, object=tool, arguments=_BODY, reasons=legs, pin="0" * 64),
        records.outcome(log, actor, call=call, verb=verb, object=tool, result="ok", ms=1, body=_BODY),
    )


def _wait_for_sequencer(config: Config) -> None:
    """Returns when every event stands under a checkpoint; leaves and checkpoints commit together."""
    until = time.monotonic() + _PATIENCE
    with psycopg.connect(config.dsn("owner"), autocommit=True) as asked:
        asked.execute("SELECT set_config('hanse.scope', '*', false)")
        while time.monotonic() < until:
            row = asked.execute(
                "SELECT (SELECT count(*) FROM audit_event),"
                " (SELECT coalesce(sum(size), 0) FROM (SELECT max(size) AS size FROM audit_checkpoint GROUP BY stream_id) s)"
            ).fetchone()
            if row and row[0] == row[1]:
                return
            time.sleep(0.02)
    raise RuntimeError("the sequencer did not finish")


def _verify(config: Config, stream: int) -> tuple[float, int]:
    """Returns how long the verification of the stream took and how many entries it has."""
    verifier = load_verifier(config.public_dir / "audit.vkey")
    with tenant_scope(ALL):
        began = time.monotonic()
        report = verify_stream(streams(None).get(pk=stream), verifier)
        took = time.monotonic() - began
    connection.close()
    if not report.ok:
        raise RuntimeError(f"the log does not verify: {report.findings[:3]}")
    return took, report.size
