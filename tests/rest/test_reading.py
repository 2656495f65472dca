"""Lists and details as each person sees them."""

import pytest

pytestmark = pytest.mark.django_db

BLUEPRINT = "blueprints/team.ledger/implement-ticket-brownfield"
LISTS = [
    "tenants",
    "people",
    "agents",
    "delegations",
    "servers",
    "tools",
    "groups",
    "me/keys",
    "audit/events",
    "audit/streams",
    "blueprints",
    "forks",
    "change-requests",
    "context/sources",
    "context/documents",
    "context/imports",
    "context/memories",
    "context/gaps",
    "context/coverage",
]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_a_page_of_items(call, path):
    answer = call("admin", "GET", path)
    assert answer.status_code == 200, answer.content
    assert set(answer.json()) == {"items", "next"}


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("lead", {"ledger-api", "context-ledger", "context-payments"}),
        ("outsider", {"rival-api", "context-rival", "context-north"}),
        ("stranger", set()),
    ],
)
def test_a_list_shows_what_one_sees_and_no_more(call, who, seen):
    of_everybody = {"context", "context-platform"}
    assert {row["slug"] for row in call(who, "GET", "servers").json()["items"]} == seen | of_everybody


@pytest.mark.parametrize(
    "path",
    ["servers/ledger-api", "agents/builder-bot", "tenants/ledger", "groups/ledger-tools", "people/lead", "me",
     "servers/ledger-api/credential", "servers/ledger-api/callers", "servers/ledger-api/tools", "servers/ledger-api/probes",
     "servers/ledger-api/changes", "tenants/ledger/members", BLUEPRINT, f"{BLUEPRINT}/versions/1.0.0", f"{BLUEPRINT}/versions/1.1.0/diff",
     f"{BLUEPRINT}/families", "forks/ledger/ledger-fork", "forks/ledger/ledger-fork/difference",
     "context/sources/ledger/ledger-runbooks", "context/coverage/ledger", "context/search?q=queue"],
)  # fmt: skip
def test_a_detail_can_be_read(call, path):
    answer = call("member", "GET", path)
    assert answer.status_code == 200, answer.content
