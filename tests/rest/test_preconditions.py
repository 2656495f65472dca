"""ETag, If-Match, If-None-Match: nobody overwrites what they have not seen."""

import pytest

pytestmark = pytest.mark.django_db

BLUEPRINT = "blueprints/team.ledger/implement-ticket-brownfield"
FORK = "forks/ledger/ledger-fork"
DETAILS = [
    "tenants/ledger",
    "people/lead",
    "agents/builder-bot",
    "servers/ledger-api",
    "groups/ledger-tools",
    BLUEPRINT,
    FORK,
    f"{BLUEPRINT}/versions/1.1.0",
    "context/sources/ledger/ledger-runbooks",
]


@pytest.mark.parametrize("path", DETAILS)
def test_a_detail_read_again_unchanged_is_304_without_a_body(call, path):
    first = call("lead", "GET", path)
    again = call("lead", "GET", path, If_None_Match=first["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])


def test_the_tag_changes_with_the_object(call):
    first = call("lead", "GET", "agents/builder-bot")
    changed = call("lead", "PATCH", "agents/builder-bot", {"purpose": "x"}, If_Match=first["ETag"])
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]
    assert call("lead", "GET", "agents/builder-bot")["ETag"] == changed["ETag"]
    assert call("lead", "GET", "agents/builder-bot", If_None_Match=first["ETag"]).status_code == 200


@pytest.mark.parametrize("path", [path for path in DETAILS if not path.startswith(("people", "blueprints"))])
def test_a_change_needs_if_match(call, path):
    answer = call("lead", "PATCH", path, _change_of(path))
    assert answer.status_code == 428
    assert answer.json()["code"] == "precondition_required"


def _change_of(path):
    kind = path.partition("/")[0]
    return {"groups": {"tools": []}, "forks": {"operations": []}}.get(kind, {"name": "x"})


@pytest.mark.parametrize("tag", ['"99.x"', '"nonsense"', 'W/"1.x"', "garbage", '""', '"' + "9" * 500 + '"'])  # fmt: skip
def test_another_version_changes_nothing(call, tag):
    answer = call("lead", "PATCH", "agents/builder-bot", {"purpose": "lost update"}, If_Match=tag)
    assert answer.status_code == 412
    assert call("lead", "GET", "agents/builder-bot").json()["purpose"] == ""


def test_a_star_matches_whatever_is_there(call):
    assert call("lead", "PATCH", "agents/builder-bot", {"purpose": "x"}, If_Match="*").status_code == 200


def test_of_two_writers_with_the_same_version_one_is_told(call):
    tag = call("lead", "GET", "servers/ledger-api")["ETag"]
    assert call("lead", "PATCH", "servers/ledger-api", {"name": "one"}, If_Match=tag).status_code == 200
    assert call("member", "PATCH", "servers/ledger-api", {"name": "two"}, If_Match=tag).status_code == 412
    assert call("lead", "GET", "servers/ledger-api").json()["name"] == "one"


@pytest.fixture(scope="module")
def wraps():
    return True


def test_every_operation_that_documents_if_match_demands_it(call, world, probes):
    from tests.rest.test_sweep import RULES, WHO, filled

    conditional = [rule for rule, case in RULES.items() if "If_Match" in case.headers(world.own)]
    assert len(conditional) >= 15
    for rule in conditional:
        case, (method, route) = RULES[rule], rule.split(" ", 1)
        who = WHO[next(i for i, status in enumerate(case.own.split()) if status.startswith(("2", "409")))]
        answer = call(who, method, filled(route, case.names(world.own)) + case.query, case.body(world.own, world))
        assert answer.status_code == 428, rule


def test_a_first_credential_says_that_there_is_none_yet(call):
    body = {"kind": "header", "header": "X-Api-Key", "value": "s3cret-value"}
    assert call("lead", "PUT", "servers/ledger-api/credential", body, If_None_Match="*").status_code == 412
    tag = call("lead", "GET", "servers/ledger-api/credential")["ETag"]
    assert call("lead", "DELETE", "servers/ledger-api/credential", If_Match=tag).status_code == 204
    assert call("lead", "PUT", "servers/ledger-api/credential", body, If_Match=tag).status_code == 412
    answer = call("lead", "PUT", "servers/ledger-api/credential", body, If_None_Match="*")
    assert answer.status_code == 200
    assert b"s3cret" not in answer.content
