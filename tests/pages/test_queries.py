"""How many questions a screen asks the database: the same few, however much there is."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.services import record
from blueprints.models import Blueprint, ChangeRequest, Fork, Repository, Version
from kernel import clock
from kernel.ids import new_uid
from portal.rest.models import ApiKey
from registry.context.memories import Gap, Memory
from registry.context.models import Document, Source
from registry.models import Server, ToolGroup
from tenants.models import Agent, Delegation, Membership, Onboarding, Person, Tenant
from tenants.scope import ALL, tenant_scope
from tests.pages.written import memory_of

MANY = 60
BUDGET = 8
LISTS = (
    "/catalog/",
    "/identity/agents/",
    "/identity/delegations/",
    "/identity/people/",
    "/audit/",
    "/teams/ledger/groups/",
    "/me/keys/",
    "/blueprints/",
    "/forks/",
    "/blueprints/reviews/",
    "/repositories/",
    "/onboarding/",
    "/inbox/",
    "/context/platform/sources/handbook/",
)
# What hangs together on one screen costs more, and no more than this, session and person and scope included.
OTHERS = {
    "/": 24,
    "/teams/": 8,
    "/teams/ledger/": 20,
    "/teams/ledger/adoption/": 20,
    "/servers/accounts/": 16,
    "/servers/accounts/callers/": 19,
    "/groups/accounts/": 8,
    "/search/?q=a": 14,
    "/blueprints/platform/implement-ticket-brownfield/": 7,
    "/blueprints/platform/implement-ticket-brownfield/forks/": 9,
    "/blueprints/platform/implement-ticket-brownfield/versions/1.1.0/": 9,
    "/forks/ledger/our-ticket/": 12,
    "/forks/ledger/our-ticket/rebase/": 9,
    "/teams/ledger/harness/": 8,
    "/teams/payments/harness/": 10,
    "/teams/ledger/harness/changes/": 8,
    "/teams/ledger/harness/edit/": 8,
    "/repositories/ledger/shop/": 9,
    "/context/": 8,
    "/context/?q=export+hangs": 10,
    "/context/?q=export+hangs&team=ledger": 11,
    "/context/ledger/": 10,
    "/context/ledger/sources/waiting/": 9,
    "/context/ledger/sources/runbooks/": 9,
    "/context/documents/{document}/": 8,
    "/inbox/{memory}/": 8,
}


@pytest.fixture(scope="module")
def crowd(standing):
    """Returns when there are sixty more of everything at home."""
    cast, many = standing[0], range(MANY)
    team, lead = cast.team, cast.lead.person
    ends = Delegation.objects.filter(team=team).latest("id").not_after
    with transaction.atomic(), tenant_scope(ALL):
        people = Person.objects.bulk_create(
            Person(email=f"p{n}@example.test", handle=f"p{n}", name=f"Person {n}") for n in many
        )
        Membership.objects.bulk_create(Membership(person=row, tenant=team, role="member") for row in people)
        agents = Agent.objects.bulk_create(Agent(slug=f"a{n}", name="Same", home=team, sponsor=lead) for n in many)
        Server.objects.bulk_create(
            Server(owner=team, slug=f"s{n}", name="Same", transport="http", url="http://x.example/") for n in many
        )
        Repository.objects.bulk_create(
            Repository(owner=team, slug=f"r{n}", name="Same", url="https://x.example/r", findings={}) for n in many
        )
        ToolGroup.objects.bulk_create(ToolGroup(owner=team, slug=f"g{n}", name="Same") for n in many)
        Tenant.objects.bulk_create(Tenant(tier="team", slug=f"t{n}", name="Same") for n in many)
        Delegation.objects.bulk_create(
            Delegation(person=row, agent=agent, team=team, tool_groups=["accounts"], not_after=ends)
            for row, agent in zip(people, agents, strict=True)
        )
        ApiKey.objects.bulk_create(
            ApiKey(person=lead, name="k", digest=f"{n}", expires_at=clock.now() + (ends - clock.now())) for n in many
        )
        Onboarding.objects.bulk_create(Onboarding(name="Same", begun_by=lead) for _ in many)
        _make_blueprints(team, many)
        for row in people:
            record(scope=team.pk, verb="tenants.role.given", person=row.uid, object=str(row.uid))
        _write_much(cast, agents)
    return cast


def _write_much(cast, agents):
    team, delegations = cast.team, Delegation.objects.filter(team=cast.team, agent__in=agents)
    source = Source.objects.get(slug="handbook")
    Document.objects.bulk_create(
        Document(
            source=source,
            owner=cast.platform,
            path=f"d{n}.md",
            format="markdown",
            digest=f"{n:064}",
            reading=1,
            language="english",
            changed_at=clock.now(),
        )
        for n in range(MANY)
    )
    Memory.objects.bulk_create(
        Memory(
            owner=team,
            text=f"Same {row.pk}",
            digest=f"{row.pk}",
            person=row.person,
            agent=row.agent,
            delegation=row,
            call=new_uid(),
            sensitivity=1,
        )
        for row in delegations
    )
    Gap.objects.bulk_create(Gap(owner=team, text=f"same {n}") for n in range(MANY))
    Source.objects.bulk_create(Source(owner=team, slug=f"same-{n}", name="Same") for n in range(MANY))


def _make_blueprints(team, many):
    version = Version.objects.filter(status="published").latest("id")
    facts = {"title": "Same", "summary": "Same", "pattern": "either"}
    Blueprint.objects.bulk_create(Blueprint(owner=team, name=f"b{n}", **facts) for n in many)
    Fork.objects.bulk_create(
        Fork(
            owner=team,
            blueprint=version.blueprint,
            base=version,
            measured=version,
            name=f"f{n}",
            title="Same",
            document=version.document,
            digest=version.digest,
        )
        for n in many
    )
    request = ChangeRequest.objects.filter(team_slug=team.slug).get()
    for row in [request] * MANY:
        row.pk, row.uid = None, new_uid()
        row.save(force_insert=True)


@pytest.fixture
def ask(browse, crowd):
    """Returns a function: who, address -> the answer, and the questions without the fences around a transaction."""

    def answer(who, url):
        client = browse(who)
        client.get("/styleguide/")  # what a process asks once, it has asked
        with CaptureQueriesContext(connection) as asked:
            response = client.get(url)
        assert response.status_code == 200
        return response, [query["sql"] for query in asked if not is_plumbing(query["sql"])]

    return answer


def is_plumbing(sql: str) -> bool:
    """Fences of transactions, and the switch of roles that only these tests make."""
    return sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK", "RESET ROLE", "SELECT set_config('role'"))


@pytest.mark.parametrize("who", ["lead", "admin"])
@pytest.mark.parametrize("url", LISTS)
def test_a_list_of_fifty_asks_at_most_eight_in_all(ask, url, who):
    response, asked = ask(who, url)
    assert who == "admin" or len(response.context["page"].rows) == 50
    assert len(asked) <= BUDGET, "\n".join(asked)


@pytest.mark.parametrize(("url", "most"), OTHERS.items())
def test_a_screen_keeps_its_budget(ask, crowd, url, most):
    document, memory = Document.objects.get(owner__slug="ledger", path="runbook.md"), memory_of(crowd.team)
    _, asked = ask("lead", url.format(document=document.uid, memory=memory.uid))
    assert len(asked) <= most, "\n".join(asked)
