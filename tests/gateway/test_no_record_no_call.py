"""A call that cannot be recorded is not made, and a result that cannot be recorded is not given."""

import contextlib

import pytest

from tests.gateway.servers import answer_echo
from tests.gateway.wire_client import wait_until

FUNCTION = "FUNCTION audit_append(jsonb)"


@pytest.fixture(autouse=True)
def fresh(upstream):
    upstream.reset()
    yield
    upstream.reset()


@pytest.fixture
def broken_log(admin, client):
    """Returns a context manager: inside, the gateway may not write to the log."""

    @contextlib.contextmanager
    def break_it():
        admin.execute(f"REVOKE EXECUTE ON {FUNCTION} FROM hanse_gateway")
        try:
            yield
        finally:
            mend(admin)

    yield break_it
    mend(admin)
    wait_until(lambda: client.call("books__write").status == 200, "the gateway does not recover")


def mend(admin):
    admin.execute(f"GRANT EXECUTE ON {FUNCTION} TO hanse_gateway")


def test_without_a_log_nothing_that_changes_things_goes_upstream(client, upstream, broken_log, events):
    with broken_log():
        for _ in range(5):
            got = client.call("books__write", {"text": "x"})
            assert (got.status, got.error["data"]["code"]) == (503, "audit_unavailable")
            assert got.headers["retry-after"] == "1"
        assert upstream.seen == []
        assert events() == []


def test_without_a_log_what_was_read_is_withheld(client, upstream, broken_log, events):
    with broken_log():
        got = client.call("books__echo", {"text": "x"})
        assert got.status == 503
        assert "result" not in got.json
        upstream.reset()
        wait_until(lambda: client.call("books__echo").status == 503 and not upstream.seen, "reads go on unrecorded")
        assert events() == []


def test_without_a_log_a_refusal_is_no_refusal_but_an_outage(client, broken_log):
    with broken_log():
        client.call("books__write")
        answers = [client.call(name) for name in ("books__nothing", "books__destroy", "books__echo")]
        assert {got.status for got in answers} == {503}


def test_a_result_whose_outcome_is_not_recorded_is_withheld(client, upstream, admin, broken_log, events):
    async def answer(seen, receive, send):
        admin.execute(f"REVOKE EXECUTE ON {FUNCTION} FROM hanse_gateway")
        await answer_echo(seen, receive, send)

    upstream.answer = answer
    got = client.call("books__write", {"text": "x"})
    upstream.answer = None
    assert (got.status, got.error["data"]["code"]) == (503, "outcome_not_recorded")
    assert [event["kind"] for event in events()] == ["intent"]


def end_sessions(admin, which):
    """Only this database's: the tests that run beside these have gateways of their own on the same server."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    ended = admin.execute(f"{query} AND datname = current_database() AND {which}").fetchall()
    assert (True,) in ended


def test_a_lost_connection_to_the_log_heals(client, admin, broken_log):
    end_sessions(admin, "query LIKE '%audit_append%'")
    wait_until(lambda: client.call("books__write").status == 200, "the gateway does not reconnect")


def test_a_lost_connection_to_the_news_heals_and_misses_nothing(client, admin, broken_log, estate, tokens):
    from tests.gateway.estate import add_delegation

    made, delegation = add_delegation(admin, estate)
    client.token = tokens.mint(dlg=delegation)
    assert client.call("books__echo").status == 200
    end_sessions(admin, "(query ILIKE 'LISTEN%' OR query = 'SELECT 1')")
    admin.execute("UPDATE tenants_delegation SET revoked_at = now() WHERE id = %s", (made,))
    wait_until(lambda: client.call("books__echo").status == 400, "a revocation was missed")
    client.token = tokens.mint()


def test_probes_say_whether_calls_can_be_made(client, broken_log, gateway):
    def probe(path):
        return client.send(b"", [], method="GET", path=path).status

    assert (probe("/livez"), probe("/readyz")) == (200, 200)
    with broken_log():
        client.call("books__write")
        wait_until(lambda: probe("/readyz") == 503, "the gateway says that it is ready")
        assert probe("/livez") == 200
