"""The process dies and comes back: a call ends with a clear error and its outcome in the log; nobody else is held up."""

import signal
import threading

import pytest
from mcp.shared.exceptions import MCPError

from gateway.wire import UPSTREAM


def test_without_the_process_a_call_ends_clearly_and_is_recorded(house, events):
    house.kill()
    try:
        refused = house.refused("ledger", "context.search", query="rota")
        assert refused.code == UPSTREAM
        assert refused.error.data["sent"] is False
        intent, outcome = events()
        assert (intent["kind"], outcome["kind"], outcome["call"]) == ("intent", "outcome", intent["call"])
        assert outcome["result"] not in {"ok", ""}
    finally:
        house.start()
    assert house.search("ledger", "rota escalate")["hits"]


def test_a_process_that_is_killed_with_calls_in_it_leaves_no_call_without_an_outcome(house, events):
    ends = []

    def ask():
        try:
            ends.append(house.call("ledger", "context.search", query="rota escalate").is_error)
        except* MCPError as error:
            ends.append(error)

    askers = [threading.Thread(target=ask) for _asker in range(8)]
    for asker in askers:
        asker.start()
    house.kill()
    for asker in askers:
        asker.join(60)
    house.start()
    found = events()
    intents = {event["call"] for event in found if event["kind"] == "intent"}
    assert intents == {event["call"] for event in found if event["kind"] == "outcome"}
    assert len(ends) == 8


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_asked_and_takes_its_socket_away(house, number):
    try:
        assert house.kill(number) == 0
        assert not house.config.internal_socket.exists()
    finally:
        house.start()


def test_the_socket_is_its_owner_s_alone(house):
    assert house.config.internal_socket.stat().st_mode & 0o777 == 0o600
    assert house.config.internal_socket.parent.stat().st_mode & 0o777 == 0o700
