"""How many statements a page sends to the database: the same few for every role, however much there is."""

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
from tests.pages.test_sweep import ASKED, RULES, WHO, make_places, request_of

MANY = 60
BUDGET = 8
"""Statements of one page in all: the session, the person, their roles, the setting for row security, and four more.

Counted is every statement that a request sends, whoever wrote it. Not counted is what only these tests send, because
they ask inside a transaction of their own: the fences around the request, the switch to the application's role, and
putting the setting for row security back to what it was outside.
"""
OTHERS = (
    "/teams/platform/",
    "/teams/payments/",
    "/teams/payments/harness/",
    "/teams/payments/harness/changes/",
    "/teams/payments/harness/edit/",
    "/teams/platform/harness/",
    "/teams/payments/groups/",
    "/servers/accounts/",
    "/servers/accounts/?state=waiting",
    "/servers/accounts/callers/",
    "/servers/accounts/probes/",
    "/servers/accounts/changes/",
    "/servers/accounts/credential/",
    "/servers/accounts/retire/",
    "/servers/ledger-orders/",
    "/servers/ledger-orders/operations/",
    "/servers/ledger-orders/credential/",
    "/servers/desk/",
    "/groups/accounts/",
    "/search/?q=a",
    "/catalog/?q=s&status=active",
    "/catalog/?format=csv",
    "/audit/?time=24h&decision=deny",
    "/blueprints/platform/implement-ticket-brownfield/yaml/",
    "/blueprints/platform/implement-ticket-brownfield/versions/",
    "/blueprints/platform/implement-ticket-brownfield/requests/",
    "/blueprints/platform/implement-ticket-brownfield/history/",
    "/blueprints/platform/implement-ticket-brownfield/versions/1.1.0/",
    "/forks/ledger/our-ticket/flow/",
    "/forks/ledger/our-ticket/requests/",
    "/forks/ledger/our-ticket/history/",
    "/repositories/ledger/proven/",
    "/repositories/ledger/held/",
    "/repositories/ledger/waiting/",
    "/repositories/ledger/gone/",
    "/context/?q=export+hangs",
    "/context/?q=export+hangs&team=ledger",
    "/context/?q=export+hangs&tier=team",
    "/context/platform/",
    "/context/payments/",
    "/context/platform/sources/handbook/",
    "/context/ledger/sources/waiting/",
    "/inbox/?team=ledger",
    "/accounts/password/change/",
    "/nowhere/",
    "/onboarding/{onboarding}/tenant/",
    "/onboarding/{onboarding}/people/",
    "/onboarding/{onboarding}/documents/",
    "/onboarding/{onboarding}/libraries/",
    "/onboarding/{onboarding}/call/",
)
"""What the rules of the sweep name once and there is in several forms: tabs, tiers, states, searches."""
PLANS = "It plans what the step would do, and each line of the plan is looked up by the app that knows it."
EXCEPTIONS: dict[str, tuple[int, str]] = {
    "onboarding_step": (16, PLANS),
    "onboarding_propose": (30, f"It keeps what was typed, and is then refused. {PLANS} Twice here."),
    "onboarding_hand": (19, f"It looks for a person, and is then refused. {PLANS}"),
    "onboarding_bring": (11, PLANS),
    "onboarding_wrap": (14, PLANS),
    "source_credential_set": (9, "It locks the source, is refused, and shows the page of the source again."),
    "delegation_mint": (9, "It is an act that shows what came of it: the record of it is written, too."),
}
"""What needs more, the most that it may need, and why."""
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


@pytest.fixture(scope="module")
def places(standing):
    """Returns the things that addresses name, made before there are too many keys to make one more."""
    return make_places(standing[0])


@pytest.fixture(scope="module")
def crowd(standing, places):
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
    """Returns a function: who, method, address, data -> the answer and its statements; what it did is taken back."""

    def answer(who, method, url, data):
        client = browse(who)
        client.get("/styleguide/")  # what a process asks once, it has asked
        with transaction.atomic():
            with CaptureQueriesContext(connection) as asked:
                response = getattr(client, method)(url, data)
            transaction.set_rollback(True)
        return response, statements_in(asked)

    return answer


def statements_in(asked) -> list[str]:
    """Returns what a real request would have sent."""
    found = [query["sql"] for query in asked if not is_plumbing(query["sql"])]
    is_put_back = len(found) > 1 and "set_config('hanse.scope'" in found[-1]
    return found[:-1] if is_put_back else found


def is_plumbing(sql: str) -> bool:
    """Fences of transactions, and the switch of roles that only these tests make."""
    return sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK", "RESET ROLE", "SELECT set_config('role'"))


PEOPLE = [who for who in WHO if who != "nobody"]
PAGES = [(name, rule) for name, rule in ASKED if rule.method == "get"]
ACTS = [(name, rule) for name, rule in ASKED if rule.method == "post"]


def most_of(name: str) -> int:
    """Returns how many statements a page may need."""
    return EXCEPTIONS[name][0] if name in EXCEPTIONS else BUDGET


@pytest.mark.parametrize(("name", "rule"), PAGES, ids=[name for name, _ in PAGES])
def test_every_page_keeps_the_budget_for_every_role(ask, places, name, rule):
    url, data = request_of(name, rule, places["own"])
    counts = {who: ask(who, "get", url, data)[1] for who in PEOPLE}
    assert {who: asked for who, asked in counts.items() if len(asked) > most_of(name)} == {}


@pytest.mark.parametrize("url", OTHERS)
def test_every_form_of_a_page_keeps_the_budget_for_every_role(ask, places, url):
    name = "onboarding_step" if url.startswith("/onboarding/") else url
    counts = {who: ask(who, "get", url.format(**places["own"]), {})[1] for who in PEOPLE}
    assert {who: asked for who, asked in counts.items() if len(asked) > most_of(name)} == {}


@pytest.mark.parametrize(("name", "rule"), ACTS, ids=[name for name, _ in ACTS])
def test_an_act_that_is_answered_by_a_page_keeps_the_budget_too(ask, places, name, rule):
    """An act that was done leads to another page; one that was refused shows its form again, with the reasons."""
    url, data = request_of(name, rule, places["own"])
    for who in PEOPLE:
        response, asked = ask(who, "post", url, data)
        assert response.status_code not in {200, 422} or len(asked) <= most_of(name), "\n".join(asked)


@pytest.mark.parametrize("url", LISTS)
def test_a_list_of_fifty_keeps_the_budget(ask, url):
    response, asked = ask("lead", "get", url, {})
    assert len(response.context["page"].rows) == 50
    assert len(asked) <= BUDGET, "\n".join(asked)


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_is_still_needed(ask, places, name):
    rule = RULES[name]
    url, data = request_of(name, rule, places["own"])
    assert max(len(ask(who, rule.method, url, data)[1]) for who in ("admin", "lead")) > BUDGET
