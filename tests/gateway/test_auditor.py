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


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - readiness is polled by probes, it has no event
            await asyncio.sleep(0.01)


def run(dsn, work):
    async def main():
        auditor = Auditor(dsn, Limits())
        await auditor.start()
        await until(lambda: auditor.ready)
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


@pytest.fixture
def refused_at_commit(admin):
    """Lets one row in and refuses it when it commits, as a full disk or a deferred check does."""
    admin.execute("""
        CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.object = 'late/refusal' THEN RAISE check_violation; END IF; RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT ON audit_event DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION refuse_late();
    """)
    yield
    admin.execute("DROP TRIGGER refuse_late ON audit_event; DROP FUNCTION refuse_late")


@pytest.mark.usefixtures("refused_at_commit")
def test_nobody_is_released_before_the_commit(gateway_database, log, events):
    """The statement itself goes well; whoever took that for durable would be wrong."""
    rows = [row(log), row(log, object="late/refusal"), row(log)]

    async def work(auditor):
        return await asyncio.gather(*[auditor.append(one) for one in rows], return_exceptions=True)

    first, second, third = run(gateway_database("gateway"), work)
    assert (first, third) == (None, None)
    assert isinstance(second, Unavailable)
    assert [event["call"] for event in events()] == [rows[0]["call"], rows[2]["call"]]


def test_statements_that_follow_each_other_keep_the_order_of_their_rows(gateway_database, log, events):
    rows = [row(log) for _ in range(60)]

    async def work(auditor):
        waiting = []
        for one in rows:
            waiting.append(auditor.append(one))
            await asyncio.sleep(0)  # lets the writer send what there is, while earlier statements are under way
        await asyncio.gather(*waiting)
        return auditor.batches

    assert run(gateway_database("gateway"), work) > 2
    assert [event["call"] for event in events()] == [one["call"] for one in rows]


@pytest.mark.parametrize("wait", [0.0, 0.05])
def test_a_database_that_falls_silent_is_given_up_and_everybody_is_told(gateway_database, log, admin, wait):
    """Rows that are under way and rows that wait for their turn: nobody is left hanging, and the next connection works."""

    async def main():
        auditor = Auditor(gateway_database("gateway"), Limits(audit_deadline=0.5))
        await auditor.start()
        await until(lambda: auditor.ready)
        with psycopg.connect(gateway_database("superuser")) as other:
            other.execute("LOCK TABLE audit_event IN EXCLUSIVE MODE")
            waiting = []
            for _ in range(5):
                waiting.append(auditor.append(row(log)))
                await asyncio.sleep(wait)
            ended = await asyncio.gather(*waiting, return_exceptions=True)
        await until(lambda: auditor.ready)
        await auditor.append(row(log))
        await auditor.stop()
        return ended

    assert all(isinstance(error, Unavailable) for error in asyncio.run(main()))


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

    async def run() -> list[object]:
        left: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: left.append(context["message"]))
        settled: list[object] = []
        appender = await Appender.connect(gateway_database("gateway"), lambda: None, deadline=10)
        appender._pg.finish()
        with pytest.raises(psycopg.Error):
            appender.append(b"[]", settled.append)
        await appender.close()
        del appender
        gc.collect()
        return left + settled

    assert asyncio.run(run()) == []
