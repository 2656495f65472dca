"""Registering, moving and withdrawing servers, and credentials that only go in."""

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from audit.models import Event
from kernel.errors import Conflict, Forbidden, Invalid
from kernel.secrets import Secret
from registry import queries, sealing
from registry.addresses import AddressPolicy
from registry.models import Credential
from registry.services import (
    activate_server,
    change_group,
    change_server,
    create_group,
    quarantine_server,
    register_server,
    remove_credential,
    retire_server,
    set_credential,
)
from registry.surfaces import Shown, take_in_probe
from tenants.rules import Tier
from tenants.services import create_tenant
from tests.actors import fresh, make_cast

OPEN = AddressPolicy(["127.0.0.1:9000"])
URL = "http://127.0.0.1:9000/mcp"


pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def cast(made, db):
    return fresh(made)


@pytest.fixture
def private():
    return X25519PrivateKey.generate()


def register(actor, owner, **over):
    facts = {"slug": "books", "name": "Books", "url": URL, "addresses": OPEN}
    return register_server(actor=actor, owner=owner, **(facts | over))


def seal(actor, server, private, value=b"opensesame", **over):
    facts = {"kind": "bearer", "header": "", "key_id": "k1"}
    return set_credential(
        actor=actor, server=server, value=Secret(value), public_key=private.public_key(), **(facts | over)
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/mcp",
        "http://127.0.0.1:9001/mcp",
        "http://localhost:8000/",
        "http://10.0.0.8/mcp",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:9000/",
        "http://[::ffff:10.0.0.1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "ftp://example.org/",
        "http://user:pass@127.0.0.1:9000/",
        "file:///etc/passwd",
        "http://127.0.0.1:9000/#x",
        "javascript:alert(1)",
        "http://no-such-host.invalid/mcp",
    ],
)
def test_addresses_inside_the_network_are_refused_at_registration(cast, url):
    with pytest.raises(Invalid):
        register(cast.lead, cast.team, url=url)
    assert not queries.servers(cast.admin).exclude(transport="hanse").exists()


def test_who_may_register_what(cast):
    register(cast.member, cast.team)
    register(cast.steward, cast.domain, slug="ours")
    for actor, owner in [(cast.reviewer, cast.team), (cast.outsider, cast.team), (cast.lead, cast.domain)]:
        with pytest.raises(Forbidden):
            register(actor, owner, slug="other")


def test_a_process_on_this_host_is_for_platform_admins_alone(cast):
    for actor in (cast.lead, cast.member, cast.steward):
        with pytest.raises(Forbidden, match="platform admin"):
            register(actor, cast.team, url="", command=["mcp-server-time"])
    server = register(cast.admin, cast.team, url="", command=["mcp-server-time"])
    with pytest.raises(Forbidden):
        change_server(actor=cast.lead, server=server, addresses=OPEN, command=["sh", "-c", "id"])


@pytest.mark.parametrize("slug", ["", "Books", "a_b", "-a", "a" * 49, "b\n", "ü"])
def test_slugs_that_could_not_stand_in_a_tool_name_are_refused(cast, slug):
    with pytest.raises(Invalid):
        register(cast.lead, cast.team, slug=slug)


def test_two_servers_never_share_a_slug_even_across_teams(cast):
    register(cast.lead, cast.team)
    with pytest.raises(Conflict):
        register(cast.outsider, cast.rival)


def test_a_server_is_served_only_after_it_answered(cast):
    server = register(cast.lead, cast.team)
    with pytest.raises(Conflict, match="probe"):
        activate_server(actor=cast.lead, server=server)
    take_in_probe(server=server, shown=Shown(ok=True))
    assert activate_server(actor=cast.lead, server=server).status == "active"
    with pytest.raises(Forbidden):
        activate_server(actor=cast.member, server=server)


def test_any_member_can_pull_the_brake_with_a_reason(cast):
    server = register(cast.lead, cast.team)
    with pytest.raises(Invalid):
        quarantine_server(actor=cast.member, server=server, reason=" ")
    assert quarantine_server(actor=cast.member, server=server, reason="Odd answers.").status == "quarantined"
    with pytest.raises(Forbidden):
        retire_server(actor=cast.member, server=server, reason="old")
    retire_server(actor=cast.lead, server=server, reason="old")
    with pytest.raises(Conflict, match="retired"):
        quarantine_server(actor=cast.lead, server=server, reason="again")


def test_a_new_target_drops_the_credential_and_needs_a_new_activation(cast, private):
    server = register(cast.lead, cast.team)
    take_in_probe(server=server, shown=Shown(ok=True))
    activate_server(actor=cast.lead, server=server)
    seal(cast.lead, server, private)
    moved = change_server(actor=cast.member, server=server, addresses=OPEN, url="http://127.0.0.1:9000/other")
    assert moved.status == "draft"
    assert not Credential.objects.exists()
    assert change_server(actor=cast.member, server=server, addresses=OPEN, name="New name").status == "draft"


def test_a_credential_opens_only_for_its_server_origin_and_header(cast, private):
    server = register(cast.lead, cast.team)
    credential = seal(cast.lead, server, private)
    facts = {"server_uid": str(server.uid), "origin": "http://127.0.0.1:9000", "header": "authorization"}
    sealed = bytes(credential.sealed)
    assert sealing.SUITE.decrypt(sealed, private, info=sealing.binding(**facts)) == b"Bearer opensesame"
    for key, other in {"server_uid": "x", "origin": "http://127.0.0.1:9001", "header": "x-key"}.items():
        with pytest.raises(InvalidTag):
            sealing.SUITE.decrypt(sealed, private, info=sealing.binding(**(facts | {key: other})))
    assert b"opensesame" not in sealed


def test_only_the_keeper_sets_credentials_and_nobody_reads_them(cast, private):
    server = register(cast.lead, cast.team)
    for actor in (cast.member, cast.reviewer, cast.steward, cast.outsider):
        with pytest.raises(Forbidden):
            seal(actor, server, private)
    seal(cast.lead, server, private)
    known = queries.credential_of(cast.member, server)
    assert "sealed" in known.get_deferred_fields()
    assert queries.credential_of(cast.outsider, server) is None
    remove_credential(actor=cast.lead, server=server)
    assert queries.credential_of(cast.member, server) is None


@pytest.mark.parametrize(
    "header", ["host", "Content-Length", "cookie", "Mcp-Name", "x y", "x\r\ny", "", "mcp-session-id"]
)
def test_a_credential_never_takes_a_header_of_the_gateway(cast, private, header):
    server = register(cast.lead, cast.team)
    with pytest.raises(Invalid):
        seal(cast.lead, server, private, kind="header", header=header)


@pytest.mark.parametrize("value", [b"", b"a\nb", b"a\0b", b"x" * 9_000])
def test_a_credential_is_one_line(cast, private, value):
    server = register(cast.lead, cast.team)
    with pytest.raises(Invalid):
        seal(cast.lead, server, private, value=value)


def test_groups_hold_tools_of_their_own_owner(cast):
    mine, theirs = register(cast.lead, cast.team), register(cast.outsider, cast.rival, slug="theirs")
    echo = {"name": "echo", "inputSchema": {"type": "object"}}
    for server in (mine, theirs):
        take_in_probe(server=server, shown=Shown(ok=True, tools=[echo]))
    own, foreign = mine.tools.get(), theirs.tools.get()
    group = create_group(actor=cast.lead, owner=cast.team, slug="daily", name="Daily", tools=[own])
    with pytest.raises(Invalid):
        change_group(actor=cast.lead, group=group, tools=[own, foreign])
    with pytest.raises(Conflict):
        change_group(actor=cast.lead, group=mine.group, tools=[own])
    with pytest.raises(Conflict):
        create_group(actor=cast.lead, owner=cast.team, slug="books", name="Again", tools=[])
    assert change_group(actor=cast.lead, group=group, tools=[]).tools.count() == 0


def test_every_change_is_in_the_history_and_in_the_log(cast):
    from audit.queries import Filters, calls_visible

    server = register(cast.lead, cast.team)
    change_server(actor=cast.member, server=server, addresses=OPEN, summary="Of the group.")
    quarantine_server(actor=cast.member, server=server, reason="Odd answers.")
    reasons = [row.history_change_reason for row in queries.server_history(server)]
    assert reasons == ["Odd answers.", "described", "registered"]
    verbs = [row.verb for row in calls_visible([cast.team.pk], Filters(text="server:books"))]
    assert verbs == ["registry.server.quarantined", "registry.server.changed", "registry.server.registered"]


def test_a_server_that_moved_is_looked_at_before_it_is_activated(cast):
    server = register(cast.lead, cast.team)
    take_in_probe(server=server, shown=Shown(ok=True, protocol="2026-07-28"))
    moved = change_server(actor=cast.lead, server=server, url="http://127.0.0.1:9000/elsewhere", addresses=OPEN)
    with pytest.raises(Conflict):
        activate_server(actor=cast.lead, server=moved)
    take_in_probe(server=moved, shown=Shown(ok=True, protocol="2026-07-28"))
    assert activate_server(actor=cast.lead, server=moved).status == "active"


def test_a_retired_server_does_not_come_back_by_moving(cast):
    server = register(cast.lead, cast.team)
    retire_server(actor=cast.lead, server=server, reason="It is over.")
    with pytest.raises(Conflict):
        change_server(actor=cast.lead, server=server, url="http://127.0.0.1:9000/elsewhere", addresses=OPEN)


@pytest.mark.parametrize("header", ["x-schlüssel", "expect", "-", "x_key", "traceparent"])
def test_a_header_that_no_request_could_carry_is_refused(cast, private, header):
    server = register(cast.lead, cast.team)
    with pytest.raises(Invalid):
        seal(cast.lead, server, private, kind="header", header=header)


@pytest.mark.parametrize(
    "over", [{"url": URL + "x" * 500}, {"url": "", "command": ["x" * 501]}, {"url": "", "command": ["a\0b"]}]
)
def test_a_target_that_cannot_be_kept_is_refused_and_not_an_accident(cast, over):
    with pytest.raises(Invalid):
        register(cast.admin, cast.team, **over)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201, "a\0b"])
def test_a_reason_is_said_and_fits(cast, reason):
    server = register(cast.lead, cast.team)
    with pytest.raises(Invalid):
        quarantine_server(actor=cast.lead, server=server, reason=reason)


@pytest.mark.parametrize("slug", ["context", "context-ledger", "context-of-nobody"])
def test_nobody_s_server_poses_as_an_internal_one(cast, slug):
    with pytest.raises(Invalid):
        register(cast.lead, cast.team, slug=slug)


def test_an_internal_server_is_neither_moved_nor_given_a_credential(cast, private):
    server = queries.server_by_slug(cast.lead, "context-ledger")
    for url in ("http://127.0.0.1:9000/mcp", "hanse:context/rival"):
        with pytest.raises(Invalid):
            change_server(actor=cast.lead, server=server, url=url, addresses=OPEN)
    with pytest.raises(Invalid):
        seal(cast.lead, server, private)


def test_a_tenant_has_its_servers_from_its_first_moment_with_history_and_record(cast):
    made = create_tenant(actor=cast.admin, tier=Tier.TEAM, slug="x" * 48, name="New")
    server = queries.servers(cast.admin).get(owner=made)
    assert (server.status, server.url) == ("active", f"hanse:context/{'x' * 48}")
    assert len(server.slug) == 48
    assert server.history.count() == 1
    tools = {tool.name: tool for tool in queries.tools(cast.admin).filter(server=server)}
    assert {name: tool.effect for name, tool in tools.items()} == {
        "context.read": 0,
        "context.search": 0,
        "context.remember": 1,
    }
    assert all(tool.pin and tool.history.count() == 1 for tool in tools.values())
    assert set(server.group.tools.all()) == set(tools.values())
    domain = queries.server_by_slug(cast.admin, "context-payments")
    assert "context.remember" not in {tool.name for tool in queries.tools(cast.admin).filter(server=domain)}
    assert Event.objects.filter(scope=made.pk, verb="registry.server.provided").count() == 1
