"""The demo estate loads through the services and holds what the issue promises."""

import pytest

from portal.demo import estate
from portal.demo.loading import load_estate
from registry.queries import servers, tools
from tenants.principals import SYSTEM
from tenants.queries import agents, delegations, live_delegation, tenants
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
