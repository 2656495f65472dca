"""A federation of the size that we claim to serve, written as rows: 10,000 servers and 100,000 tools of 60 teams."""

from dataclasses import dataclass
from typing import Final

import psycopg

from audit import records
from kernel.ids import new_uid_text
from portal.config import Config
from tenants.principals import SYSTEM
from tenants.rules import Role, Sensitivity, Tier
from tenants.scope import ALL, tenant_scope
from tenants.services import add_person, create_tenant, give_role, join_domain

MEMBER, ADMIN = "member", "admin"
_CONCERNS: Final = ("regulatory", "technical", "business", "geographic", "regulatory", "business")
_EVENTS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many of everything."""

    teams: int = 60
    servers: int = 10_000
    tools_each: int = 10
    people: int = 500
    agents: int = 300
    delegations: int = 3_000
    events: int = 20_000


def make_crowd(config: Config, size: Size) -> None:
    """Fills an empty installation: tenants and two people through the services, the rest as rows by the owner."""
    with tenant_scope(ALL):
        _make_tenants(size)
    parameters = {name: getattr(size, name) for name in ("servers", "tools_each", "people", "agents", "delegations")}
    with psycopg.connect(config.dsn("owner")) as owner:
        owner.execute("SELECT set_config('hanse.scope', '*', true)")
        for statement in _STATEMENTS:
            owner.execute(statement, parameters)
        teams = owner.execute(
            "SELECT s.id, s.uid::text, t.id FROM tenants_tenant t JOIN audit_stream s ON s.scope = t.id"
            " WHERE t.tier = 'team' ORDER BY t.id"
        ).fetchall()
    _make_events(config, size, [records.Log(*row) for row in teams])
    with psycopg.connect(config.dsn("superuser").replace("/postgres?", "/hanse?"), autocommit=True) as admin:
        # What autovacuum does a minute later; the log's tables are not the owner's to analyse otherwise.
        admin.execute("VACUUM ANALYZE")


def _make_tenants(size: Size) -> None:
    platform = create_tenant(actor=SYSTEM, tier=Tier.PLATFORM, slug="platform", name="Platform")
    domains = [
        create_tenant(actor=SYSTEM, tier=Tier.DOMAIN, slug=f"domain-{number}", name=f"Domain {number}", concern=concern)
        for number, concern in enumerate(_CONCERNS)
    ]
    teams = []
    for number in range(size.teams):
        team = create_tenant(actor=SYSTEM, tier=Tier.TEAM, slug=f"team-{number}", name=f"Team {number}")
        for more in range(1 + number % 3):
            join_domain(actor=SYSTEM, team=team, domain=domains[(number + more) % len(domains)])
        teams.append(team)
    for handle, tenant, role in ((MEMBER, teams[0], Role.MEMBER), (ADMIN, platform, Role.PLATFORM_ADMIN)):
        person = add_person(
            actor=SYSTEM,
            email=f"{handle}@bench.test",
            name=handle,
            handle=handle,
            clearance=Sensitivity.CONFIDENTIAL,
        )
        give_role(actor=SYSTEM, person=person, tenant=tenant, role=role)


def _make_events(config: Config, size: Size, logs: list[records.Log]) -> None:
    """Calls of the last minutes in every team's stream, written as the gateway writes them."""
    actor = records.Actor(new_uid_text(), new_uid_text(), new_uid_text())
    body = b'{"text":"what small tools are given"}'
    with psycopg.connect(config.dsn("gateway"), autocommit=True) as writer:
        for start in range(0, size.events // 2, _EVENTS_AT_ONCE):
            rows = []
            for number in range(start, min(start + _EVENTS_AT_ONCE, size.events // 2)):
                log, call = logs[number % len(logs)], new_uid_text()
                server = f"server-{1 + number % size.servers}/tool-1"
                rows.append(records.intent(log, actor, call=call, verb="tools.call", object=server, arguments=body))
                rows.append(
                    records.outcome(
                        log, actor, call=call, verb="tools.call", object=server, result="ok", ms=3, body=body
                    )
                )
            writer.execute("SELECT audit_append(%s::jsonb)", [records.encode(rows)])


_TEAMS: Final = "teams AS (SELECT array_agg(id ORDER BY id) AS ids FROM tenants_tenant WHERE tier = 'team')"
_TEAM: Final = "ids[1 + n %% cardinality(ids)]"
_STATEMENTS: Final = (
    f"""WITH {_TEAMS} INSERT INTO registry_server (uid, owner_id, slug, name, summary, transport, url, command, status,
           status_reason, protocol, created_at, probed_at, probe_ok, tools_changed_at, version)
        SELECT gen_random_uuid(), {_TEAM}, 'server-' || n, 'Server ' || n, 'An internal application, number ' || n,
               'http', 'https://server-' || n || '.example/mcp', '{{}}', (ARRAY['active','active','active','draft'])[1 + n %% 4],
               '', '2026-07-28', now() - n * interval '1 minute', now() - n * interval '1 second', n %% 50 <> 0,
               now() - n * interval '1 minute', 1
          FROM generate_series(1, %(servers)s) AS n, teams""",  # noqa: S608 - constants of this file
    """INSERT INTO registry_toolgroup (uid, owner_id, slug, name, server_id, created_at, version)
       SELECT gen_random_uuid(), owner_id, slug, name, id, created_at, 1 FROM registry_server
        WHERE transport = 'http'""",
    """INSERT INTO registry_tool (uid, server_id, owner_id, name, exposed_name, title, description, effect, sensitivity,
           definition, pin, seen, seen_pin, state, faults, warnings, first_seen_at, version)
       SELECT gen_random_uuid(), s.id, s.owner_id, 'tool-' || k, s.slug || '__tool-' || k, 'Tool ' || k,
              'Does one thing of server ' || s.slug || ' and says what it did.', k %% 3, 1, d.definition,
              repeat('a', 64), d.definition, repeat('a', 64),
              CASE WHEN s.id %% 40 = 0 AND k = 1 THEN 'new' ELSE 'approved' END, '{}', '{}', now(), 1
         FROM registry_server s, generate_series(1, %(tools_each)s) AS k,
              LATERAL (SELECT jsonb_build_object('name', 'tool-' || k, 'description', 'Does one thing.', 'inputSchema',
                jsonb_build_object('type', 'object')) AS definition) d
        WHERE s.transport = 'http'""",
    """INSERT INTO registry_toolgroup_tools (toolgroup_id, tool_id)
       SELECT g.id, t.id FROM registry_tool t JOIN registry_toolgroup g ON g.server_id = t.server_id
        WHERE t.state = 'approved' AND t.name LIKE 'tool-%%'""",
    """INSERT INTO registry_probe (server_id, owner_id, at, ok, protocol, tools, added, changed, missing, error, duration_ms, report)
       SELECT id, owner_id, probed_at - k * interval '5 minutes', probe_ok, protocol, 10, 0, 0, 0, '', 12, '{}'
         FROM registry_server, generate_series(0, 4) AS k WHERE transport = 'http'""",
    f"""WITH {_TEAMS}, made AS (
          INSERT INTO tenants_person (uid, email, handle, name, clearance, is_active, is_superuser, password, created_at, version)
          SELECT gen_random_uuid(), 'p' || n || '@bench.test', 'p' || n, 'Person ' || n, 1, true, false, '!', now(), 1
            FROM generate_series(1, %(people)s) AS n RETURNING id)
        INSERT INTO tenants_membership (person_id, tenant_id, role, since)
        SELECT id, ids[1 + id %% cardinality(ids)], 'member', now() FROM made, teams""",  # noqa: S608 - constants of this file
    f"""WITH {_TEAMS} INSERT INTO tenants_agent (uid, slug, name, purpose, home_id, sponsor_id, profile, risk, status,
           status_reason, created_at, version)
        SELECT gen_random_uuid(), 'agent-' || n, 'Agent ' || n, '', {_TEAM}, (SELECT min(id) FROM tenants_person),
               'builder', 1, 'active', '', now(), 1
          FROM generate_series(1, %(agents)s) AS n, teams""",  # noqa: S608 - constants of this file
    """WITH agents AS (SELECT array_agg(id ORDER BY id) AS ids, array_agg(home_id ORDER BY id) AS homes FROM tenants_agent),
            people AS (SELECT array_agg(id ORDER BY id) AS ids FROM tenants_person)
       INSERT INTO tenants_delegation (uid, person_id, agent_id, team_id, purpose, tool_groups, effect_ceiling,
           sensitivity_ceiling, blueprint_digest, run, depth, not_before, not_after, revoked_reason, created_at, version)
       SELECT gen_random_uuid(), people.ids[1 + n %% cardinality(people.ids)], agents.ids[1 + n %% cardinality(agents.ids)],
              agents.homes[1 + n %% cardinality(agents.ids)], '', ARRAY['server-' || (1 + n %% %(servers)s)], 1, 1, '', '',
              0, now(), now() + (1 + n %% 30) * interval '1 day', '', now(), 1
         FROM generate_series(1, %(delegations)s) AS n, agents, people""",
)
