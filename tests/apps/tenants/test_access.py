"""Who sees what: the filter, the database behind it, and that the two agree."""

import pytest
from django.db import connection

from tenants import queries
from tenants.identity.sign_in_groups import add_sign_in_group
from tenants.models import Agent, Delegation, Membership, SignInGroup, Tenant
from tenants.principals import SYSTEM
from tenants.rules import Role
from tenants.scope import ALL, tenant_scope
from tests.actors import fresh, make_cast, make_delegation

OWNED = [Tenant, Membership, SignInGroup, Agent, Delegation]


pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def cast(made, db):
    return fresh(made)


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("admin", {"platform", "payments", "north", "ledger", "rival"}),
        ("steward", {"platform", "payments", "ledger"}),
        ("lead", {"platform", "payments", "ledger"}),
        ("member", {"platform", "payments", "ledger"}),
        ("reviewer", {"platform", "payments", "ledger"}),
        ("outsider", {"platform", "north", "rival"}),
        ("stranger", {"platform"}),
    ],
)
def test_each_role_sees_its_own_part_of_the_tree(cast, who, seen):
    assert set(queries.tenants(getattr(cast, who)).values_list("slug", flat=True)) == seen


@pytest.mark.parametrize("model", OWNED)
def test_the_database_shows_what_the_filter_shows_and_no_more(cast, as_role, model):
    make_delegation(cast.member, cast.agent)
    make_delegation(cast.outsider, cast.rival_agent)
    for tenant in (cast.platform, cast.domain, cast.team, cast.rival):
        add_sign_in_group(actor=SYSTEM, tenant=tenant, name="crew", role=Role.REVIEWER)
    for name, principal in cast.principals().items():
        wanted = set(model.objects.visible_to(principal).values_list("pk", flat=True))
        with as_role("hanse_app"), tenant_scope(principal.access.scope):
            unfiltered = set(model.objects.values_list("pk", flat=True))
        assert unfiltered == wanted, name


@pytest.mark.parametrize("model", OWNED)
def test_without_a_scope_the_database_shows_nothing(cast, as_role, model):
    with as_role("hanse_app"):
        assert model.objects.count() == 0


def test_a_scope_ends_with_its_block(cast, as_role):
    with as_role("hanse_app"):
        with tenant_scope(ALL):
            assert Tenant.objects.count() == 5
        assert Tenant.objects.count() == 0


def test_a_row_cannot_be_written_into_another_tenant(cast, as_role):
    from django.db import transaction
    from django.db.utils import ProgrammingError

    refused = pytest.raises(ProgrammingError, match="row-level security")
    with as_role("hanse_app"), tenant_scope(cast.lead.access.scope), refused, transaction.atomic():
        Agent.objects.create(slug="spy", name="spy", home=cast.rival, sponsor=cast.lead.person)


def test_every_owned_table_is_under_forced_row_security(db):
    """A table with a column that points at a tenant is team-owned, so a new one without a policy fails here."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT c.conrelid::regclass::text FROM pg_constraint c
             WHERE c.contype = 'f' AND c.confrelid = 'tenants_tenant'::regclass
            UNION SELECT 'tenants_tenant'
            """
        )
        owned = {row[0] for row in cursor.fetchall()}
        cursor.execute(
            """
            SELECT c.oid::regclass::text FROM pg_class c
             WHERE c.relrowsecurity AND c.relforcerowsecurity
               AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'hanse_scope')
            """
        )
        guarded = {row[0] for row in cursor.fetchall()}
    assert owned - guarded == set()
    assert len(owned) >= 10
