"""The demo estate loads through the services and holds what the issue promises."""

import pytest

from portal.demo import estate
from portal.demo.documents import LEARNED, SOURCES
from portal.demo.loading import load_estate
from registry.context.inbox import gaps, memories_to_review
from registry.context.queries import imports, progress_of, sources
from registry.queries import servers, tools
from tenants.principals import SYSTEM, principal_of
from tenants.queries import agents, delegations, live_delegation, people, tenants
from tenants.rules import Concern, Role, Tier
from tenants.scope import ALL, tenant_scope

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def loaded(django_db_setup, django_db_blocker, installation):
    from django.db import transaction

    with django_db_blocker.unblock(), transaction.atomic():
        with tenant_scope(ALL):
            greeting = load_estate(installation)
        yield greeting
        transaction.set_rollback(True)


def test_the_tree_is_complete(loaded):
    assert {row.concern for row in tenants(SYSTEM).filter(tier=Tier.DOMAIN)} == set(Concern)
    teams = tenants(SYSTEM).filter(tier=Tier.TEAM)
    assert teams.count() == 6
    assert {row.origin for row in teams} == {"internal", "acquired", "regional"}
    assert max(team.domain_links.count() for team in teams) == 3


def test_there_is_a_person_for_every_role(loaded):
    held = {role for plan in estate.PEOPLE for _, role in plan.roles}
    assert held == set(Role)


def test_every_server_showed_its_tools_and_they_are_approved(loaded):
    assert {server.slug for server in servers(SYSTEM).filter(status="active")} >= {"pipeline", "ledger", "clock"}
    waiting = {name for plan in estate.SERVERS for name in plan.left_open}
    assert set(tools(SYSTEM).exclude(state="approved").values_list("name", flat=True)) == waiting
    assert set(tools(SYSTEM).filter(name__in=waiting).values_list("state", flat=True)) == {"new"}
    assert tools(SYSTEM).filter(server__slug="clock", name="get_current_time").exists()


def test_the_standing_identities_hold(loaded):
    found = live_delegation(SYSTEM, team="checkout", person="jonas@nordhafen.example", agent="release-pilot")
    assert "pipeline" in found.tool_groups


def test_every_agent_and_delegation_is_there(loaded):
    assert agents(SYSTEM).count() == len(estate.AGENTS)
    assert delegations(SYSTEM).count() == len(estate.DELEGATIONS)


def test_each_tier_has_written_something_down_and_all_of_it_was_read(loaded):
    tiers = {plan.owner: len(plan.documents) for plan in SOURCES}
    assert {row.tier for row in tenants(SYSTEM).filter(slug__in=tiers)} == set(Tier)
    assert all(2 <= count <= 4 for count in tiers.values())
    for row in sources(SYSTEM).filter(slug__in=[plan.slug for plan in SOURCES]):
        assert row.documents.count() == tiers[row.owner.slug]
        assert row.read_at
    rows = list(imports(SYSTEM))
    assert len(rows) == len(SOURCES)
    assert all(count["done"] == count["total"] for count in progress_of(SYSTEM, rows).values())


def test_a_fact_and_a_question_wait_in_a_team(loaded):
    piet = principal_of(people(SYSTEM).get(handle="piet"))
    assert [row.text for row in memories_to_review(piet)] == [LEARNED.statement]
    assert [(row.owner.slug, row.text) for row in gaps(SYSTEM)] == [("checkout", LEARNED.asked.casefold())]
