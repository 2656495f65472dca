"""Whatever is sent, the answer is a problem below 500 and nothing has happened."""

import base64
import json
from urllib.parse import quote

import pytest

from tenants.models import Agent

pytestmark = pytest.mark.django_db

NEW = {"slug": "new-bot", "name": "New", "home": "ledger", "sponsor": "lead"}
BODIES = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"name": "\xff"}',
    "NaN": b'{"risk": NaN}',
    "infinite": b'{"risk": 1e999}',
    "a key twice": b'{"slug": "a", "slug": "b"}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "a batch": b"[{}, {}]",
    "null": b"null",
    "a string": b'"x"',
    "a number": b"3",
    "a huge number": b'{"risk": ' + b"9" * 4_000 + b"}",
    "a number beyond parsing": b'{"risk": ' + b"9" * 10_000 + b"}",
    "deep arrays": b"[" * 5_000 + b"]" * 5_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "rather deep": b'{"slug":' + b"[" * 40 + b"]" * 40 + b"}",
    "big": b'{"name": "' + b"x" * 300_000 + b'"}',
}
VALUES = ["\0", "a\0b", "", " ", "x" * 100_000, 0, -1, 2**31, 2**63, 10**400, 1.5, True, None, [], {}, [[]], {"a": {}}, "\u202e", "💥", "\ud83d\ude00", "' OR 1=1 --", "../..", "${jndi}"]  # fmt: skip


def is_a_clear_refusal(answer) -> bool:
    return 400 <= answer.status_code < 500 and answer["Content-Type"] == "application/problem+json"


def send(world, as_role, body, content_type="application/json", path="agents"):
    with as_role("hanse_app"):
        return world.clients["lead"].generic("POST", f"/api/v1/{path}", body, content_type=content_type)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_cannot_be(world, as_role, name):
    answer = send(world, as_role, BODIES[name])
    assert is_a_clear_refusal(answer), answer.content[:300]
    assert not Agent.objects.filter(slug="new-bot").exists()


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data", "application/x-www-form-urlencoded", "", "nonsense", "application/json; charset=utf-16"],
)  # fmt: skip
def test_another_content_type(world, as_role, kind):
    answer = send(world, as_role, json.dumps(NEW).encode("utf-16" if "utf-16" in kind else "utf-8"), kind)
    assert answer.status_code in {400, 415}
    assert is_a_clear_refusal(answer)


CREATABLE = {
    "agents": NEW,
    "servers": {"owner": "ledger", "slug": "s", "name": "S", "summary": "", "url": "http://127.0.0.1:9/", "command": []},
    "groups": {"owner": "ledger", "slug": "g", "name": "G", "tools": []},
    "delegations": {"agent": "builder-bot", "team": "ledger", "tool_groups": ["ledger-tools"], "not_after": "2030-01-01T00:00:00Z", "purpose": "", "run": "", "parent": None, "effect_ceiling": "read"},
    "me/keys": {"name": "k", "scope": "read", "days": 1},
    "tenants": {"tier": "team", "slug": "t", "name": "T", "concern": "", "region": "", "origin": "internal"},
    "forks": {"blueprint": "team.ledger/implement-ticket-brownfield", "team": "ledger", "name": "f", "title": "", "operations": []},
    "forks/ledger/ledger-fork/requests": {"targets": ["/nodes/plan/prompt"], "title": "T", "note": ""},
    "context/sources": {"owner": "ledger", "slug": "s", "name": "S", "kind": "files", "location": "", "sensitivity": "public"},
    "context/sources/ledger/ledger-runbooks/imports": {"documents": [{"path": "a.md", "text": "x"}], "whole": False},
    "context/gaps/forget": {"owner": "ledger"},
    "people": {"email": "a@example.test", "name": "A", "handle": "a", "clearance": "public"},
}  # fmt: skip


@pytest.mark.parametrize("path", CREATABLE)
def test_every_field_of_every_new_thing_with_every_wrong_value(call, undone, path):
    for name in CREATABLE[path]:
        for value in VALUES:
            with undone():
                answer = call(
                    "admin" if path in {"tenants", "people"} else "lead", "POST", path, {**CREATABLE[path], name: value}
                )
            assert answer.status_code < 500, (name, value, answer.content[:300])
            assert answer.status_code in {200, 201} or is_a_clear_refusal(answer), (name, value)


NAMES = ["name", "summary", "purpose", "profile", "risk", "url", "command", "region", "reason", "kind", "value", "operations", "text", "choices", "onto", "successor", "location", "sensitivity"]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [("agents/builder-bot", "PATCH", {"If_Match": "*"}), ("servers/ledger-api", "PATCH", {"If_Match": "*"}),
     ("tenants/ledger", "PATCH", {"If_Match": "*"}), ("agents/builder-bot/suspend", "POST", {"If_Match": "*"}),
     ("servers/ledger-api/quarantine", "POST", {"If_Match": "*"}), ("servers/ledger-api/credential", "PUT", {"If_Match": "*"}),
     ("forks/ledger/ledger-fork", "PATCH", {"If_Match": "*"}), ("forks/ledger/ledger-fork/rebase", "POST", {"If_Match": "*"}),
     ("context/sources/ledger/ledger-runbooks", "PATCH", {"If_Match": "*"}),
     ("blueprints/team.ledger/implement-ticket-brownfield/deprecate", "POST", {"If_Match": "*"})],
)  # fmt: skip
def test_every_change_with_every_wrong_value(call, undone, path, method, headers):
    offered = 0
    for name in NAMES:
        for value in VALUES:
            with undone():
                answer = call("lead", method, path, {name: value}, **headers)
            assert answer.status_code < 500, (name, value, answer.content[:300])
            if is_not_offered(answer, name):
                break  # whatever its value is: `nothing` below is tried with every one
        else:
            offered += 1
    assert offered >= 1
    for value in VALUES:
        with undone():
            assert is_a_clear_refusal(call("lead", method, path, {"nothing": value}, **headers)), value


def is_not_offered(answer, name: str) -> bool:
    """Tells whether a field was refused for its name."""
    said = answer.json().get("errors", []) if is_a_clear_refusal(answer) else []
    return {"pointer": f"/{name}", "detail": "There is no such field."} in said


@pytest.mark.parametrize("extra", ["id", "uid", "version", "status", "owner_id", "is_platform_admin", "is_superuser", "revoked_at", "person"])  # fmt: skip
@pytest.mark.parametrize("path", CREATABLE)
def test_nobody_sets_a_field_that_is_not_offered(call, path, extra):
    body = {name: value for name, value in CREATABLE[path].items() if value not in (None, "")}
    answer = call("admin", "POST", path, {**body, extra: "1"})
    assert answer.status_code == 422
    assert f"/{extra}" in {item["pointer"] for item in answer.json()["errors"]}


def test_a_role_cannot_be_slipped_in_with_a_person(call):
    answer = call(
        "admin", "POST", "people", {**CREATABLE["people"], "roles": [{"tenant": "platform"}], "is_staff": True}
    )
    assert answer.status_code == 422


BLUEPRINT = "blueprints/team.ledger/implement-ticket-brownfield"
SOURCE = "context/sources/ledger/ledger-runbooks"
LISTS = ["tenants", "people", "agents", "delegations", "servers", "tools", "groups", "audit/events", "audit/streams", "me/keys", "servers/ledger-api/probes", "servers/ledger-api/changes", "tenants/ledger/members", "blueprints", "forks", "change-requests", f"{BLUEPRINT}/versions", f"{BLUEPRINT}/forks", f"{BLUEPRINT}/changes", "forks/ledger/ledger-fork/changes", "forks/ledger/ledger-fork/requests", "context/sources", "context/documents", "context/imports", "context/memories", "context/gaps", "context/coverage", f"{SOURCE}/documents", f"{SOURCE}/imports"]  # fmt: skip
QUERIES = [
    *(f"{name}={value}" for name in ("limit",) for value in ("0", "-1", "201", "x", "1e3", "9" * 400, "%00", "٣")),
    *(f"cursor={value}" for value in ("x", "%00", "e30", "W10", "WyI9Il0", "WyJAeCIsMV0", "WyI9XHUwMDAwIiwxXQ", "WyI9YSIsIGZhbHNlXQ", "WyI9YSIsMWU5OTld", "WyI9YSIsOTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", "a" * 2_000, "ñ")),
    *(f"sort={value}" for value in ("pk", "--name", "owner__slug", "%00", "name,slug", "person__password")),
    "unknown=1", "id=1", "owner__id=1", "q__regex=x",
]  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_a_list_asked_in_every_wrong_way(call, path):
    for query in QUERIES:
        answer = call("lead", "GET", f"{path}?{query}")
        assert is_a_clear_refusal(answer), (query, answer.status_code, answer.content[:300])


@pytest.mark.parametrize("path", LISTS)
def test_every_filter_with_every_wrong_value(call, path):
    from portal.rest.schema import openapi_document

    described = openapi_document()["paths"]
    template = f"/api/v1/{path}".replace("ledger-api", "{slug}").replace("tenants/ledger/", "tenants/{slug}/")
    template = template.replace(BLUEPRINT, "blueprints/{namespace}/{name}")
    template = template.replace("ledger/ledger-fork", "{team}/{name}")
    template = template.replace("ledger/ledger-runbooks", "{owner}/{slug}")
    names = [item["name"] for item in described[template]["get"]["parameters"] if item["in"] == "query"]
    for name in names:
        for value in VALUES:
            answer = call("lead", "GET", f"{path}?{name}={quote(str(value).encode('utf-8', 'replace')[:2000])}")
            assert answer.status_code == 200 or is_a_clear_refusal(answer), (name, value, answer.content[:300])


def cursor_of(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


MARKS = [
    (0, "=a", 1), ("slug", 5, 1), ("slug", "=a", "1"), ("slug", "=a", -1), ("slug", "=a", 2**63), ("slug", "=a", True),
    ("slug", "=a\0", 1), ("slug", "=\ud800", 1), ("slug", None, 1), ("slug", [], 1), ("name", "=a", 1), ("slug", "=a", 1.5),
    ("created", "@9999-99-99T00:00:00", 1), ("created", "=zzz", 1), ("created", "@", 1), ("created", "=None", 1),
]  # fmt: skip


@pytest.mark.parametrize("mark", MARKS, ids=str)
def test_a_forged_cursor(call, mark):
    sort = "created" if mark[0] == "created" else "slug"
    answer = call("lead", "GET", f"servers?sort={sort}&cursor={cursor_of(*mark)}")
    assert is_a_clear_refusal(answer), answer.content
