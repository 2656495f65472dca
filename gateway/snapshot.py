"""What the gateway knows: an immutable picture of tenants and registry, read from SQL views in one transaction each.

Nothing here is ever changed after it was built. A new picture replaces the old one by one assignment, so a call
sees one state of the world from its first step to its last.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from audit.records import Log
from kernel.errors import Invalid
from registry.addresses import check_url
from tenants.decisions import AgentFacts, DelegationFacts, PersonFacts, ToolFacts
from tenants.rules import Tier

_ROWS_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Team:
    """A team, the tenants whose assets it uses, and the log that its calls are written to."""

    id: int
    slug: str
    reach: frozenset[int]
    log: Log


@dataclass(frozen=True, slots=True)
class Tenants:
    """People, agents, delegations and teams: the part that changes often and is small."""

    number: int = field(compare=False)
    teams: Mapping[str, Team]
    people: Mapping[str, PersonFacts]
    agents: Mapping[str, AgentFacts]
    delegations: Mapping[str, DelegationFacts]


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """What the gateway shows to an upstream, still sealed, with what it is bound to."""

    kind: str
    header: str
    origin: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """An active server and where it answers. `origin` is empty for one on this host, which is reached by a socket.

    A wrapped one is an HTTP API: it does not speak MCP, and `path` is where those of its operations begin.
    """

    id: int
    uid: str
    slug: str
    name: str
    owner: int
    protocol: str
    origin: str
    host: str
    port: int
    path: str
    tls: bool
    credentials: tuple[SealedCredential, ...] = ()
    command: tuple[str, ...] = ()
    active: bool = True
    internal: str = ""
    """Which of Hanse's own servers this is, empty for every other server."""
    is_apart: bool = False
    """Whether it is served at its own address only: a merged surface has the merged server's tools instead."""
    wrapped: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """An approved tool. `shown` is its approved definition as JSON, without its name.

    `request` is the approved plan of its request as JSON, empty unless its server is a wrapped API.
    """

    uid: str
    name: str
    exposed: str
    pin: str
    server: Server
    facts: ToolFacts
    shown: bytes = field(repr=False)
    request: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Registry:
    """Servers and approved tools: the part that is large. `tools` is by owner, in the order of their exposed names.

    `servers` holds the active ones by slug; `known` holds drafts as well, by uid, because a draft is looked at, too.
    """

    number: int = field(compare=False)
    tools: Mapping[int, tuple[Tool, ...]]
    servers: Mapping[str, Server]
    known: Mapping[str, Server] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One state of the world. `surfaces` and `callers` are caches that live and die with it."""

    tenants: Tenants
    registry: Registry
    surfaces: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def number(self) -> int:
        """Returns the database's own clock of transactions at the older of the two reads, for the audit record."""
        return min(self.tenants.number, self.registry.number)


_NUMBER: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


def load_tenants(connection: psycopg.Connection[Any]) -> Tenants:
    """Returns the tenants' part as one transaction sees it."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        number = int(cursor.execute(_NUMBER).fetchall()[0][0])
        return Tenants(
            number=number,
            teams=_teams(cursor),
            people=_people(cursor),
            agents=_agents(cursor),
            delegations=_delegations(cursor),
        )


def load_registry(connection: psycopg.Connection[Any]) -> Registry:
    """Returns the registry's part as one transaction sees it."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        number = int(cursor.execute(_NUMBER).fetchall()[0][0])
        servers = _servers(cursor)
        tools: dict[int, list[Tool]] = defaultdict(list)
        for tool in _tools(connection, servers):
            tools[tool.facts.owner].append(tool)
    return Registry(
        number=number,
        tools={owner: tuple(sorted(found, key=lambda tool: tool.exposed)) for owner, found in tools.items()},
        servers={server.slug: server for server in servers.values() if server.active},
        known={server.uid: server for server in servers.values()},
    )


def _teams(cursor: psycopg.Cursor[Any]) -> dict[str, Team]:
    domains: dict[int, set[int]] = defaultdict(set)
    for team_id, domain_id in cursor.execute("SELECT team_id, domain_id FROM gateway_domains"):
        domains[team_id].add(domain_id)
    rows = cursor.execute("SELECT id, tier, slug, stream_id, stream_uid::text FROM gateway_tenants").fetchall()
    shared = {row[0] for row in rows if row[1] == Tier.PLATFORM}
    return {
        slug: Team(id_, slug, frozenset({id_} | domains[id_] | shared), Log(stream, stream_uid, id_))
        for id_, tier, slug, stream, stream_uid in rows
        # Without a log there is no call, so a team without one is not served at all.
        if tier == Tier.TEAM and stream is not None
    }


def _people(cursor: psycopg.Cursor[Any]) -> dict[str, PersonFacts]:
    roles: dict[int, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for person, tenant, role in cursor.execute("SELECT person_id, tenant_id, role FROM gateway_memberships"):
        roles[person][tenant].add(role)
    return {
        uid: PersonFacts(id_, uid, active, clearance, {team: frozenset(held) for team, held in roles[id_].items()})
        for id_, uid, active, clearance in cursor.execute("SELECT id, uid::text, active, clearance FROM gateway_people")
    }


def _agents(cursor: psycopg.Cursor[Any]) -> dict[str, AgentFacts]:
    query = "SELECT id, uid::text, active, sponsor_active, home_id, profile, risk FROM gateway_agents"
    return {row[1]: AgentFacts(*row) for row in cursor.execute(query)}


_DELEGATIONS: Final = """
    SELECT id, uid::text, person_id, agent_id, team_id, tool_groups, effect_ceiling, sensitivity_ceiling,
           extract(epoch FROM not_before)::float8, extract(epoch FROM not_after)::float8, revoked, depth, parent_id
    FROM gateway_delegations ORDER BY depth
"""


def _delegations(cursor: psycopg.Cursor[Any]) -> dict[str, DelegationFacts]:
    """A delegation whose parent is not above it and present is left out: what cannot be checked does not hold."""
    known: dict[int, DelegationFacts] = {}
    for row in cursor.execute(_DELEGATIONS):
        id_, uid, person, agent, team, groups, effect, sensitivity, begins, ends, revoked, depth, above = row
        parent = known.get(above) if above is not None else None
        if (above is None) != (depth == 0) or (above is not None and (parent is None or parent.depth >= depth)):
            continue
        known[id_] = DelegationFacts(
            id=id_,
            uid=uid,
            person=person,
            agent=agent,
            team=team,
            groups=frozenset(groups),
            effect=effect,
            sensitivity=sensitivity,
            not_before=begins,
            not_after=ends,
            revoked=revoked,
            depth=depth,
            parent=parent,
        )
    return {facts.uid: facts for facts in known.values()}


_SERVERS: Final = """
    SELECT id, uid::text, slug, name, owner_id, protocol, transport, url, command, status = 'active'
      FROM gateway_servers
"""


def _servers(cursor: psycopg.Cursor[Any]) -> dict[int, Server]:
    sealed: dict[int, list[SealedCredential]] = defaultdict(list)
    query = "SELECT server_id, kind, header, origin, sealed FROM gateway_credentials"
    for server_id, kind, header, origin, value in cursor.execute(query):
        sealed[server_id].append(SealedCredential(kind, header, origin, bytes(value)))
    found: dict[int, Server] = {}
    for id_, uid, slug, name, owner, protocol, transport, url, command, active in cursor.execute(_SERVERS):
        address = _address(transport, url, uid)
        if address is not None:
            held = tuple(sealed.get(id_, ()))
            start = tuple(command) if transport == "stdio" else ()
            internal, _, of = url.removeprefix("hanse:").partition("/") if transport == "hanse" else ("", "", "")
            found[id_] = Server(
                id_,
                uid,
                slug,
                name,
                owner,
                protocol,
                *address,
                held,
                start,
                active,
                internal,
                bool(of),
                transport == "openapi",
            )
    return found


def _address(transport: str, url: str, uid: str) -> tuple[str, str, int, str, bool] | None:
    if transport in {"stdio", "hanse"}:
        return "", transport, 0, f"/{uid}", False
    try:
        parsed = check_url(url)
    except Invalid:
        # An address that the rules refuse today is not called, whatever was registered before.
        return None
    return parsed.origin, parsed.host, parsed.port, parsed.path, parsed.tls


_TOOLS: Final = """
    SELECT uid::text, server_id, name, exposed_name, (definition - 'name')::text, pin, effect, sensitivity, groups,
           request::text
    FROM gateway_tools
"""


def _tools(connection: psycopg.Connection[Any], servers: Mapping[int, Server]) -> Iterator[Tool]:
    shared: dict[tuple[str, ...], frozenset[str]] = {}  # thousands of tools are in the same few groups
    with connection.cursor(name="gateway_tools") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        for uid, server_id, name, exposed, shown, pin, effect, sensitivity, groups, request in cursor.execute(_TOOLS):
            server = servers.get(server_id)
            if server is None:
                continue
            held = shared.setdefault(tuple(groups), frozenset(groups))
            facts = ToolFacts(uid, server.owner, effect, sensitivity, held)
            yield Tool(uid, name, exposed, pin, server, facts, shown.encode(), (request or "").encode())
