"""No secret leaves by any door: not in a reply, a log, a page, a record; and no caller's token goes anywhere else.

One real installation, every process as `up --split` starts it. One test, so that it starts once.
"""

import base64
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.contrib.auth.hashers import Argon2PasswordHasher

from portal import keys, urls_pages, urls_rest
from registry.sealing import seal
from tests.apps.classification.repositories import make_repository
from tests.gateway.estate import SECRET, add_delegation, add_server, add_tool, insert
from tests.gateway.servers import Upstream
from tests.gateway.wire_client import Client, Got
from tests.git.private import TOKEN, Door, basic, guarded, sealed_for
from tests.kill.installation import Installation, wait_for
from tests.processes_e2e.browser import Browser
from tests.security.leaks import finds
from tests.security.reflector import Case, Reflector, make_cases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLW9mLXRoZS1jYW5hcnk"
# slug -> (kind, header, header's value, what a careless server knows of it)
CREDENTIALS = {
    "books": ("header", "X-Ledger-Key", SECRET, SECRET),
    "odd": ("header", "X-Key", "q\"u\\o/t+e&d<>'%=~ canary", "q\"u\\o/t+e&d<>'%=~ canary"),
    "bearer": ("bearer", "Authorization", f"Bearer {JWT}", JWT),
    "basic": (
        "basic",
        "Authorization",
        "Basic " + base64.b64encode(b"svc:canary pass/word+1").decode(),
        "canary pass/word+1",
    ),
}
PASSWORD = "canary-of-a-person-7f3a9"
HANDBOOK = {"README.md": f"# Handbook\n\nIt is fetched as {TOKEN} by somebody.\n"}
STDIO = Path(__file__).parent.parent / "gateway_transport" / "stdio_server.py"


@dataclass
class World:
    """The running installation and what was seen of it."""

    installation: Installation
    reflector: Reflector
    client: Client
    tokens: list[str]
    door: Door
    answers: dict[int, Got] = field(default_factory=dict)

    def canaries(self) -> dict[str, str]:
        """Returns every secret of the installation that must never be read anywhere, by what it is."""
        config = self.installation.config
        found = {f"credential of {slug}": known for slug, (_, _, _, known) in CREDENTIALS.items()}
        found["credential of a repository"] = TOKEN
        for path in sorted((config.data / "secrets").rglob("*")):
            if path.is_file():
                text = path.read_text().strip()
                body = re.sub(r"-----[^-]+-----|\s", "", text)
                # A signing key's file begins with a name that is public.
                found[f"file {path.name}"] = body.rpartition("+")[2] if "PRIVATE+KEY" in body else body
        return found | {"a person's password": PASSWORD}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    cases = make_cases(list(CREDENTIALS))
    reflector = Reflector(cases, {slug: known for slug, (_, _, _, known) in CREDENTIALS.items()})
    with (
        tempfile.TemporaryDirectory() as place,
        guarded(make_repository(Path(place) / "handbook", HANDBOOK), basic("x-access-token", TOKEN)) as door,
        Upstream(answer=reflector) as upstream,
        Installation(upstream.url) as installation,
    ):
        delegation = furnish(installation, upstream.url)
        bring_repository(installation, door)
        for name in ("gateway", "stdio", "portal", "sequencer", "worker"):
            installation.start(name)
        token = installation.tokens.mint(dlg=delegation)
        world = World(installation, reflector, Client(installation.gateway_url, "/mcp/ledger", token), [token], door)
        wait_for(installation.ready, "the gateway does not become ready")
        yield world


def furnish(installation: Installation, upstream: str) -> str:
    """Gives the estate a server for each kind of credential, a local one, and an administrator who can sign in."""
    estate, hasher = installation.estate, Argon2PasswordHasher()
    opening = load_pem_private_key(keys.sealing_key_path(installation.config).read_bytes(), password=None)
    with psycopg.connect(installation.superuser) as connection:
        for slug, (kind, header, value, _) in CREDENTIALS.items():
            if slug == "books":
                continue
            add_server(connection, estate, slug, "team", f"{upstream}/{slug}")
            add_tool(connection, estate, slug, "echo", 0)
            sealed = seal(
                value.encode(),
                opening.public_key(),
                server_uid=estate.uids[f"server:{slug}"],
                origin=upstream,
                header=header,
            )
            insert(
                connection, "registry_credential", server_id=estate.ids[f"server:{slug}"], owner_id=estate.ids["team"],
                kind=kind, header=header, sealed=sealed, origin=upstream, key_id="test", created_at=datetime.now(UTC),
            )  # fmt: skip
        insert(
            connection, "blueprints_repository", owner_id=estate.ids["team"], slug="shop", name="Shop", branch="",
            url="https://shop.example/r", pattern="interactive-assistant", measured="", commit="", signature="",
            key_id="", findings="{}", fault="", stage="", attempts=0, lowered_reason="", created_at=datetime.now(UTC),
            version=1,
        )  # fmt: skip
        local = add_server(connection, estate, "local", "team", "", transport="stdio")
        command = [sys.executable, "-S", str(STDIO)]
        connection.execute("UPDATE registry_server SET command = %s WHERE id = %s", (command, local))
        for name in ("environment", "die", "echo"):
            add_tool(connection, estate, "local", name, 0)
        connection.execute("UPDATE tenants_person SET password = %s", (hasher.encode(PASSWORD, hasher.salt()),))
        connection.execute(
            "INSERT INTO tenants_membership (person_id, tenant_id, role, since) VALUES (%s, %s, 'platform_admin', now())",
            (estate.ids["person"], estate.ids["platform"]),
        )
        return add_delegation(connection, estate, tool_groups=[*CREDENTIALS, "local"])[1]


def bring_repository(installation: Installation, door: Door) -> None:
    """Gives the team a source whose repository asks for credentials, has one, and waits to be read."""
    estate, key = installation.estate, keys.repository_key_path(installation.config).read_bytes()
    owner, now = estate.ids["team"], datetime.now(UTC)
    with psycopg.connect(installation.superuser) as connection:
        source, uid = insert(
            connection, "registry_source", owner_id=owner, slug="handbook", name="Handbook", kind="git",
            location=door.url, branch="", sensitivity=1, commit="", created_at=now, version=1,
        )  # fmt: skip
        sealed = sealed_for(door.url, load_pem_private_key(key, password=None), subject=f"source:{uid}")
        insert(
            connection, "registry_sourcecredential", source_id=source, owner_id=owner, kind=sealed.kind,
            sealed=sealed.sealed, address=door.url, key_id="test", created_at=now,
        )  # fmt: skip
        insert(
            connection, "registry_import", source_id=source, owner_id=owner, state="queued", commit="", unchanged=0,
            is_staged=False, attempts=0, fault="", fence=0, began_at=now, version=1,
        )  # fmt: skip


def the_worker_opens_what_a_repository_asks_for(world: World) -> None:
    """Behind its fence; and the file in which the token itself stands is kept without it."""
    state = "SELECT state, fault FROM registry_import"
    with psycopg.connect(world.installation.superuser, autocommit=True) as connection:
        wait_for(lambda: connection.execute(state).fetchone()[0] in {"done", "failed"}, "nothing was read", seconds=90)
        assert connection.execute(state).fetchone() == ("done", "")
        kept = "\n".join(text for (text,) in connection.execute("SELECT text FROM registry_chunk"))
    assert world.door.seen == [basic("x-access-token", TOKEN)] * 2
    assert "[secret removed]" in kept
    assert not finds(kept.encode(), TOKEN)


def every_reflected_secret_is_cut_out(world: World) -> None:
    cases = world.reflector.cases
    assert len(cases) >= 1_000

    def ask(case: Case) -> None:
        world.answers[case.number] = world.client.call(f"{case.server}__echo", {"case": case.number})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, cases))
    leaked, unread = [], []
    for case in cases:
        secret = world.reflector.leaked[case.server]
        got = world.answers[case.number]
        assert got.status == 200, (case, got.body)
        heads = "\n".join(f"{name}: {value}" for name, value in got.headers.items()).encode()
        if finds(heads + b"\n" + got.body, secret):
            leaked.append(str(case))
        if not finds(world.reflector.raw[case.number], secret):
            unread.append(str(case))
        json.loads(got.body)
    assert leaked == [], "\n".join(leaked)
    # The oracle must be able to find what was sent; a header line cannot hold every character, so a few are lost.
    assert len(unread) < len(cases) / 20, unread[:20]
    cut = sum(b"removed]" in got.body for got in world.answers.values())
    assert cut > len(cases) / 3


def the_callers_token_goes_to_no_server(world: World) -> None:
    token = world.tokens[0]
    parts = [token, *token.split("."), base64.b64encode(token.encode()).decode()[4:-4]]
    raw = b"\n".join(
        b"\n".join([name + b": " + value for name, value in seen.headers]) + b"\n" + seen.body
        for seen in world.reflector.seen
    )
    assert len(world.reflector.seen) >= 1_000
    assert SECRET.encode() in raw, "nothing was captured"
    assert [part for part in parts if part.encode() in raw] == []


def a_local_server_inherits_no_secret(world: World) -> None:
    got = world.client.call("local__environment")
    shown = json.loads(got.result["content"][0]["text"])
    assert set(shown["env"]) <= {"PATH", "HOME", "TMPDIR", "LANG", "PWD", "LC_CTYPE"}
    runner = psutil.Process(world.installation.running["stdio"].pid)
    children = runner.children(recursive=True)
    assert any(str(STDIO) in child.cmdline() for child in children)
    text = "\n".join(str((child.cmdline(), child.environ())) for child in children)
    assert [name for name, secret in {**world.canaries(), "token": world.tokens[0]}.items() if secret in text] == []


def no_process_holds_another_groups_secret_in_its_environment(world: World) -> None:
    """A process's environment is what a crash report shows first."""
    config = world.installation.config
    keyed = {path.name: path.read_text().strip() for path in (config.data / "secrets").rglob("*.password")}
    allowed = {
        "gateway": {"gateway.password"},
        "portal": {"app.password", "broker.password"},
        "worker": {"app.password", "broker.password"},
        "sequencer": {"audit.password"},
        "stdio": {"gateway.password"},
    }
    assert len(keyed) == 6
    for name, own in allowed.items():
        environ = str(psutil.Process(world.installation.running[name].pid).environ())
        assert {file for file, secret in keyed.items() if secret in environ} <= own, name
        assert "PRIVATE" not in environ, name


def provoke_trouble(world: World) -> None:
    """Makes every process say something: crashes of the database, of a local server, nonsense, wrong passwords."""
    installation = world.installation
    world.client.call("local__die")
    for body in (b"{", b"\0" * 100, b"[" * 100_000):
        world.client.send(body, world.client.headers())
    for token in (world.tokens[0][:-5] + "AAAAA", "Bearer", JWT):
        Client(installation.gateway_url, "/mcp/ledger", token).call("books__echo")
    browser = Browser(installation.config.url)
    for password in (PASSWORD + "x", PASSWORD[:-1]):
        browser.sign_in("ada@example.org", password)
    with psycopg.connect(installation.superuser, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    # A sealed credential that does not open, and one bound to another address.
    with psycopg.connect(installation.superuser, autocommit=True) as connection:
        kept = connection.execute("SELECT sealed FROM registry_credential WHERE header = 'X-Key'").fetchone()[0]
        connection.execute("UPDATE registry_credential SET sealed = %s WHERE header = 'X-Key'", (b"x" * 80,))
        wait_for(lambda: world.client.call("odd__echo").status == 503, "a broken credential is used")
        connection.execute("UPDATE registry_credential SET sealed = %s WHERE header = 'X-Key'", (kept,))
    wait_for(lambda: world.client.call("odd__echo").status == 200, "the credential does not come back")


def no_page_and_no_answer_of_the_portal_shows_a_secret(world: World) -> None:
    base = world.installation.config.url
    wait_for(world.installation.answers, "the portal does not answer")
    browser = Browser(base)
    where, text = browser.sign_in("ada@example.org", PASSWORD)
    assert "/accounts/login" not in where, text
    pages = {}
    rest = [*addresses(world, urls_rest), *(f"context/sources/ledger/handbook{end}" for end in ("", "/credential"))]
    own = ["context/ledger/sources/handbook/", "context/?q=handbook"]
    for path in [*addresses(world, urls_pages), *own, *(f"api/v1/{path}" for path in rest)]:
        pages[path] = browser.read("/" + path)
    statuses = Counter(status for status, _ in pages.values())
    assert statuses[200] > 40, statuses
    assert world.door.url in pages["api/v1/context/sources/ledger/handbook/credential"][1]
    assert [path for path, (status, _) in pages.items() if status >= 500] == []
    hidden = {name: secret for name, secret in world.canaries().items() if len(secret) >= 12}
    assert [
        (name, path) for name, secret in hidden.items() for path, (_, text) in pages.items() if secret in text
    ] == []


def addresses(world: World, module: Any) -> list[str]:
    """Returns an address for every route that can be read, filled with things that are there."""
    uids = world.installation.estate.uids
    with psycopg.connect(world.installation.superuser) as connection:
        (record,) = connection.execute("SELECT uid FROM audit_event WHERE kind = 'intent' LIMIT 1").fetchone()
    things = {
        "server": {"slug": "books"}, "tenant": {"slug": "ledger"}, "agent": {"slug": "builder"},
        "delegation": {"uid": uids["delegation"]}, "tool": {"uid": uids["tool:books/echo"]},
        "audit": {"uid": str(record), "name": "ledger"}, "people": {"handle": "ada"}, "group": {"slug": "books"},
        "repository": {"team": "ledger", "slug": "shop"},
    }  # fmt: skip
    kinds = {"servers": "server", "teams": "tenant", "tenants": "tenant", "agents": "agent", "delegations": "delegation",
             "tools": "tool", "audit": "audit", "people": "people", "groups": "group",
             "repositories": "repository"}  # fmt: skip
    common = {"uid": str(record), "tab": "tools", "what": "proof", "act": "on", "domain": "payments", "role": "member"}
    common |= {"slug": "ledger", "team": "ledger", "name": "ours", "namespace": "platform", "semver": "1.0.0"}
    common |= {"key": "people", "tenant": "platform", "check": "tests", "owner": "platform", "id": "tests"}
    found = []
    for pattern in module.urlpatterns:
        route = str(pattern.pattern).removeprefix("^").removesuffix("$")
        if ".*" in route or pattern.name == "delegation_mint":
            continue
        kind = next((kinds[word] for word in route.split("/") if word in kinds), "")
        values = {**common, **things.get(kind, {})}
        if "members/" in route:
            values |= {"slug": "ledger", "handle": "ada"}
        names = re.findall(r"\(\?P<(\w+)>[^)]*\)|<\w+:(\w+)>", route)
        for name in (first or second for first, second in names):
            route = re.sub(rf"\(\?P<{name}>[^)]*\)|<\w+:{name}>", str(values[name]), route)
        found.append(route)
    return found


def nothing_that_a_process_printed_holds_a_secret(world: World) -> None:
    """After an orderly stop, so that every last word is there."""
    installation = world.installation
    for name in ("worker", "sequencer", "portal", "stdio", "gateway"):
        installation.stop(name)
    files = [*installation.place.glob("*.out"), *(installation.config.data / "logs").iterdir()]
    assert len(files) >= 6
    texts = {path.name: path.read_text(errors="replace") for path in files}
    assert sum(bool(text.strip()) for text in texts.values()) >= 3, "hardly anything was said, so nothing was looked at"
    secrets = {**world.canaries(), "token": world.tokens[0], "signature of a token": world.tokens[0].split(".")[2]}
    found = [
        (name, file) for name, secret in secrets.items() if len(secret) >= 8 for file, text in texts.items()
        if secret in text or finds_quickly(text, secret)
    ]  # fmt: skip
    assert found == []


def finds_quickly(text: str, secret: str) -> bool:
    """The common ways in which a log spells a secret: JSON, bytes as Python shows them, base64."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")[:-2]
    return any(form in text for form in (json.dumps(secret)[1:-1], repr(secret)[1:-1], encoded))


def no_record_holds_a_secret(world: World) -> None:
    with psycopg.connect(world.installation.superuser) as connection:
        rows = connection.execute(
            "SELECT e.leaf, p.body FROM audit_event e LEFT JOIN audit_payload p ON p.event = e.uid"
        ).fetchall()
    assert len(rows) >= 2_000
    text = "\n".join(f"{leaf}\n{body or ''}" for leaf, body in rows)
    assert [slug for slug, known in world.reflector.leaked.items() if known in text or finds_quickly(text, known)] == []
    assert world.tokens[0] not in text


STEPS = (
    the_worker_opens_what_a_repository_asks_for,
    every_reflected_secret_is_cut_out,
    the_callers_token_goes_to_no_server,
    a_local_server_inherits_no_secret,
    no_process_holds_another_groups_secret_in_its_environment,
    provoke_trouble,
    no_page_and_no_answer_of_the_portal_shows_a_secret,
    nothing_that_a_process_printed_holds_a_secret,
    no_record_holds_a_secret,
)


def test_no_secret_leaves_by_any_door(world, subtests):
    for step in STEPS:
        began = time.monotonic()
        with subtests.test(step.__name__):
            step(world)
        sys.stdout.write(f"{step.__name__}: {time.monotonic() - began:.1f} s\n")
