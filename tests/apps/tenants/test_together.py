"""Several reads in one statement are what they are one by one."""

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Count, DurationField, ExpressionWrapper, F, Q
from django.test.utils import CaptureQueriesContext

from tenants import queries
from tenants.models import Agent, Delegation, Membership, Person, Tenant
from tenants.together import together, totals
from tests.pages.estate import make_estate

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    """Returns the cast with one of everything that pages show."""
    return make_estate()


def facts_of(row):
    return {name: value for name, value in vars(row).items() if name != "_state"}


def _plain(model):
    """Returns all rows, without the columns that only searches in the database read."""
    unread = [field.name for field in model._meta.concrete_fields if "vector" in type(field).__name__.lower()]
    return model._base_manager.defer(*unread).order_by("pk")


def test_every_table_reads_alike(cast):
    models = [
        model
        for model in apps.get_models()
        if model.__module__.split(".")[0] in {"audit", "tenants", "registry", "blueprints"}
    ]
    reads = {model._meta.label_lower.replace(".", "_"): _plain(model) for model in models}
    read = together(**reads)
    assert sum(map(bool, read.values())) > 20
    for name, rows in reads.items():
        assert [facts_of(row) for row in read[name]] == [facts_of(row) for row in rows], name


def test_it_is_one_statement_with_relations_annotations_and_slices(cast):
    delegations = queries.delegations(cast.lead)
    with CaptureQueriesContext(connection) as asked:
        read = together(
            delegations=delegations[:1],
            tree=queries.tenants(cast.lead).annotate(people=Count("memberships__person", distinct=True)),
            names=Agent.objects.order_by("slug").values_list("slug", "home__slug"),
            slugs=Tenant.objects.order_by("slug").values_list("slug", flat=True),
            nothing=Person.objects.none(),
            nobody=Person.objects.filter(pk__in=[]),
            totals=totals(Membership.objects.all(), all=Count("pk"), leads=Count("pk", filter=Q(role="team_lead"))),
            none_of=totals(Membership.objects.filter(pk=-1), all=Count("pk")),
            none_at_all=totals(Membership.objects.filter(tenant__in=[]), all=Count("pk")),
        )
        shown = [(row.agent.home.name, row.person.email, row.agent.sponsor.name) for row in read["delegations"]]
    assert len(asked) == 1
    assert shown == [(row.agent.home.name, row.person.email, row.agent.sponsor.name) for row in delegations[:1]]
    assert {node.slug: node.people for node in read["tree"]}["ledger"] == 3
    assert read["names"] == [("builder-bot", "ledger"), ("rival-bot", "rival")]
    assert read["slugs"] == ["ledger", "north", "payments", "platform", "rival"]
    assert read["nothing"] == read["nobody"] == []
    assert read["totals"] == [{"all": Membership.objects.count(), "leads": 2}]
    assert read["none_of"] == read["none_at_all"] == [{"all": 0}]


def test_each_read_keeps_who_it_is_for(cast):
    read = together(
        lead=queries.delegations(cast.lead),
        outsider=queries.delegations(cast.outsider),
        stranger=queries.tenants(cast.stranger),
    )
    assert len(read["lead"]) == Delegation.objects.filter(team=cast.team).count()
    assert {row.team for row in read["outsider"]} == {cast.rival}
    assert [node.slug for node in read["stranger"]] == ["platform"]


def test_the_query_sets_are_as_they_were(cast):
    rows = queries.agents(cast.admin)
    together(rows=rows)
    assert [row.slug for row in rows.filter(slug="rival-bot")] == ["rival-bot"]
    assert rows.count() == 2


def test_what_cannot_be_read_is_refused(cast):
    age = ExpressionWrapper(F("created_at") - F("created_at"), DurationField())
    with pytest.raises(KeyError, match="DurationField"):
        together(rows=Tenant.objects.annotate(age=age))


def test_nothing_asked_is_nothing_answered(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert together() == {}
