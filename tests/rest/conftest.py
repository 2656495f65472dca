"""A small federation with one thing of every kind at home (`ledger`) and abroad (`rival`), and a way to call the API.

Requests run as the application's database role, so grants and row level security hold as they do for real.
"""

import json
from copy import deepcopy
from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.test import override_settings as overridden

from audit.keys import load_or_create, publish
from blueprints.models import Blueprint, ChangeRequest, Fork, Layer, PatternRequest, Repository, Version
from blueprints.services.credentials import set_repository_credential
from blueprints.services.forking import fork_blueprint
from blueprints.services.harness import add_check
from blueprints.services.measuring import record_measurement
from blueprints.services.publishing import propose_version
from blueprints.services.repositories import register_repository
from blueprints.services.requests import open_request
from blueprints.tasks import measure_repository
from kernel.secrets import Secret
from portal.keyring import record_signer, repository_key, sealing_key
from portal.rest import keys
from portal.rest.models import ApiKey
from registry.addresses import AddressPolicy
from registry.context.tasks import run_import
from registry.git.fetching import Sources
from registry.models import Server, Tool, ToolGroup
from registry.services import create_group, register_server, set_credential
from registry.surfaces import Shown, approve_tool, take_in_probe
from registry.tasks import probe_server
from registry.wrapping import wrap_api
from tenants.identity.sign_in_groups import add_sign_in_group
from tenants.models import Agent, Delegation, Onboarding, SignInGroup, Tenant
from tenants.principals import SYSTEM, Principal
from tenants.rules import Effect, Role, Sensitivity
from tests.actors import Cast, fresh, make_cast, make_delegation
from tests.apis.documents import ORDERS
from tests.apps.blueprints import estate
from tests.apps.blueprints.classified import classification
from tests.rest.context_things import REPOSITORY_SECRET, Context, make_context

ROOT = "/api/v1/"
UPSTREAM = "127.0.0.1:9"
CHECK = {"id": "tests", "title": "Tests pass", "sensor": "computational", "blocking": True, "command": ["make", "test"]}
DEFINITION = {"name": "post_entry", "description": "Posts an entry.", "inputSchema": {"type": "object"}}


@dataclass
class Things:
    """What one team owns."""

    team: Tenant
    agent: Agent
    server: Server
    tool: Tool
    group: ToolGroup
    delegation: Delegation
    key: ApiKey
    layer: Layer
    repository: Repository
    pattern_request: PatternRequest
    blueprint: Blueprint
    proposed: Version
    fork: Fork
    request: ChangeRequest
    onboarding: Onboarding
    context: Context
    sign_in_group: SignInGroup
    api: Server | None = None

    def keeper_role(self) -> dict[str, str]:
        """Returns the names in the address of a role."""
        return {"slug": self.team.slug, "handle": self.agent.sponsor.handle, "role": "team_lead"}

    def rule(self) -> dict[str, str]:
        """Returns the names in the address of a rule for a group from sign-in."""
        return {"slug": self.team.slug, "uid": str(self.sign_in_group.uid)}


@dataclass
class World:
    """The cast with their things."""

    cast: Cast
    own: Things
    other: Things
    clients: dict[str, Client] = field(default_factory=dict)

    def principal(self, who: str) -> Principal:
        return getattr(self.cast, who)


@pytest.fixture(autouse=True)
def quick_and_fresh(installation):
    """Passwords are not what is tested here, and each test has its full rate."""
    cache.clear()
    config = replace(installation, upstream_allow=(UPSTREAM,))
    with overridden(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"], HANSE=config):
        yield


def make_things(cast: Cast, team: Tenant, agent: Agent, worker: Principal) -> Things:
    server = register_server(
        actor=SYSTEM,
        owner=team,
        slug=f"{team.slug}-api",
        name=f"{team.name} API",
        url=f"http://{UPSTREAM}/mcp",
        addresses=AddressPolicy((UPSTREAM,)),
    )
    take_in_probe(server=server, shown=Shown(ok=True, protocol="2025-11-25", tools=[DEFINITION]))
    tool = server.tools.get()
    tool = approve_tool(
        actor=SYSTEM, tool=tool, seen_pin=tool.seen_pin, effect=Effect.WRITE, sensitivity=Sensitivity.INTERNAL
    )
    key = sealing_key()
    set_credential(
        actor=SYSTEM,
        server=server,
        kind="bearer",
        header="",
        value=Secret(b"upstream-secret"),
        public_key=key.public,
        key_id=key.key_id,
    )
    group = create_group(actor=SYSTEM, owner=team, slug=f"{team.slug}-tools", name="Tools", tools=[tool])
    delegation = make_delegation(worker, agent, group.slug, server.slug)
    api_key, _ = keys.create_key(actor=worker, name="test", scope="read", days=1)
    layer = add_check(actor=SYSTEM, owner=team, check=CHECK)
    server.refresh_from_db()
    onboarding = Onboarding.objects.create(name=team.name, owner=team, begun_by=agent.sponsor)
    context = make_context(team, delegation)
    rule = add_sign_in_group(actor=SYSTEM, tenant=team, name="crew", role=Role.MEMBER)
    owned = (team, agent, server, tool, group, delegation, api_key, layer)
    made = (*make_repository(team, worker), *make_workflow(team, worker))
    return Things(*owned, *made, onboarding, context, rule)


def make_repository(team: Tenant, worker: Principal) -> tuple[Repository, PatternRequest]:
    """Returns a repository whose files give all they can, and the request of somebody who has left to raise it."""
    repository = register_repository(
        actor=SYSTEM,
        team=team,
        slug=f"{team.slug}-app",
        name=f"{team.name} app",
        url=f"http://{UPSTREAM}/app",
        sources=Sources(AddressPolicy((UPSTREAM,))),
    )
    key, secret = repository_key(), Secret(REPOSITORY_SECRET.encode())
    set_repository_credential(
        actor=SYSTEM, repository=repository, kind="basic", secret=secret, public_key=key.public, key_id=key.key_id
    )
    repository = record_measurement(repository, classification(), record_signer())
    request = PatternRequest.objects.create(owner=team, repository=repository, reason="A pilot.", asked_by=None)
    return repository, request


def make_workflow(team: Tenant, worker: Principal) -> tuple[Blueprint, Version, Fork, ChangeRequest]:
    """Returns a team's own blueprint with a version that waits, the team's fork of it, and what it asks for."""
    head = estate.publish(team, estate.document_of(team))
    later = estate.next_of(head.blueprint, "1.1.0", lambda it: estate.node(it, "plan").update(minutes=25))
    text = estate.as_text(later)
    proposed = propose_version(actor=SYSTEM, owner=team, text=text, note="More time to plan.")
    operations = [estate.set_turns("implement", 40), estate.prompt("plan", "Plan it our way.")]
    fork = fork_blueprint(actor=worker, version=head, team=team, name=f"{team.slug}-fork", operations=operations)
    request = open_request(actor=worker, fork=fork, targets=["/nodes/plan/prompt"], title="A better plan")
    return Blueprint.objects.get(pk=head.blueprint_id), proposed, fork, request


def make_api(things: Things) -> Server:
    return wrap_api(
        actor=SYSTEM,
        owner=things.team,
        slug=f"{things.team.slug}-orders",
        name=f"{things.team.name} orders",
        url=f"http://{UPSTREAM}/api",
        document=ORDERS,
        addresses=AddressPolicy((UPSTREAM,)),
    )


@pytest.fixture(scope="module")
def wraps() -> bool:
    """Says whether each team also has a wrapped API; a module that wants one says so."""
    return False


@pytest.fixture(scope="module")
def made(module_rows, wraps) -> tuple[World, dict[str, SimpleCookie]]:
    """Returns the world of one module, and the cookies of everybody in it."""
    cast = make_cast()
    own = make_things(cast, cast.team, cast.agent, cast.member)
    other = make_things(cast, cast.rival, cast.rival_agent, cast.outsider)
    if wraps:
        own.api, other.api = make_api(own), make_api(other)
    cookies = {"nobody": SimpleCookie()}
    for name, principal in cast.principals().items():
        client = Client()
        client.force_login(principal.person, backend="django.contrib.auth.backends.ModelBackend")
        cookies[name] = client.cookies
    return World(cast, own, other), cookies


@pytest.fixture
def world(made, db) -> World:
    """Returns a copy of the module's world for one test, with a client for everybody."""
    world = fresh(made[0])
    for name, cookies in made[1].items():
        world.clients[name] = Client(raise_request_exception=False)
        world.clients[name].cookies = deepcopy(cookies)
    return world


@pytest.fixture
def call(world, as_role):
    """Returns a function: who, method, path below `/api/v1/`, body, headers -> response."""

    def send(who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        address = path if path.startswith("/") else ROOT + path
        data = "" if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with as_role("hanse_app"):
            return world.clients[who].generic(
                method, address, data, content_type="application/json", headers=named, query_string=None
            )

    return send


@pytest.fixture
def audit_key(installation):
    """The verifier's key is there, as it is once a sequencer has run."""
    signer = load_or_create(installation.secrets_dir("audit") / "checkpoint.pem")
    publish(signer, installation.public_dir / "audit.vkey")
    return signer


@pytest.fixture
def probes(monkeypatch):
    """Returns the ids of servers, repositories and imports that a worker was sent to, instead of putting them into a queue."""
    asked = []
    monkeypatch.setattr(probe_server, "delay", asked.append)
    monkeypatch.setattr(measure_repository, "delay", asked.append)
    monkeypatch.setattr(run_import, "delay", asked.append)
    return asked


@pytest.fixture
def undone():
    """Returns a context manager: what is done inside is undone at its end."""

    class Undone:
        def __enter__(self) -> None:
            self.block = transaction.atomic()
            self.block.__enter__()

        def __exit__(self, *exc: object) -> None:
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

    return Undone


def tag(version: int) -> str:
    return f'"{version}.x"'


__all__ = ["DEFINITION", "ROOT", "Things", "World", "settings", "tag"]
