"""What one agent sees for one delegation: the decided tools, with `tools/list` prebuilt for both eras."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from audit.records import Actor
from gateway.authn import Grant
from gateway.egress import encode_headers
from gateway.envelope import MODERN_VERSION
from gateway.forms import Forms
from gateway.rewrite import encode_header, header_paths
from gateway.snapshot import Snapshot, Team, Tool
from gateway.wire import Era, Limits
from gateway.wrapped.request import Pattern, pattern_of
from tenants.decisions import AgentFacts, Context, Decision, DelegationFacts, PersonFacts, decide

_FOREVER: Final = float("inf")

# All that an upstream gets from us besides its credential; nothing of the caller's own headers is ever copied.
_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"accept", b"application/json, text/event-stream"),
    (b"mcp-protocol-version", MODERN_VERSION.encode()),
    (b"mcp-method", b"tools/call"),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One tool as one caller names it, with everything that is the same for each call of it.

    `pattern` is there for an operation of a wrapped API, and nothing else: those calls are not written as MCP.
    """

    tool: Tool
    head: bytes
    headers: bytes
    mirrored: tuple[tuple[tuple[str, ...], bytes], ...]
    forms: Forms
    pattern: Pattern | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Both identities of a call as one snapshot knows them. Any of the three may be unknown: then nothing is allowed."""

    grant: Grant
    team: Team
    server: str
    person: PersonFacts | None
    agent: AgentFacts | None
    delegation: DelegationFacts | None

    def decide(self, tool: Tool, now: float) -> Decision:
        """Returns whether this caller may use the tool at this moment."""
        context = Context(self.team.id, self.team.reach, now)
        return decide(self.person, self.agent, self.delegation, tool.facts, context)


@dataclass(slots=True)
class Surface:
    """The tools of one caller. `known` also holds those that are refused, so that the record can say why."""

    caller: Caller
    allowed: tuple[str, ...]
    known: Mapping[str, Tool]
    until: float
    ttl_ms: int
    number: int
    _routes: dict[str, Route] = field(default_factory=dict)
    _decided: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _lists: dict[Era, bytes] = field(default_factory=dict)

    def route(self, name: str) -> Route | None:
        """Returns where a tool name leads, or None for a name that this caller's address does not have."""
        found = self._routes.get(name)
        if found is None and (tool := self.known.get(name)) is not None:
            object_ = f"{tool.server.slug}/{tool.name}"
            forms = Forms(self.caller.team.log, self.actor, object_, tool.pin, self.number)
            found = self._routes[name] = _route(tool, forms)
        return found

    @property
    def actor(self) -> Actor:
        """Returns who acts, as the record names them."""
        grant = self.caller.grant
        return Actor(grant.person, grant.agent, grant.delegation)

    def reasons(self, tool: Tool, now: float) -> tuple[str, ...]:
        """Returns every reason against a call of this tool now, none when it is allowed.

        Within one snapshot a decision changes only where a delegation of the chain begins or ends, and that is `until`:
        before it, the decision of a moment ago is the decision of now.
        """
        found = self._decided.get(tool.uid) if now < self.until else None
        if found is None:
            decision = self.caller.decide(tool, now)
            found = () if decision.allow else decision.reasons
            if now < self.until:
                self._decided[tool.uid] = found
        return found

    def listing(self, era: Era) -> bytes:
        """Returns the result of `tools/list` as JSON, in an order that is always the same."""
        found = self._lists.get(era)
        if found is None:
            found = b"{" + b"".join(self._pieces(era)) + b"}"
            self._lists[era] = found
        return found

    def _pieces(self, era: Era) -> Iterator[bytes]:
        if era is Era.MODERN:
            yield b'"resultType":"complete","ttlMs":%d,"cacheScope":"private",' % self.ttl_ms
        yield b'"tools":['
        yield b",".join(_shown(name, self.known[name]) for name in self.allowed)
        yield b"]"


def _route(tool: Tool, forms: Forms) -> Route:
    if tool.server.wrapped:
        return Route(tool, b"", b"", (), forms, pattern_of(tool.request, tool.server.path))
    head = b',"method":"tools/call","params":{"name":' + orjson.dumps(tool.name) + b',"arguments":'
    headers = encode_headers((*_HEADERS, (b"mcp-name", encode_header(tool.name))))
    return Route(tool, head, headers, header_paths(orjson.loads(tool.shown).get("inputSchema")), forms)


def _shown(name: str, tool: Tool) -> bytes:
    rest = tool.shown.lstrip()[1:]
    return b'{"name":' + orjson.dumps(name) + (b"," if rest.strip() != b"}" else b"") + rest


def find_caller(snapshot: Snapshot, grant: Grant, team: Team, server: str) -> Caller:
    """Returns who calls, as the snapshot knows them."""
    tenants = snapshot.tenants
    return Caller(
        grant,
        team,
        server,
        tenants.people.get(grant.person),
        tenants.agents.get(grant.agent),
        tenants.delegations.get(grant.delegation),
    )


def find_surface(snapshot: Snapshot, grant: Grant, team: Team, server: str, limits: Limits) -> Surface | None:
    """Returns the caller's surface, from the snapshot's cache while no delegation has begun or ended since.

    None when the snapshot does not know the person, the agent or the delegation.
    """
    key = (grant.person, grant.agent, grant.delegation, grant.tools, team.id, server)
    found: Surface | None = snapshot.surfaces.get(key)
    now = time.time()
    if found is None or now >= found.until:
        caller = find_caller(snapshot, grant, team, server)
        if caller.person is None or caller.agent is None or caller.delegation is None:
            return None
        while len(snapshot.surfaces) >= limits.surfaces_cached:
            del snapshot.surfaces[next(iter(snapshot.surfaces))]
        found = snapshot.surfaces[key] = _build(snapshot, caller, now, limits)
    return found


def _build(snapshot: Snapshot, caller: Caller, now: float, limits: Limits) -> Surface:
    known = _known(snapshot, caller)
    allowed = tuple(sorted(name for name, tool in known.items() if _is_open(caller, tool, now)))
    return Surface(caller, allowed, known, _next_boundary(caller.delegation, now), limits.list_ttl_ms, snapshot.number)


def _known(snapshot: Snapshot, caller: Caller) -> Mapping[str, Tool]:
    """All callers at one address share this: it holds what could be named there, not what is allowed."""
    if caller.server and caller.server not in snapshot.registry.servers:
        return {}  # nothing is kept for a name that any caller can make up
    key = ("known", caller.team.id, caller.server)
    found: Mapping[str, Tool] | None = snapshot.surfaces.get(key)
    if found is None:
        found = snapshot.surfaces[key] = dict(_candidates(snapshot, caller))
    return found


def _candidates(snapshot: Snapshot, caller: Caller) -> Iterator[tuple[str, Tool]]:
    registry = snapshot.registry
    if caller.server:
        server = registry.servers.get(caller.server)
        tools = registry.tools.get(server.owner, ()) if server is not None else ()
        yield from ((tool.name, tool) for tool in tools if tool.server is server)
        return
    for owner in caller.team.reach:
        yield from ((tool.exposed, tool) for tool in registry.tools.get(owner, ()) if not tool.server.is_apart)


def _is_open(caller: Caller, tool: Tool, now: float) -> bool:
    # Most tools of a large reach are in no group of the delegation; the decision would say so too, only slower.
    if caller.delegation is None or not caller.delegation.groups & tool.facts.groups:
        return False
    return named_by_token(caller.grant, tool) and caller.decide(tool, now).allow


def named_by_token(grant: Grant, tool: Tool) -> bool:
    """Tells whether the token, which may narrow the delegation to some tools, includes this one."""
    return grant.tools is None or tool.exposed in grant.tools


def _next_boundary(delegation: DelegationFacts | None, now: float) -> float:
    """Returns the next moment at which a delegation of the chain begins or ends."""
    boundary, link = _FOREVER, delegation
    while link is not None:
        boundary = min([boundary, *(moment for moment in (link.not_before, link.not_after) if moment > now)])
        link = link.parent
    return boundary
