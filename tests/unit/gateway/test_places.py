"""Calls in flight are bounded for all, for each server and for each agent, and every place is given back."""

from collections import Counter
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from gateway.places import Place
from gateway.wire import Limits
from kernel.errors import RateLimited


@pytest.fixture
def parts():
    return SimpleNamespace(
        in_flight=Counter(), limits=Limits(in_flight=6, in_flight_per_server=4, in_flight_per_agent=3)
    )


def test_one_agent_with_many_slow_servers_leaves_room_for_the_others(parts):
    with ExitStack() as calls:
        for server in ("a", "b", "c"):
            calls.enter_context(Place(parts.in_flight, parts.limits, server, "greedy"))
        with pytest.raises(RateLimited):
            Place(parts.in_flight, parts.limits, "d", "greedy")
        calls.enter_context(Place(parts.in_flight, parts.limits, "d", "modest"))
    assert parts.in_flight == Counter()


def test_one_server_cannot_take_every_place(parts):
    with ExitStack() as calls:
        for agent in ("1", "2", "3", "4"):
            calls.enter_context(Place(parts.in_flight, parts.limits, "slow", agent))
        with pytest.raises(RateLimited):
            Place(parts.in_flight, parts.limits, "slow", "5")
        calls.enter_context(Place(parts.in_flight, parts.limits, "quick", "5"))
        calls.enter_context(Place(parts.in_flight, parts.limits, "quick", "6"))
        with pytest.raises(RateLimited):
            Place(parts.in_flight, parts.limits, "third", "7")


def test_a_place_is_given_back_when_its_call_fails(parts):
    with pytest.raises(ValueError, match="broke"), Place(parts.in_flight, parts.limits, "a", "1"):
        raise ValueError("broke")
    assert parts.in_flight == Counter()
