"""A small estate written straight into the tables, and tokens for it."""

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import OKPKey

from kernel.ids import new_uid
from registry.sealing import seal

SECRET = "s3cr3t-value-of-the-ledger"
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}


@dataclass
class Estate:
    keys: Path
    signing: OKPKey
    opening: X25519PrivateKey
    team: str = "ledger"
    ids: dict[str, int] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)


@dataclass
class TokenMaker:
    """Mints tokens as the portal does; any claim or header can be replaced, and `None` leaves it out."""

    estate: Estate
    base: str

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.base,
            "sub": self.estate.uids["person"],
            "act": {"sub": self.estate.uids["agent"]},
            "aud": f"{self.base}/mcp/{self.estate.team}",
            "dlg": self.estate.uids["delegation"],
            "jti": str(new_uid()),
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def mint(self, *, header: dict[str, Any] | None = None, key: OKPKey | None = None, **changes: Any) -> str:
        signing = key or self.estate.signing
        head = {"alg": "Ed25519", "typ": "at+jwt", "kid": self.estate.signing.kid, **(header or {})}
        return jwt.encode(head, self.claims(**changes), signing, algorithms=["Ed25519", "EdDSA"])


def insert(connection: psycopg.Connection, table: str, **values: Any) -> tuple[int, str]:
    """Returns id and uid of a new row."""
    uid = str(new_uid())
    row = {"uid": uid, **values}
    names = ", ".join(row)
    marks = ", ".join(["%s"] * len(row))
    (made,) = connection.execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING id", list(row.values())
    ).fetchone()
    return made, uid


def make_estate(dsn: str, upstream: str, keys: Path) -> Estate:
    signing = OKPKey.generate_key("Ed25519", parameters={"kid": "test-key"})
    opening = X25519PrivateKey.generate()
    document = {**signing.as_dict(private=False), "use": "sig", "alg": "EdDSA"}
    (keys / "token.jwks.json").write_text(json.dumps({"keys": [document]}))
    pem = opening.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (keys / "hpke.pem").write_bytes(pem)
    estate = Estate(keys, signing, opening)
    with psycopg.connect(dsn) as connection:
        _tenants(connection, estate)
        _principals(connection, estate)
        _servers(connection, estate, upstream, opening)
    return estate


def _keep(estate: Estate, name: str, made: tuple[int, str]) -> int:
    estate.ids[name], estate.uids[name] = made
    return made[0]


def _tenants(connection: psycopg.Connection, estate: Estate) -> None:
    now = datetime.now(UTC)
    shared = {"region": "", "origin": "internal", "summary": "", "invented": False, "created_at": now, "version": 1}
    for name, slug, tier, concern in [
        ("platform", "platform", "platform", ""),
        ("domain", "payments", "domain", "business"),
        ("team", "ledger", "team", ""),
        ("rival", "rival", "team", ""),
    ]:
        made = insert(connection, "tenants_tenant", slug=slug, name=slug, tier=tier, concern=concern, **shared)
        scope = _keep(estate, name, made)
        insert(connection, "audit_stream", scope=scope, name=slug, kind="tenant", created_at=now)
    connection.execute(
        "INSERT INTO tenants_domainmembership (team_id, domain_id, since) VALUES (%s, %s, %s)",
        (estate.ids["team"], estate.ids["domain"], now),
    )


def _principals(connection: psycopg.Connection, estate: Estate) -> None:
    now = datetime.now(UTC)
    person = insert(
        connection,
        "tenants_person",
        email="ada@example.org",
        handle="ada",
        name="Ada",
        clearance=2,
        is_active=True,
        is_superuser=False,
        password="!",
        created_at=now,
        version=1,
    )
    _keep(estate, "person", person)
    connection.execute(
        "INSERT INTO tenants_membership (person_id, tenant_id, role, since) VALUES (%s, %s, 'team_lead', %s)",
        (person[0], estate.ids["team"], now),
    )
    agent = insert(
        connection,
        "tenants_agent",
        slug="builder",
        name="Builder",
        purpose="",
        home_id=estate.ids["team"],
        sponsor_id=person[0],
        profile="builder",
        risk=1,
        status="active",
        status_reason="",
        created_at=now,
        version=1,
    )
    _keep(estate, "agent", agent)
    _keep(estate, "delegation", add_delegation(connection, estate))


def add_delegation(connection: psycopg.Connection, estate: Estate, **changes: Any) -> tuple[int, str]:
    now = datetime.now(UTC)
    values = {
        "person_id": estate.ids["person"],
        "agent_id": estate.ids["agent"],
        "team_id": estate.ids["team"],
        "purpose": "",
        "tool_groups": ["books"],
        "effect_ceiling": 1,
        "sensitivity_ceiling": 2,
        "blueprint_digest": "",
        "run": "",
        "depth": 0,
        "not_before": now - timedelta(minutes=1),
        "not_after": now + timedelta(hours=1),
        "revoked_reason": "",
        "created_at": now,
        "version": 1,
        **changes,
    }
    return insert(connection, "tenants_delegation", **values)


def _servers(connection: psycopg.Connection, estate: Estate, upstream: str, opening: X25519PrivateKey) -> None:
    add_server(connection, estate, "books", "team", f"{upstream}/books")
    add_server(connection, estate, "theirs", "rival", f"{upstream}/theirs")
    for name, effect in [("echo", 0), ("write", 1), ("destroy", 2)]:
        add_tool(connection, estate, "books", name, effect)
    add_tool(connection, estate, "books", "secret_read", 0, sensitivity=3)
    add_tool(connection, estate, "theirs", "echo", 0)
    sealed = seal(
        SECRET.encode(),
        opening.public_key(),
        server_uid=estate.uids["server:books"],
        origin=upstream,
        header="X-Ledger-Key",
    )
    insert(
        connection,
        "registry_credential",
        server_id=estate.ids["server:books"],
        owner_id=estate.ids["team"],
        kind="header",
        header="X-Ledger-Key",
        sealed=sealed,
        origin=upstream,
        key_id="test",
        created_at=datetime.now(UTC),
    )


def add_server(
    connection: psycopg.Connection,
    estate: Estate,
    slug: str,
    owner: str,
    url: str,
    *,
    transport: str = "http",
    protocol: str = "2026-07-28",
) -> int:
    now = datetime.now(UTC)
    common = {"owner_id": estate.ids[owner], "name": slug, "slug": slug, "created_at": now, "version": 1}
    server = insert(
        connection,
        "registry_server",
        summary="",
        transport=transport,
        url=url,
        command=["x"] if transport == "stdio" else [],
        status="active",
        status_reason="",
        protocol=protocol,
        **common,
    )
    _keep(estate, f"server:{slug}", server)
    _keep(estate, f"group:{slug}", insert(connection, "registry_toolgroup", server_id=server[0], **common))
    return server[0]


def add_tool(
    connection: psycopg.Connection,
    estate: Estate,
    server: str,
    name: str,
    effect: int,
    *,
    sensitivity: int = 1,
    schema: dict[str, Any] | None = None,
    definition: dict[str, Any] | None = None,
) -> str:
    definition = definition or {"name": name, "description": f"Does {name}.", "inputSchema": schema or SCHEMA}
    (owner,) = connection.execute(
        "SELECT owner_id FROM registry_server WHERE id = %s", (estate.ids[f"server:{server}"],)
    ).fetchone()
    tool = insert(
        connection,
        "registry_tool",
        server_id=estate.ids[f"server:{server}"],
        owner_id=owner,
        name=name,
        exposed_name=f"{server}__{name}",
        title="",
        description="",
        effect=effect,
        sensitivity=sensitivity,
        definition=json.dumps(definition),
        pin="0" * 64,
        seen_pin="",
        state="approved",
        faults=[],
        warnings=[],
        first_seen_at=datetime.now(UTC),
        version=1,
    )
    _keep(estate, f"tool:{server}/{name}", tool)
    connection.execute(
        "INSERT INTO registry_toolgroup_tools (toolgroup_id, tool_id) VALUES (%s, %s)",
        (estate.ids[f"group:{server}"], tool[0]),
    )
    return tool[1]
