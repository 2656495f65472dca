"""Every list of portal and REST at the size that we claim: its statements and its time, as a member and as an admin."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.bench import machine
from portal.bench.crowd import ADMIN, MEMBER, Size, make_crowd
from portal.bench.figures import Figure, Report
from portal.bench.installation import HOST, connect, installed, server_version
from portal.management.commands.prepare import collect_static
from tenants.principals import SYSTEM
from tenants.queries import person_by_handle
from tenants.scope import ALL, tenant_scope

LISTS = (
    *("/", "/catalog/", "/catalog/?q=server-77", "/catalog/?sort=changed", "/catalog/?health=waiting&status=active"),
    *("/search/?q=tool-7", "/teams/", "/teams/team-0/", "/servers/server-60/", "/servers/server-60/tools/"),
    *("/servers/server-60/callers/", "/servers/server-60/probes/", "/servers/server-60/changes/"),
    *("/identity/agents/", "/identity/delegations/", "/identity/delegations/new/", "/identity/people/", "/audit/"),
    *("/api/v1/tenants", "/api/v1/people", "/api/v1/agents", "/api/v1/delegations", "/api/v1/servers"),
    *("/api/v1/servers?q=server-77", "/api/v1/servers?sort=-name&limit=200", "/api/v1/tools", "/api/v1/tools?q=tool-7"),
    *("/api/v1/servers/server-60/tools", "/api/v1/servers/server-60/probes", "/api/v1/servers/server-60/callers"),
    *("/api/v1/groups", "/api/v1/audit/events", "/api/v1/audit/streams", "/api/v1/tenants/team-0/members"),
)
_PLUMBING = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")
_OK = 200
SMALL = Size(teams=4, servers=80, tools_each=3, people=5, agents=5, delegations=10, events=100)


@dataclass(frozen=True, slots=True)
class Seen:
    """One list as one person sees it."""

    who: str
    address: str
    queries: int
    p95: float


def measure(*, quick: bool = False) -> Report:
    """Returns the worst figures over all lists, and every list that misses a target. Raises when one is not served."""
    size, repeats = (SMALL, 2) if quick else (Size(), 20)
    with installed() as config:
        settings.ALLOWED_HOSTS, settings.STATIC_ROOT = [HOST], str(config.data / "static")
        collect_static()
        make_crowd(config, size)
        connect(config, "app")  # from here on grants and row level security hold, as for the portal
        seen = [one for who in (MEMBER, ADMIN) for one in _look(who, repeats)]
        described = machine.describe(config.data, postgresql=server_version(config))
    return Report(bench="pages", machine=described, figures=list(_figures(seen)), notes=(_note(size, seen),))


def _figures(seen: list[Seen]) -> Iterator[Figure]:
    yield Figure(name="queries of a list, at most", value=max(one.queries for one in seen), unit="", target=8, digits=0)
    yield Figure(name="p95 of a list, at most", value=max(one.p95 for one in seen), unit="ms", target=100, digits=0)
    middle = statistics.median([one.p95 for one in seen])
    yield Figure(name="p95 of a list, in the middle", value=middle, unit="ms", digits=0)
    for one in seen:
        if one.queries > 8:
            yield Figure(name=f"{one.address} ({one.who}), queries", value=one.queries, unit="", target=8, digits=0)
        if one.p95 > 100:
            yield Figure(name=f"{one.address} ({one.who}), p95", value=one.p95, unit="ms", target=100, digits=0)


def _note(size: Size, seen: list[Seen]) -> str:
    return (
        f"{size.servers:,} servers, {size.servers * size.tools_each:,} tools, {size.events:,} audit events, "
        f"{len(LISTS)} lists x 2 people = {len(seen)}; statements without those that only begin and end transactions"
    )


def _look(who: str, repeats: int) -> Iterator[Seen]:
    client = Client(headers={"host": HOST})
    with tenant_scope(ALL):
        client.force_login(person_by_handle(SYSTEM, who), backend="django.contrib.auth.backends.ModelBackend")
    for address in LISTS:
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(address)
        if answer.status_code != _OK:
            raise RuntimeError(f"{address} as {who}: {answer.status_code} {answer.content[:300]!r}")
        queries = [entry["sql"] for entry in captured if not str(entry["sql"]).startswith(_PLUMBING)]
        times = sorted(_time(client, address) for _repeat in range(repeats))
        yield Seen(who, address, len(queries), times[int(len(times) * 0.95) - 1 if len(times) > 1 else 0])


def _time(client: Client, address: str) -> float:
    began = time.perf_counter()
    client.get(address)
    return (time.perf_counter() - began) * 1000
