"""Attacks on a running house: stolen and mixed-up tokens, rights that end, bodies and servers that mean harm.

One real installation, every process as `up --split` starts it. One test, so that it starts once.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from celery import Celery
from django.contrib.auth.hashers import Argon2PasswordHasher
from joserfc import jwt
from joserfc.jwk import OKPKey

from portal import keys
from portal.celery import celery_settings
from tests.gateway.estate import SCHEMA, add_delegation, insert
from tests.gateway.servers import Upstream
from tests.gateway.wire_client import Client, modern, modern_headers
from tests.kill.installation import Installation, wait_for
from tests.processes_e2e.browser import Browser
from tests.security.house import FLOOD, Target, World
from tests.security.raw import connect, drain, exchange, pour, statuses

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

PASSWORD = "a person's own password"
PROCESSES = ("gateway", "stdio", "portal", "sequencer", "worker")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    target = Target()
    with Upstream(answer=target) as upstream, Installation(upstream.url) as installation:
        estate, hasher = installation.estate, Argon2PasswordHasher()
        with psycopg.connect(installation.superuser, autocommit=True) as admin:
            admin.execute("UPDATE tenants_person SET password = %s", (hasher.encode(PASSWORD, hasher.salt()),))
            delegation = add_delegation(admin, estate)
            for name in PROCESSES:
                installation.start(name)
            world = World(installation, target, admin, Client("", "", None), delegation)
            world.pids = {name: installation.running[name].pid for name in PROCESSES}
            world.client = world.with_token(world.token())
            wait_for(installation.ready, "the gateway does not become ready")
            wait_for(installation.answers, "the portal does not become ready")
            yield world


# Tokens


def a_token_works_where_it_is_for_and_nowhere_else(world: World) -> None:
    estate, url = world.installation.estate, world.installation.config.url
    probe = probe_token(world)
    place = f"/-/upstream/{estate.uids['server:books']}"
    looked = world.with_token(probe).ask_legacy("ping")
    assert looked.status == 401
    for method in ("tools/list", "tools/call"):
        assert world.with_token(probe).ask(method, {"name": "books__echo"}).status == 401
    for token in (world.client.token, world.token(aud=f"{url}{place}"), world.token(header={"typ": "probe+jwt"})):
        assert Client(world.gateway, place, token).ask("tools/list").status == 401
    refused = Client(world.gateway, place, probe).ask("tools/call", {"name": "echo", "arguments": {}})
    assert (refused.status, refused.error["data"]["code"]) == (403, "probe_method")
    for token in (world.client.token, probe):
        got = Client(url, "/api/v1/me", token).send(b"", [("Authorization", f"Bearer {token}")], method="GET")
        assert got.status == 401
        page = Client(url, "/audit/", token).send(b"", [("Authorization", f"Bearer {token}")], method="GET")
        assert page.status == 302
    assert world.target.seen == []


def probe_token(world: World) -> str:
    """Returns a token as the worker makes it, signed with the installation's own key."""
    config = world.installation.config
    key = OKPKey.import_key(keys.token_key_path(config).read_text())
    now = int(time.time())
    aud = f"{config.url}/-/upstream/{world.installation.estate.uids['server:books']}"
    claims = {"iss": config.url, "aud": aud, "iat": now, "nbf": now, "exp": now + 60}
    header = {"alg": "Ed25519", "typ": "probe+jwt", "kid": key.thumbprint()}
    return jwt.encode(header, claims, key, algorithms=["Ed25519"])


def a_session_is_no_token(world: World) -> None:
    browser = signed_in(world)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.jar)
    assert "hanse=" in cookies
    message = modern("tools/list")
    headers = [("Cookie", cookies), ("Content-Type", "application/json"), *modern_headers(message).items()]
    assert Client(world.gateway, "/mcp/ledger", None).send(json.dumps(message).encode(), headers).status == 401


def signed_in(world: World) -> Browser:
    browser = Browser(world.installation.config.url)
    where, text = browser.sign_in("ada@example.org", PASSWORD)
    assert "/accounts/login" not in where, text
    return browser


BAD_CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "an array of actors": ({"act": [{"sub": "x"}]}, "token_claims"),
    "an actor in an actor only": ({"act": {"act": {"sub": "x"}}}, "token_claims"),
    "an actor that is a list": ({"act": {"sub": ["x"]}}, "token_claims"),
    "an endless end": ({"exp": 1e400}, "token_malformed"),
    "a true end": ({"exp": True}, "token_claims"),
    "the portal's audience": ({"aud": "https://elsewhere.example/mcp/ledger"}, "token_audience"),
    "another team's": ({"aud": "…/mcp/rival"}, "token_audience"),
    "another letter case": ({"aud": "…/mcp/Ledger"}, "token_audience"),
    "a foreign issuer": ({"iss": "https://idp.example"}, "token_issuer"),
    "the gateway as issuer": ({"iss": "…"}, "token_issuer"),
}


def a_token_that_says_something_else_is_refused(world: World) -> None:
    for name, (changes, code) in BAD_CLAIMS.items():
        real = {
            key: value.replace("…", world.gateway) if isinstance(value, str) else value
            for key, value in changes.items()
        }
        got = world.with_token(world.token(**real)).call("books__echo")
        assert (got.status, got.error["data"]["code"]) == (401, code), name
    assert world.target.seen == []


def a_signed_token_with_swapped_identities_allows_nothing(world: World) -> None:
    """What the portal would never sign: the delegation of one person in a token of another."""
    estate, admin = world.installation.estate, world.admin
    person, person_uid = insert(
        admin, "tenants_person", email="eve@example.org", handle="eve", name="Eve", clearance=3, is_active=True,
        is_superuser=False, password="!", created_at="now", version=1,
    )  # fmt: skip
    admin.execute(
        "INSERT INTO tenants_membership (person_id, tenant_id, role, since) VALUES (%s, %s, 'team_lead', now())",
        (person, estate.ids["team"]),
    )
    _, agent_uid = insert(
        admin, "tenants_agent", slug="other", name="Other", purpose="", home_id=estate.ids["team"], sponsor_id=person,
        profile="operator", risk=0, status="active", status_reason="", created_at="now", version=1,
    )  # fmt: skip
    for changes in ({"sub": person_uid}, {"act": {"sub": agent_uid}}, {"sub": person_uid, "act": {"sub": agent_uid}}):
        client = world.with_token(world.token(**changes))
        wait_for(lambda client=client: client.call("books__echo").status == 400, "the newcomer is not known")
        assert world.reasons() == ["delegation.of_others"]
        assert client.ask("tools/list").result["tools"] == []
    assert world.target.seen == []


# Rights that end

CHANGES: dict[str, tuple[str, str, str]] = {
    "a person is deactivated": (
        "UPDATE tenants_person SET is_active = false WHERE handle = 'ada'",
        "UPDATE tenants_person SET is_active = true WHERE handle = 'ada'",
        "person.inactive",
    ),
    "a membership is removed": (
        "DELETE FROM tenants_membership m USING tenants_person p WHERE p.id = m.person_id AND handle = 'ada'",
        """
        INSERT INTO tenants_membership (person_id, tenant_id, role, since)
        SELECT p.id, t.id, 'team_lead', now() FROM tenants_person p, tenants_tenant t
         WHERE handle = 'ada' AND slug = 'ledger'
        """,
        "person.not_a_member",
    ),
    "a person's clearance is lowered": (
        "UPDATE tenants_person SET clearance = 0 WHERE handle = 'ada'",
        "UPDATE tenants_person SET clearance = 2 WHERE handle = 'ada'",
        "person.clearance_too_low",
    ),
    "an agent is suspended": (
        "UPDATE tenants_agent SET status = 'suspended' WHERE slug = 'builder'",
        "UPDATE tenants_agent SET status = 'active' WHERE slug = 'builder'",
        "agent.suspended",
    ),
    "an agent's profile is lowered": (
        "UPDATE tenants_agent SET profile = 'reader' WHERE slug = 'builder'",
        "UPDATE tenants_agent SET profile = 'builder' WHERE slug = 'builder'",
        "agent.profile_effect",
    ),
    "a delegation is narrowed to other tools": (
        "UPDATE tenants_delegation SET tool_groups = '{theirs}'",
        "UPDATE tenants_delegation SET tool_groups = '{books}'",
        "delegation.tool_not_granted",
    ),
    "a delegation is narrowed to reading": (
        "UPDATE tenants_delegation SET effect_ceiling = 0",
        "UPDATE tenants_delegation SET effect_ceiling = 1",
        "delegation.effect_ceiling",
    ),
    "a delegation ends": (
        "UPDATE tenants_delegation SET not_after = now()",
        "UPDATE tenants_delegation SET not_after = now() + interval '1 hour'",
        "delegation.expired",
    ),
    "a tool is found changed": (
        "UPDATE registry_tool SET state = 'changed' WHERE name = 'write'",
        "UPDATE registry_tool SET state = 'approved' WHERE name = 'write'",
        "tool.unknown",
    ),
    "a server is quarantined": (
        "UPDATE registry_server SET status = 'quarantined' WHERE slug = 'books'",
        "UPDATE registry_server SET status = 'active' WHERE slug = 'books'",
        "tool.unknown",
    ),
}


def what_is_taken_away_is_gone_at_the_next_call(world: World) -> None:
    for name, (change, undo, reason) in CHANGES.items():
        wait_for(lambda: world.client.call("books__write").status == 200, f"before {name}: not allowed")
        world.admin.execute(change)
        try:
            check_refused(world, name, reason)
        finally:
            world.admin.execute(undo)
    wait_for(lambda: world.client.call("books__write").status == 200, "it does not come back")


def check_refused(world: World, name: str, reason: str) -> None:
    wait_for(lambda: world.client.call("books__write").status == 400, f"{name}: still allowed", 10)
    before = len(world.target.seen)
    for _ in range(5):
        got = world.client.call("books__write")
        assert (got.status, got.error["message"]) == (400, "Unknown tool: books__write"), name
    assert reason in world.reasons(), name
    assert len(world.target.seen) == before, name


def a_delegation_that_its_person_revokes_ends(world: World) -> None:
    """By the portal's own service, as the person in a browser does it."""
    number, uid = add_delegation(world.admin, world.installation.estate)
    client = world.with_token(world.token(dlg=uid))
    assert client.call("books__write").status == 200
    browser = signed_in(world)
    path = f"/identity/delegations/{uid}/"
    where, page = browser.open(path)
    browser.submit(path, "revoke/", page, reason="left behind")
    revoked = world.admin.execute("SELECT revoked_at FROM tenants_delegation WHERE id = %s", (number,)).fetchone()[0]
    assert revoked is not None, where
    wait_for(lambda: client.call("books__write").status == 400, "a revoked delegation still works", 10)
    assert world.reasons() == ["delegation.revoked"]


# Bad input


def endless_bodies_are_refused_before_they_fill_the_memory(world: World) -> None:
    before = world.memory("gateway")
    head = http_head(world, "Transfer-Encoding: chunked")
    chunk = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"

    def attack(_: int) -> tuple[bytes, int]:
        return pour(world.gateway, head, (chunk for _ in range(100)))

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(attack, range(12)))
    for answer, _sent in answers:
        # A reset can overtake the answer; what may not happen is that the body is taken for good.
        assert statuses(answer) in ([413], []), answer[:200]
    assert any(statuses(answer) == [413] for answer, _ in answers)
    assert world.memory("gateway") - before < 80


def http_head(world: World, *lines: str, method: str = "tools/list") -> bytes:
    headers = [
        "POST /mcp/ledger HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {world.client.token}",
        "Content-Type: application/json", "MCP-Protocol-Version: 2026-07-28", f"Mcp-Method: {method}", *lines,
    ]  # fmt: skip
    return "\r\n".join([*headers, "", ""]).encode("latin-1")


def a_body_that_never_comes_holds_up_nobody(world: World) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            raw = stack.enter_context(connect(world.gateway))
            raw.sendall(http_head(world, "Content-Length: 500") + b'{"jsonrpc"')
        for _ in range(20):
            assert world.client.call("books__echo").status == 200
        assert world.installation.ready()


def two_readers_never_see_two_requests(world: World) -> None:
    """Requests that a proxy and the gateway could read differently are refused, with all that follows them."""
    message = json.dumps(modern("tools/list")).encode()
    inner_message = json.dumps(
        modern("tools/call", {"name": "books__write", "arguments": {"text": "smuggled"}})
    ).encode()
    inner = http_head(world, f"Content-Length: {len(inner_message)}", "Mcp-Name: books__write", method="tools/call")
    inner += inner_message
    length, longer = f"Content-Length: {len(message)}", f"Content-Length: {len(message) + len(inner)}"
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(message), message)
    attacks = {
        "both lengths": (http_head(world, length, longer), message + inner),
        "both lengths, turned round": (http_head(world, longer, length), message + inner),
        "length list": (http_head(world, f"{length}, {len(message) + len(inner)}"), message + inner),
        "length and chunks": (http_head(world, longer, "Transfer-Encoding: chunked"), chunked + inner),
        "chunks and length": (http_head(world, "Transfer-Encoding: chunked", length), chunked + inner),
        "other coding": (http_head(world, "Transfer-Encoding: xchunked", length), message + inner),
        "coding behind chunked": (http_head(world, "Transfer-Encoding: chunked, identity", length), chunked + inner),
        "space before the colon": (http_head(world, "Content-Length : 5", length), message + inner),
        "folded": (http_head(world, "X-A: b\r\n Content-Length: 5", length), message + inner),
        "signed length": (http_head(world, f"Content-Length: +{len(message)}"), message + inner),
        "negative length": (http_head(world, "Content-Length: -1"), message + inner),
        "hexadecimal length": (http_head(world, f"Content-Length: 0x{len(message):x}"), message + inner),
        "bare line feed": (http_head(world, f"X-A: b\n{longer}", length), message + inner),
        "NUL in a header": (http_head(world, "X-A: b\0c", length), message + inner),
        "huge chunk": (http_head(world, "Transfer-Encoding: chunked"), b"ffffffffffffffffff\r\n" + message + inner),
        "chunk without end": (http_head(world, "Transfer-Encoding: chunked"), b"5;a\nhello\r\n" + inner),
    }
    for name, (head, body) in attacks.items():
        answer = exchange(world.gateway, head + body)
        assert statuses(answer) == [400], (name, answer[:300])
    assert not any(b"smuggled" in seen.body for seen in world.target.seen)
    # One after the other, as they should be sent, both are answered: nothing else is wrong with them.
    assert statuses(exchange(world.gateway, http_head(world, length) + message + inner)) == [200, 200]
    assert any(b"smuggled" in seen.body for seen in world.target.seen)


def nonsense_is_answered_and_survived(world: World) -> None:
    for data in (
        b"\0" * 1_000,
        b"GET",
        b"\x16\x03\x01\x02\x00\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n" * 500,
        b"A" * 200_000,
    ):
        with connect(world.gateway) as raw:
            with contextlib.suppress(OSError):
                raw.sendall(data)
                raw.shutdown(1)
            assert 200 not in statuses(drain(raw, quiet=0.5))
    assert world.client.call("books__echo").status == 200


# Hostile servers


def a_server_that_sends_a_gigabyte_is_cut_off(world: World) -> None:
    before = world.memory("gateway")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: world.client.call("books__write", {"text": "flood"}), range(8)))
    assert {got.error["data"]["code"] for got in answers} == {"upstream_too_large"}
    wait_for(lambda: len(world.target.flooded) == 8, "not every flood began")
    assert max(world.target.flooded) < FLOOD / 4, "the flood was read to its end"
    assert world.memory("gateway") - before < 250
    query = "SELECT result FROM audit_event WHERE call = ANY(%s::uuid[]) AND kind = 'outcome'"
    calls = [got.headers["hanse-call"] for got in answers]
    assert [row[0] for row in world.admin.execute(query, (calls,))] == ["too_large"] * 8


def tool(name: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": "", "inputSchema": SCHEMA, **more}


def nested(depth: int) -> str:
    return '{"type":"object","properties":{"a":' * depth + '{"type":"object"}' + "}}" * depth


HOSTILE_LISTS: dict[str, Callable[[], str]] = {
    "names": lambda: json.dumps([tool(name) for name in ("", " ", "a b", "\u202e", "x" * 10_000, "../..", "<b>", "a\0b")]),
    "a description of 5 MB": lambda: json.dumps([tool("wide", description="x" * 5_000_000)]),
    "hidden text": lambda: json.dumps([tool("hidden", description="a\u200b\u202e\U000e0041 <IMPORTANT>")]),
    "a remote reference": lambda: json.dumps([tool("remote", inputSchema={"type": "object", "$ref": "http://127.0.0.1/x"})]),
    "a schema 80 deep": lambda: f'[{{"name":"deep","inputSchema":{nested(40)}}}]',
    "the same name twice": lambda: json.dumps([tool("twice"), tool("twice", description="other")]),
    # The last, because taking a thousand tools away again takes its time.
    "5,000 tools": lambda: json.dumps([tool(f"t{number}") for number in range(5_000)]),
}  # fmt: skip
BROKEN_LISTS: dict[str, Callable[[], str]] = {
    "a schema 10,000 deep": lambda: f'[{{"name":"abyss","inputSchema":{nested(10_000)}}}]',
    "a name that is a number": lambda: '[{"name":7,"inputSchema":{"type":"object"}}]',
    # Not JSON by RFC 8259, so the official SDK takes none of the message.
    "a lone surrogate": lambda: '[{"name":"lone","description":"\\ud800","inputSchema":{"type":"object"}}]',
    "no schema": lambda: '[{"name":"none"}]',
    "no list": lambda: '"tools"',
    "a description of 10 MB": lambda: json.dumps([tool("wider", description="x" * 10_000_000)]),
}


def hostile_definitions_take_no_other_tool_with_them(world: World) -> None:
    """Through the real way of a probe: worker, official SDK, gateway."""
    tasks = Celery("tests", set_as_current=False)
    tasks.config_from_object(celery_settings(world.installation.config))
    for number, (name, make) in enumerate(HOSTILE_LISTS.items()):
        good = tool(f"good_{number}")
        ok, error = look(world, tasks, f"[{json.dumps(good)},{make()[1:]}")
        assert ok, (name, error)
        assert known(world, f"good_{number}"), name
    for name, make in BROKEN_LISTS.items():
        ok, error = look(world, tasks, make())
        assert not ok, name
        assert 0 < len(error) <= 400, name
        assert known(world, f"good_{len(HOSTILE_LISTS) - 1}"), name
    tasks.close()
    assert world.admin.execute("SELECT count(*) FROM registry_tool").fetchone()[0] < 1_200


def look(world: World, tasks: Celery, tools: str) -> tuple[bool, str]:
    """Returns whether the probe succeeded, and its error."""
    shown = f'{{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":{tools}}}'
    world.target.shown = shown.encode("utf-8", "surrogatepass")
    server = world.installation.estate.ids["server:books"]
    query = "SELECT id, ok, error FROM registry_probe WHERE server_id = %s ORDER BY id DESC LIMIT 1"
    before = world.admin.execute(query, (server,)).fetchone()
    tasks.send_task("registry.probe_server", [server])
    wait_for(lambda: world.admin.execute(query, (server,)).fetchone() != before, "the probe does not end")
    _, ok, error = world.admin.execute(query, (server,)).fetchone()
    return ok, error


def known(world: World, name: str) -> bool:
    query = "SELECT 1 FROM registry_tool WHERE name = %s AND state = 'new'"
    return world.admin.execute(query, (name,)).fetchone() is not None


def addresses_inside_are_refused_at_registration(world: World) -> None:
    browser = signed_in(world)
    inside = (
        "http://10.0.0.1/mcp", "http://169.254.169.254/latest/", "http://[::ffff:10.0.0.1]/", "http://[fd00:ec2::254]/",
        "http://192.168.1.1:8080/", "http://0.0.0.0/", "http://2852039166/", "http://0xa9fea9fe/", "http://100.100.100.200/",
        "https://user:pw@example.org/", "file:///etc/passwd", "gopher://127.0.0.1/", "http://[fe80::1%25eth0]/",
    )  # fmt: skip
    for number, url in enumerate(inside):
        body = {"slug": f"inside-{number}", "name": "x", "owner": "ledger", "url": url}
        status, text = browser.post_json("/api/v1/servers", body)
        assert status in {400, 403, 422}, (url, status, text)
        assert "code" in json.loads(text), url
        assert '"/url"' in text, (url, text)
    assert world.admin.execute("SELECT count(*) FROM registry_server WHERE slug LIKE 'inside-%'").fetchone() == (0,)
    body = {"slug": "outside", "name": "x", "owner": "ledger", "url": "http://93.184.215.14/mcp"}
    assert browser.post_json("/api/v1/servers", body)[0] == 201, "nothing can be registered, so refusals show nothing"


def every_process_is_still_the_same_and_works(world: World) -> None:
    for name, pid in world.pids.items():
        process = world.installation.running[name]
        assert (process.pid, process.poll()) == (pid, None), world.installation.log(name).read_text()[-2_000:]
    wait_for(lambda: world.client.call("books__echo").status in {200, 400}, "the gateway does not answer")
    assert world.client.ask("tools/list").status == 200


STEPS = (
    a_token_works_where_it_is_for_and_nowhere_else,
    a_session_is_no_token,
    a_token_that_says_something_else_is_refused,
    a_signed_token_with_swapped_identities_allows_nothing,
    what_is_taken_away_is_gone_at_the_next_call,
    a_delegation_that_its_person_revokes_ends,
    addresses_inside_are_refused_at_registration,
    endless_bodies_are_refused_before_they_fill_the_memory,
    a_body_that_never_comes_holds_up_nobody,
    two_readers_never_see_two_requests,
    nonsense_is_answered_and_survived,
    a_server_that_sends_a_gigabyte_is_cut_off,
    hostile_definitions_take_no_other_tool_with_them,
    every_process_is_still_the_same_and_works,
)


def test_the_house_withstands(world, subtests):
    for step in STEPS:
        began = time.monotonic()
        with subtests.test(step.__name__):
            step(world)
        sys.stdout.write(f"{step.__name__}: {time.monotonic() - began:.1f} s\n")
