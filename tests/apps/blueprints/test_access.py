"""Who sees which blueprint, fork, request, layer and repository: the filter, the database behind it, and each query."""

import pytest
from django.db import transaction
from django.db.utils import ProgrammingError

from blueprints.models import Blueprint, ChangeRequest, Fork, Layer, PatternRequest, Repository, Version
from blueprints.queries import forks, library
from blueprints.services import forking, publishing, requests
from kernel.errors import Conflict, NotFound
from tenants.principals import SYSTEM, principal_of
from tenants.scope import tenant_scope
from tenants.services import join_domain, leave_domain
from tests.actors import fresh, make_cast
from tests.apps.blueprints.estate import as_text, document_of, next_of, prompt, publish, set_turns

pytestmark = pytest.mark.django_db

OWNED = [Blueprint, Version, Fork, ChangeRequest, Layer, Repository, PatternRequest]
HISTORIES = [Blueprint.history, Fork.history, Layer.history, Repository.history]
QUERIES = {
    "blueprints": library.blueprints,
    "versions": library.versions,
    "versions waiting": library.versions_waiting,
    "forks": forks.forks,
    "forks behind": forks.forks_behind,
    "requests": forks.requests,
    "requests waiting": forks.requests_waiting,
}


@pytest.fixture(scope="module")
def made(module_rows):
    """Returns the cast. Each tenant publishes, has a version waiting, a layer; each team has forks and repositories."""
    cast = make_cast()
    for tenant in (cast.platform, cast.domain, cast.other_domain, cast.team, cast.rival):
        version = publish(tenant, document_of(tenant))
        wait = next_of(version.blueprint, "2.0.0", lambda it: it["goal"].update(statement="Another."))
        publishing.propose_version(actor=SYSTEM, owner=tenant, text=as_text(wait), note="It waits.")
        Layer.objects.create(owner=tenant, document={"layer": 1})
    homes = {cast.team: (cast.lead, cast.domain), cast.rival: (cast.outsider, cast.other_domain)}
    for team, (worker, domain) in homes.items():
        for owner in (cast.platform, domain, team):
            fork = forking.fork_blueprint(
                actor=worker,
                version=Version.objects.get(owner=owner, status="published"),
                team=team,
                name=f"of-{owner.slug}",
                operations=[set_turns("implement", 40), prompt("plan", "Our way.")],
            )
            requests.open_request(actor=worker, fork=fork, targets=["/nodes/plan/prompt"], title="Take it")
        repository = Repository.objects.create(owner=team, slug="code", name="Code", url="https://code.example/x")
        PatternRequest.objects.create(owner=team, repository=repository, reason="We are ready.")
    head = Blueprint.objects.get(owner=cast.platform)
    publish(cast.platform, next_of(head, "1.1.0", lambda it: it["goal"].update(statement="Other.")))
    return cast


@pytest.fixture
def cast(made, db):
    return fresh(made)


@pytest.mark.parametrize("model", OWNED)
def test_the_database_shows_what_the_filter_shows_and_no_more(cast, as_role, model):
    assert model.objects.exists()
    for name, principal in cast.principals().items():
        wanted = set(model.objects.visible_to(principal).values_list("pk", flat=True))
        with as_role("hanse_app"), tenant_scope(principal.access.scope):
            unfiltered = set(model.objects.values_list("pk", flat=True))
        assert unfiltered == wanted, name


@pytest.mark.parametrize("history", HISTORIES)
def test_the_history_of_a_row_is_as_hidden_as_the_row(cast, as_role, history):
    assert history.exists()
    for name, principal in cast.principals().items():
        visible = principal.access.visible
        rows = history.all() if visible is None else history.filter(owner__in=visible)
        wanted = set(rows.values_list("history_id", flat=True))
        with as_role("hanse_app"), tenant_scope(principal.access.scope):
            assert set(history.values_list("history_id", flat=True)) == wanted, name


@pytest.mark.parametrize("rows", [*(model.objects for model in OWNED), *HISTORIES])
def test_without_a_scope_the_database_shows_nothing(cast, as_role, rows):
    with as_role("hanse_app"):
        assert rows.count() == 0


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_gives_the_same_with_and_without_the_second_line(cast, as_role, name):
    shown = set()
    for who, principal in cast.principals().items():
        wanted = sorted(row.pk for row in QUERIES[name](principal))
        with as_role("hanse_app"), tenant_scope(principal.access.scope):
            assert sorted(row.pk for row in QUERIES[name](principal)) == wanted, who
        shown |= set(wanted)
    assert shown


@pytest.mark.parametrize(
    ("who", "owners"),
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
def test_each_role_sees_the_blueprints_of_its_own_part_of_the_tree(cast, who, owners):
    principal = getattr(cast, who)
    assert {row.owner.slug for row in library.blueprints(principal)} == owners
    assert {row.owner.slug for row in forks.forks(principal)} == owners & {"ledger", "rival"}
    assert {row.owner.slug for row in forks.requests(principal)} == owners


def test_numbers_on_a_blueprint_count_the_forks_that_one_sees(cast, as_role):
    counts = {}
    for who, principal in cast.principals().items():
        with as_role("hanse_app"), tenant_scope(principal.access.scope):
            rows = library.with_fork_counts(principal, library.blueprints(principal))
            counts[who] = next(row.fork_count for row in rows if row.namespace == "platform")
    assert counts == {"admin": 2, "steward": 1, "lead": 1, "member": 1, "reviewer": 1, "outsider": 1, "stranger": 0}


def test_a_row_cannot_be_written_into_another_tenant(cast, as_role):
    fork = Fork.objects.filter(owner=cast.team).first()
    for model, values in {
        Blueprint: {"name": "spy", "title": "Spy", "summary": "Spy", "pattern": "either"},
        Fork: {"name": "spy", "blueprint": fork.blueprint, "base": fork.base, "measured": fork.base, "document": {}},
        Layer: {"document": {}},
        Repository: {"slug": "spy", "name": "Spy", "url": "x"},
    }.items():
        refused = pytest.raises(ProgrammingError, match="row-level security")
        with as_role("hanse_app"), tenant_scope(cast.lead.access.scope), refused, transaction.atomic():
            model.objects.create(owner=cast.rival, **values)


def test_who_left_a_domain_does_not_see_their_forks_of_its_blueprints_until_they_are_back(cast, as_role):
    leave_domain(actor=cast.admin, team=cast.team, domain=cast.domain)
    lead = principal_of(cast.lead.person)
    for role in ("hanse_app", None):
        with as_role(role) if role else transaction.atomic(), tenant_scope(lead.access.scope):
            assert {row.name for row in forks.forks(lead)} == {"of-platform", "of-ledger"}
            assert forks.fork_totals(lead)["forks"] == 2
            with pytest.raises(NotFound):
                forks.fork_by_ref(lead, "ledger", "of-payments")
    assert forks.fork_by_ref(cast.admin, "ledger", "of-payments")
    join_domain(actor=cast.admin, team=cast.team, domain=cast.domain)
    assert forks.fork_by_ref(principal_of(cast.lead.person), "ledger", "of-payments")


def test_a_successor_that_one_does_not_see_is_not_named_and_stands_in_no_way(cast, as_role):
    """The platform's blueprint is followed by a domain's, and a team outside that domain has a fork of it."""
    old, new = Blueprint.objects.get(owner=cast.platform), Blueprint.objects.get(owner=cast.domain)
    publishing.deprecate_blueprint(actor=cast.admin, blueprint=old, reason="The domain's is better.", successor=new)
    with as_role("hanse_app"), tenant_scope(cast.outsider.access.scope):
        outsider = cast.outsider
        head = library.version_by_ref(outsider, old.ref)
        with pytest.raises(Conflict) as refused:
            forking.fork_blueprint(actor=outsider, version=head, team=cast.rival, name="late")
        assert refused.value.facts["successor"] == ""
        fork = forks.fork_by_ref(outsider, "rival", "of-platform")
        fork = forking.rebase_fork(actor=outsider, fork=fork, onto=head, choices={})
        assert (fork.base.semver, fork.behind) == ("1.1.0", 0)
    with as_role("hanse_app"), tenant_scope(cast.lead.access.scope):
        fork = forks.fork_by_ref(cast.lead, "ledger", "of-platform")
        fork = forking.rebase_fork(
            actor=cast.lead, fork=fork, onto=library.version_by_ref(cast.lead, new.ref), choices={}
        )
        assert fork.blueprint.ref == "domain.payments/implement-ticket-brownfield"


@pytest.mark.parametrize(
    "ref",
    ["", "x", "platform", "platform/", "/x", "platform/x/y", "platform./implement-ticket-brownfield", "nobody/x",
     "platform.platform/implement-ticket-brownfield", "team/implement-ticket-brownfield", "team./x",
     "platform/implement-ticket-brownfield@", "platform/implement-ticket-brownfield@1", "platform/implement-ticket-brownfield@1.0.0@1.0.0",
     "Platform/implement-ticket-brownfield", "platform/implement-ticket-brownfield\n", "platform/\0", "domain.payments.x/y",
     "platform/implement-ticket-brownfield@9.9.9", "team.rival/implement-ticket-brownfield", "platform/implement-ticket-brownfield@" + "9" * 400],
)  # fmt: skip
def test_what_is_no_reference_or_names_nothing_visible_is_not_there(cast, ref):
    with pytest.raises(NotFound):
        library.version_by_ref(cast.lead, ref)


def test_a_reference_names_a_version_or_the_head(cast):
    name = "platform/implement-ticket-brownfield"
    assert library.version_by_ref(cast.stranger, name).semver == "1.1.0"
    assert library.version_by_ref(cast.stranger, f"{name}@1.0.0").semver == "1.0.0"
    assert library.blueprint_named(cast.stranger, name).ref == name
    with pytest.raises(NotFound, match="names a version"):
        library.blueprint_named(cast.stranger, f"{name}@1.0.0")
    assert library.owner_of(cast.lead, "domain.payments") == cast.domain
    with pytest.raises(NotFound):
        library.owner_of(cast.lead, "team.rival")
    with pytest.raises(NotFound):
        library.owner_of(cast.lead, "team.payments")
