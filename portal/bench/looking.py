"""Addresses asked as a person would ask them: how many statements each costs, and how long it takes."""

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.bench.figures import Figure
from portal.config import Config
from portal.management.commands.prepare import collect_static
from portal.ports import HOST
from tenants.principals import SYSTEM
from tenants.queries import person_by_handle
from tenants.scope import ALL, tenant_scope

MOST_QUERIES, MOST_MS = 8, 100
_PLUMBING = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")
_OK = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """One address as one person sees it."""

    who: str
    address: str
    queries: int
    p95: float


def ready_to_serve(config: Config) -> None:
    """Lets this process serve pages of the installation."""
    settings.ALLOWED_HOSTS, settings.STATIC_ROOT = [HOST], str(config.data / "static")
    collect_static()


def look(who: str, addresses: Iterable[str], repeats: int) -> Iterator[Seen]:
    """Yields what each address costs for a person. Raises when one is not served."""
    client = Client(headers={"host": HOST})
    with tenant_scope(ALL):
        client.force_login(person_by_handle(SYSTEM, who), backend="django.contrib.auth.backends.ModelBackend")
    for address in addresses:
        cache.clear()  # each address has its full rate
        with CaptureQueriesContext(connection) as captured:
            _time(client, address)
        queries = [entry["sql"] for entry in captured if not str(entry["sql"]).startswith(_PLUMBING)]
        times = sorted(_time(client, address) for _repeat in range(repeats))
        yield Seen(who, address, len(queries), times[int(len(times) * 0.95) - 1 if len(times) > 1 else 0])


def figures_of(seen: Sequence[Seen]) -> Iterator[Figure]:
    """Yields the worst figures over all addresses, and those of every address that misses a target."""
    queries = max(one.queries for one in seen)
    yield Figure(name="queries of a list, at most", value=queries, unit="", target=MOST_QUERIES, digits=0)
    worst = max(one.p95 for one in seen)
    yield Figure(name="p95 of a list, at most", value=worst, unit="ms", target=MOST_MS, digits=0)
    middle = statistics.median([one.p95 for one in seen])
    yield Figure(name="p95 of a list, in the middle", value=middle, unit="ms", digits=0)
    for one in seen:
        named = f"{one.address} ({one.who})"
        if one.queries > MOST_QUERIES:
            yield Figure(name=f"{named}, queries", value=one.queries, unit="", target=MOST_QUERIES, digits=0)
        if one.p95 > MOST_MS:
            yield Figure(name=f"{named}, p95", value=one.p95, unit="ms", target=MOST_MS, digits=0)


def _time(client: Client, address: str) -> float:
    began = time.perf_counter()
    answer = client.get(address)
    taken = (time.perf_counter() - began) * 1000
    if answer.status_code != _OK:
        raise RuntimeError(f"{address}: {answer.status_code} {answer.content[:300]!r}")
    return taken
