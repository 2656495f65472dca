"""Pages: every row once, in order, whatever the size of the page; and as many queries for fifty rows as for one."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.services import open_stream, record
from blueprints.models import Blueprint, ChangeRequest, Fork, Version
from portal.rest.models import ApiKey
from registry.models import Probe, Server, Tool, ToolGroup
from tenants.models import Agent, Delegation, Membership, Person, Tenant

pytestmark = pytest.mark.django_db

MANY = 60
BUDGET = 8
BLUEPRINT = "blueprints/team.ledger/implement-ticket-brownfield"
LISTS = ["tenants", "people", "agents", "delegations", "servers", "tools", "groups", "me/keys", "audit/events", "audit/streams", "servers/ledger-api/tools", "servers/ledger-api/probes", "servers/ledger-api/changes", "tenants/ledger/members", "blueprints", "forks", "change-requests", f"{BLUEPRINT}/versions", f"{BLUEPRINT}/forks", f"{BLUEPRINT}/changes", "forks/ledger/ledger-fork/changes", "forks/ledger/ledger-fork/requests"]  # fmt: skip
INTERNAL = 4  # the merged context server, and those of platform, domain and team


@pytest.fixture
def crowd(world):
    """Sixty more of everything at home."""
    team, lead, own = world.cast.team, world.cast.lead.person, world.own
    many = range(MANY)
    people = Person.objects.bulk_create(
        Person(email=f"p{n}@example.test", handle=f"p{n}", name=f"Same name {n % 3}") for n in many
    )
    Membership.objects.bulk_create(Membership(person=row, tenant=team, role="member") for row in people)
    Agent.objects.bulk_create(Agent(slug=f"a{n}", name="Same", home=team, sponsor=lead) for n in many)
    servers = Server.objects.bulk_create(
        Server(owner=team, slug=f"s{n}", name="Same", transport="http", url="http://x.example/") for n in many
    )
    ToolGroup.objects.bulk_create(ToolGroup(owner=team, slug=row.slug, name="Same", server=row) for row in servers)
    Tool.objects.bulk_create(Tool(server=own.server, owner=team, name=f"t{n}", exposed_name=f"x__t{n}") for n in many)
    Tenant.objects.bulk_create(Tenant(tier="team", slug=f"t{n}", name="Same") for n in many)
    Probe.objects.bulk_create(Probe(server=own.server, owner=team, ok=True) for _ in many)
    ends = own.delegation.not_after
    Delegation.objects.bulk_create(
        Delegation(person=lead, agent=own.agent, team=team, tool_groups=["tools"], not_after=ends) for _ in many
    )
    ApiKey.objects.bulk_create(
        ApiKey(person=lead, name="k", digest=f"{n}", expires_at=own.key.expires_at) for n in many
    )
    make_workflows(own, team)
    for n in many:
        record(scope=team.pk, verb="tenants.tenant.changed", person=lead.uid, object=str(n))
        open_stream(scope=10_000 + n, name=f"t{n}")
        own.server.save()  # one more row of history
        own.blueprint.save()
        own.fork.save()
    return world


def make_workflows(own, team):
    """As rows: sixty blueprints with a head, sixty versions of one, forks of it, and requests from one of them."""
    many, head = range(MANY), Version.objects.get(pk=own.blueprint.head_id)
    made = Blueprint.objects.bulk_create(
        Blueprint(owner=team, name=f"b{n}", title="Same", summary="Same.", pattern="either") for n in many
    )
    contents = {"digest": head.digest, "document": {}, "text": "", "lock": {}, "note": "Same.", "owner": team}
    present = {"status": "published", "decided_at": head.decided_at}
    heads = Version.objects.bulk_create(Version(blueprint=row, semver="1.0.0", **contents, **present) for row in made)
    for row, version in zip(made, heads, strict=True):
        row.head, row.status = version, "active"
    Blueprint.objects.bulk_update(made, ["head", "status"])
    Version.objects.bulk_create(
        Version(blueprint=own.blueprint, semver=f"2.{n}.0", **contents, proposed_by=own.agent.sponsor) for n in many
    )
    on = {"blueprint": own.blueprint, "base": head, "measured": head, "document": {}}
    Fork.objects.bulk_create(
        Fork(owner=team, name=f"f{n}", title="Same", drift=n % 3, behind=n % 2, **on) for n in many
    )
    ChangeRequest.objects.bulk_create(
        ChangeRequest(
            owner=team,
            blueprint=own.blueprint,
            against=head,
            fork_uid=own.fork.uid,
            title="Same",
            operations=[],
            opened_by=own.agent.sponsor,
        )
        for _ in many
    )


def test_a_list_of_fifty_costs_at_most_eight_queries(crowd, as_role):
    asked = {}
    for path in LISTS:
        client = crowd.clients["admin" if path in {"tenants", "audit/streams"} else "lead"]
        with as_role("hanse_app"), CaptureQueriesContext(connection) as captured:
            answer = client.get(f"/api/v1/{path}")
        assert len(answer.json()["items"]) == 50, path
        asked[path] = [entry["sql"] for entry in captured if not is_plumbing(entry["sql"])]
    assert {path: found for path, found in asked.items() if len(found) > BUDGET} == {}


def is_plumbing(sql: str) -> bool:
    return sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK"))


def test_pages_of_any_size_hold_every_row_once_and_in_order(crowd, call):
    for sort in ("slug", "name", "-name", "-slug", "-created", "owner", "-status"):
        whole = pages(call, f"servers?limit=200&sort={sort}")
        assert len(whole) == len(set(whole)) == MANY + 1 + INTERNAL
        assert pages(call, f"servers?limit=13&sort={sort}") == whole, sort


def test_other_lists_too(crowd, call):
    for path in (
        "agents?sort=name",
        "delegations?sort=ends",
        "people?sort=-name",
        "tools?q=t",
        "audit/events?kind=change",
        "blueprints?sort=-title",
        "blueprints?sort=changed",
        "forks?sort=behind",
        "forks?sort=-blueprint",
        "change-requests?sort=title",
        f"{BLUEPRINT}/forks?sort=drift",
        f"{BLUEPRINT}/versions?sort=status",
    ):
        whole = pages(call, f"{path}&limit=200")
        assert len(whole) == len(set(whole)) >= MANY
        assert pages(call, f"{path}&limit=17") == whole, path


def test_a_row_that_goes_between_pages_moves_no_other(crowd, call):
    first = call("lead", "GET", "agents?limit=10").json()
    Agent.objects.filter(slug=first["items"][4]["slug"]).delete()
    following = call("lead", "GET", first["next"]).json()["items"]
    left = [row["slug"] for row in call("lead", "GET", "agents?limit=200").json()["items"]]
    assert [row["slug"] for row in following] == left[9:19]


def pages(call, path: str) -> list[str]:
    found: list[str] = []
    following: str | None = f"/api/v1/{path}"
    while following:
        answer = call("lead", "GET", following)
        body = answer.json()
        found += [row["uid"] for row in body["items"]]
        assert len(found) <= 1_000, "the pages have no end"
        assert ("Link" in answer) == (body["next"] is not None)
        following = body["next"]
    return found


SEEN = {
    "servers?status=active": INTERNAL,
    "servers?transport=hanse": INTERNAL,
    "servers?status=draft&health=ok": 1,
    "servers?health=unprobed": MANY + INTERNAL,
    "servers?q=ledger-api": 1,
    "servers?tier=domain": 1,
    "servers?owner=rival": 0,
    "tools?state=approved&effect=write": 3,
    "delegations?state=live&agent=builder-bot&person=member": 1,
    "delegations?state=revoked": 0,
    "agents?status=suspended": 0,
    "agents?sponsor=lead&q=builder": 1,
    "tenants?tier=team&domain=payments": 1,
    "people?q=steward": 1,
    "tenants/ledger/members?role=team_lead": 1,
    "groups?server=ledger-api": 1,
    "audit/events?verb=tenants.agent.registered": 1,
    "audit/events?kind=denied": 0,
    "blueprints?owner=ledger": MANY + 1,
    "blueprints?q=brownfield": 1,
    "blueprints?tier=platform": 0,
    "blueprints?tag=ticket&variant=brownfield": 1,
    "blueprints?tag=nothing": 0,
    "blueprints?pattern=either": MANY + 1,
    "blueprints?pattern=dark-factory": 0,
    "blueprints?status=draft": 0,
    f"{BLUEPRINT}/versions?status=published": 1,
    f"{BLUEPRINT}/versions?status=proposed": MANY + 1,
    f"{BLUEPRINT}/forks?behind=true": MANY // 2,
    "forks?team=ledger": MANY + 1,
    "forks?team=rival": 0,
    "forks?blueprint=team.ledger/implement-ticket-brownfield&q=ledger-fork": 1,
    "forks?blueprint=platform/implement-ticket-brownfield": 0,
    "forks?mode=configuration": 0,
    "forks?status=active&behind=false": MANY // 2 + 1,
    "forks?conflicts=true": 0,
    "change-requests?status=open&owner=ledger": MANY + 1,
    "change-requests?team=ledger": 1,
    "change-requests?blueprint=team.ledger/b1": 0,
    "forks/ledger/ledger-fork/requests?status=accepted": 0,
}


def test_a_filter_narrows(crowd, call):
    found = {path: len(call("lead", "GET", path + "&limit=200").json()["items"]) for path in SEEN}
    assert found == SEEN
