"""The group commit on a real database: who waits for what, and that one bad row harms nobody else."""

import asyncio
import gc

import psycopg
import pytest

from audit import records
from gateway.appender import Appender
from gateway.auditor import Auditor
from gateway.wire import Limits
from kernel.errors import Unavailable
from kernel.ids import new_uid


@pytest.fixture
def log(admin, estate):
    scope = estate.ids["team"]
    stream, uid = admin.execute("SELECT id, uid::text FROM audit_stream WHERE scope = %s", (scope,)).fetchone()
    return records.Log(stream, uid, scope)


def row(log, **changes):
    actor = records.Actor(*(str(new_uid()) for _ in range(3)))
    call = str(new_uid())
    made = records.intent(log, actor, call=call, verb="tools.call", object="a/b", arguments=b"{}")
    return made | changes


def run(dsn, work):
    async def main():
        auditor = Auditor(dsn, Limits())
        await auditor.start()
        async with asyncio.timeout(20):
            while not auditor.ready:  # noqa: ASYNC110 - readiness is polled by probes, it has no event
                await asyncio.sleep(0.01)
            try:
                return await work(auditor)
            finally:
                await auditor.stop()

    return asyncio.run(main())


def test_rows_that_come_together_share_a_statement_and_keep_their_order(gateway_database, log, events):
    rows = [row(log) for _ in range(700)]

    async def work(auditor):
        await asyncio.gather(*[auditor.append(one) for one in rows])
        return auditor.batches

    assert run(gateway_database("gateway"), work) == 2
    assert [event["call"] for event in events()] == [one["call"] for one in rows]


def test_a_row_is_there_when_its_caller_is_released(gateway_database, log):
    async def work(auditor):
        with psycopg.connect(gateway_database("superuser"), autocommit=True) as other:
            for _ in range(20):
                one = row(log)
                await auditor.append(one)
                assert other.execute("SELECT 1 FROM audit_event WHERE uid = %s", (one["uid"],)).fetchone() == (1,)

    run(gateway_database("gateway"), work)


@pytest.mark.parametrize(
    "bad",
    [{"stream": 10**9}, {"scope": 10**9}, {"kind": "change"}, {"kind": "x"}, {"person": "nobody"}, {"at": "then"}],
)
def test_a_row_that_the_database_refuses_fails_alone(gateway_database, log, events, bad):
    rows = [row(log), row(log, **bad), row(log)]

    async def work(auditor):
        return await asyncio.gather(*[auditor.append(one) for one in rows], return_exceptions=True)

    first, second, third = run(gateway_database("gateway"), work)
    assert (first, third) == (None, None)
    assert isinstance(second, Unavailable)
    assert [event["call"] for event in events()] == [rows[0]["call"], rows[2]["call"]]


def test_stopping_writes_what_waits(gateway_database, log, events):
    async def work(auditor):
        return [auditor.append(row(log)) for _ in range(50)]

    futures = run(gateway_database("gateway"), work)
    assert all(future.exception() is None for future in futures)
    assert len(events()) == 50


def test_without_a_database_nothing_is_accepted(log):
    async def main():
        auditor = Auditor("postgresql://127.0.0.1:1/none", Limits())
        await auditor.start()
        with pytest.raises(Unavailable):
            auditor.append(row(log))
        await auditor.stop()

    asyncio.run(main())


def test_a_loss_that_nobody_waits_for_is_told_to_nobody(gateway_database):
    """The statement cannot even be sent: its caller has that error, and no second one is left behind."""

    async def run() -> list[str]:
        left: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: left.append(context["message"]))
        appender = await Appender.connect(gateway_database("gateway"), lambda: None)
        appender._pg.finish()
        with pytest.raises(psycopg.Error):
            await appender.append(b"[]")
        await appender.close()
        del appender
        gc.collect()
        return left

    assert asyncio.run(run()) == []
