"""Places among the calls in flight: how many there may be at once."""

from collections import Counter

from gateway.wire import Limits
from kernel.errors import RateLimited


class Place:
    """A place among the calls in flight, so that neither a hanging upstream nor one agent can take them all.

    Raises when there is none left for this server, this agent, or anybody.
    """

    __slots__ = ("_counted", "_flight")

    def __init__(self, flight: Counter[str], limits: Limits, server: str, agent: str | None) -> None:
        self._flight = flight
        self._counted = ("all", f"server {server}", f"agent {agent}")
        most = (limits.in_flight, limits.in_flight_per_server, limits.in_flight_per_agent)
        if any(flight[name] >= limit for name, limit in zip(self._counted, most, strict=True)):
            raise RateLimited("Too many calls are in flight.", code="too_many_in_flight")

    def __enter__(self) -> None:
        for name in self._counted:
            self._flight[name] += 1

    def __exit__(self, *_: object) -> None:
        for name in self._counted:
            self._flight[name] -= 1
            if not self._flight[name]:
                del self._flight[name]
