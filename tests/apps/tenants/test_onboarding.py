"""An onboarding: who may begin and go on with one, what its steps make, and what two people at once do to it."""

import pytest
from django.db import ProgrammingError, connection, transaction

from audit.models import Event
from kernel.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from kernel.ids import new_uid
from tenants import onboarding, queries
from tenants.identity.sign_in_groups import add_sign_in_group, settle_groups
from tenants.models import Agent, Membership, Onboarding, Person, SignInGroup, Tenant
from tenants.onboarding import Means
from tenants.principals import NOBODY, SYSTEM, principal_of
from tenants.rules import Role
from tenants.scope import tenant_scope
from tenants.services import give_role
from tenants.steps import NewPasswords
from tests.actors import make_cast, make_person

pytestmark = pytest.mark.django_db

NO_PASSWORDS = Means(given=(NewPasswords(wanted=False),))
ANSWERS = {"name": "Nordic cards", "kind": "acquired", "domains": ["payments"], "lead": "stranger@example.test"}


@pytest.fixture
def cast():
    return make_cast()


@pytest.fixture
def begun(cast):
    row = onboarding.begin(actor=cast.steward, name="Nordic cards", kind="acquired")
    return onboarding.save_answers(actor=cast.steward, onboarding=row, key="tenant", values=ANSWERS)


def commit(actor, row, key, means=NO_PASSWORDS):
    return onboarding.commit_step(actor=actor, onboarding=row, key=key, means=means)


def stand(cast, row) -> Onboarding:
    commit(cast.admin, row, "tenant")
    return Onboarding.objects.select_related("owner").get(pk=row.pk)


def marks(actor, row, key):
    return [(line.mark, line.kind) for line in onboarding.plan(actor, row, key)]


@pytest.mark.parametrize("who", ["lead", "member", "reviewer", "outsider", "stranger"])
def test_only_stewards_and_admins_begin(cast, who):
    with pytest.raises(Forbidden) as refused:
        onboarding.begin(actor=getattr(cast, who), name="Mine")
    assert refused.value.facts["missing"] == "domain_steward in a domain"


def test_a_steward_proposes_and_cannot_create(cast, begun):
    assert ("make", "team") in marks(cast.steward, begun, "tenant")
    with pytest.raises(Forbidden, match="platform admin"):
        commit(cast.steward, begun, "tenant")
    proposed = onboarding.propose(actor=cast.steward, onboarding=begun)
    assert onboarding.state_of(cast.admin, proposed, "tenant").word == "waiting"
    assert not Tenant.objects.filter(slug="nordic-cards").exists()


def test_the_dry_run_is_exactly_what_is_made(cast, begun):
    planned = [line.text for line in onboarding.plan(cast.admin, begun, "tenant") if line.mark == "make"]
    assert len(planned) == 3
    row = stand(cast, begun)
    team = row.owner
    assert (team.slug, team.origin, team.tier) == ("nordic-cards", "acquired", "team")
    assert [domain.slug for domain in team.domains.all()] == ["payments"]
    assert [(held.person.handle, held.role) for held in team.memberships.all()] == [("stranger", "team_lead")]
    event = Event.objects.filter(scope=team.pk, verb="tenants.onboarding.committed").get()
    assert event.object == f"onboarding:{row.uid}"


def test_doing_a_step_twice_is_doing_it_once(cast, begun):
    row = stand(cast, begun)
    before = (Tenant.objects.count(), Membership.objects.count(), Person.objects.count())
    assert {mark for mark, _ in marks(cast.admin, row, "tenant")} == {"there"}
    commit(cast.admin, row, "tenant")
    assert (Tenant.objects.count(), Membership.objects.count(), Person.objects.count()) == before


def test_what_a_colleague_did_elsewhere_counts(cast, begun):
    row = stand(cast, begun)
    lead = principal_of(row.lead)
    assert onboarding.state_of(lead, row, "people").word == "open"
    Agent.objects.create(slug="nordic-bot", name="Bot", home=row.owner, sponsor=row.lead)
    assert onboarding.state_of(lead, row, "people").word == "done"


def test_before_the_team_stands_it_is_seen_by_the_two_people_it_names(cast, begun):
    seen = {who: bool(queries.onboardings(actor).count()) for who, actor in cast.principals().items()}
    assert {who for who, sees in seen.items() if sees} == {"admin", "steward"}
    onboarding.hand_over(actor=cast.steward, onboarding=begun, lead=cast.stranger.person)
    assert queries.onboarding_by_uid(cast.stranger, str(begun.uid)) == begun
    with pytest.raises(NotFound):
        queries.onboarding_by_uid(cast.lead, str(begun.uid))
    assert not queries.onboardings(NOBODY).exists()


def test_afterwards_it_is_seen_by_who_sees_the_team(cast, begun):
    row = stand(cast, begun)
    give_role(actor=SYSTEM, person=cast.reviewer.person, tenant=row.owner, role=Role.REVIEWER)
    fresh = {who: principal_of(actor.person) for who, actor in cast.principals().items()}
    seen = {who for who, actor in fresh.items() if queries.onboardings(actor).exists()}
    assert seen == {"admin", "steward", "stranger", "reviewer"}
    with pytest.raises(Forbidden):
        onboarding.save_answers(actor=fresh["reviewer"], onboarding=row, key="people", values={"people": ""})


@pytest.mark.parametrize("who", ["admin", "steward", "lead", "member", "reviewer", "outsider", "stranger"])
@pytest.mark.parametrize("stands", [False, True])
def test_the_database_shows_no_more_than_the_queries(cast, begun, as_role, who, stands):
    if stands:
        stand(cast, begun)
    else:
        onboarding.hand_over(actor=cast.steward, onboarding=begun, lead=cast.stranger.person)
    actor = principal_of(getattr(cast, who).person)
    wanted = set(queries.onboardings(actor).values_list("pk", flat=True))
    with as_role("hanse_app"), tenant_scope(actor.access.scope, person=actor.person_id), connection.cursor() as cursor:
        cursor.execute("SELECT id FROM tenants_onboarding")
        assert {row[0] for row in cursor.fetchall()} == wanted


def test_nobody_writes_an_onboarding_of_others_past_the_services(cast, as_role):
    refused = pytest.raises(ProgrammingError, match="row-level security")
    scope = tenant_scope(cast.lead.access.scope, person=cast.lead.person_id)
    with as_role("hanse_app"), scope, refused, transaction.atomic():
        Onboarding.objects.create(name="Theirs", begun_by=cast.steward.person)


def test_the_address_alone_opens_nothing(cast, begun):
    for act in (
        lambda: onboarding.plan(cast.outsider, begun, "tenant"),
        lambda: onboarding.save_answers(actor=cast.outsider, onboarding=begun, key="tenant", values={"region": "x"}),
        lambda: onboarding.hand_over(actor=cast.outsider, onboarding=begun, lead=cast.outsider.person),
        lambda: onboarding.close(actor=cast.outsider, onboarding=begun, reason="mine"),
        lambda: onboarding.note_first_call(actor=cast.outsider, onboarding=begun, call=new_uid()),
        lambda: onboarding.propose(actor=cast.outsider, onboarding=begun),
        lambda: commit(cast.outsider, begun, "tenant"),
    ):
        with pytest.raises(Forbidden):
            act()


def test_two_who_answer_the_same_step_do_not_overwrite_each_other(cast, begun):
    revision = onboarding.held(begun, "tenant").revision
    onboarding.save_answers(
        actor=cast.steward, onboarding=begun, key="tenant", values={"region": "North"}, expected_revision=revision
    )
    with pytest.raises(PreconditionFailed, match="Steward changed this step"):
        onboarding.save_answers(
            actor=cast.admin, onboarding=begun, key="tenant", values={"region": "South"}, expected_revision=revision
        )
    row = Onboarding.objects.get(pk=begun.pk)
    assert onboarding.held(row, "tenant").values["region"] == "North"


def test_two_who_answer_different_steps_do_not_meet(cast, begun):
    revision = onboarding.held(begun, "people").revision
    onboarding.save_answers(actor=cast.steward, onboarding=begun, key="tenant", values={"region": "North"})
    row = onboarding.save_answers(
        actor=cast.admin, onboarding=begun, key="people", values={"agents": "Bot"}, expected_revision=revision
    )
    assert onboarding.held(row, "tenant").values["region"] == "North"
    assert onboarding.held(row, "people").values == {"agents": "Bot"}


def test_a_named_lead_cannot_find_out_who_is_here(cast, begun):
    row = onboarding.hand_over(actor=cast.steward, onboarding=begun, lead=cast.stranger.person)
    with pytest.raises(Invalid) as refused:
        onboarding.save_answers(
            actor=cast.stranger, onboarding=row, key="tenant", values={"lead": "admin@example.test"}
        )
    assert set(refused.value.errors) == {"lead"}
    with pytest.raises(Forbidden):
        queries.person_to_name(cast.stranger, "admin")


@pytest.mark.parametrize(
    ("key", "values", "field"),
    [
        ("tenant", {"nothing": "x"}, "nothing"),
        ("tenant", {"name": 7}, "name"),
        ("tenant", {"kind": "moon"}, "kind"),
        ("tenant", {"domains": "payments"}, "domains"),
        ("tenant", {"domains": ["nowhere"]}, "domains"),
        ("tenant", {"region": "a\0b"}, "region"),
        ("people", {"people": "x" * 50_000}, "people"),
        ("server", {"credential": "hunter2"}, "credential"),
        ("server", {"tools": {"a": {"effect": 7}}}, "tools"),
        ("server", {"tools": [["a"]]}, "tools"),
    ],
)
def test_what_cannot_be_kept_is_refused_at_its_field(cast, begun, key, values, field):
    row = stand(cast, begun) if key != "tenant" else begun
    with pytest.raises(Invalid) as refused:
        onboarding.save_answers(actor=cast.admin, onboarding=row, key=key, values=values)
    assert set(refused.value.errors) == {field}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slug": "ledger"}, "slug"),
        ({"slug": "Ä"}, "slug"),
        ({"name": " "}, "name"),
        ({"lead": ""}, "lead"),
        ({"lead": "nobody-here"}, "lead"),
        ({"lead": "new@example.test"}, "lead_name"),
    ],
)
def test_a_fault_of_the_dry_run_stops_the_step(cast, begun, change, field):
    row = onboarding.save_answers(actor=cast.admin, onboarding=begun, key="tenant", values=change)
    with pytest.raises(Invalid) as refused:
        commit(cast.admin, row, "tenant")
    assert field in refused.value.errors
    assert Onboarding.objects.get(pk=row.pk).owner is None


def test_a_lead_who_is_new_is_added_with_a_password_shown_once(cast, begun):
    values = {"lead": "ada@example.test", "lead_name": "Ada Example"}
    row = onboarding.save_answers(actor=cast.admin, onboarding=begun, key="tenant", values=values)
    done = commit(cast.admin, row, "tenant", Means(given=(NewPasswords(wanted=True),)))
    ((address, password),) = done.shown
    person = Person.objects.get(email=address)
    assert person.check_password(password)
    assert password not in str(Onboarding.objects.get(pk=row.pk).answers)
    assert password not in str(list(Event.objects.values_list("leaf", flat=True)))


def test_people_and_agents_are_taken_in_all_or_none(cast, begun):
    row = stand(cast, begun)
    lines = "Member,member@example.test,member\nNew One,new.one@example.test\n"
    values = {"people": lines + "Odd,no address,member", "agents": "Nordic helper, builder"}
    row = onboarding.save_answers(actor=cast.admin, onboarding=row, key="people", values=values)
    with pytest.raises(Invalid) as refused:
        commit(cast.admin, row, "people")
    assert refused.value.errors == {"people": ["Line 3: “no address” is no address."]}
    assert not Agent.objects.filter(home=row.owner).exists()
    row = onboarding.save_answers(actor=cast.admin, onboarding=row, key="people", values={"people": lines})
    commit(cast.admin, row, "people")
    roles = set(Membership.objects.filter(tenant=row.owner).values_list("person__handle", "role"))
    assert roles == {("stranger", "team_lead"), ("member", "member"), ("new-one", "member")}
    agent = Agent.objects.get(home=row.owner)
    assert (agent.slug, agent.profile, agent.sponsor) == ("nordic-helper", "builder", row.lead)
    assert {mark for mark, _ in marks(cast.admin, row, "people")} == {"there"}
    commit(cast.admin, row, "people")
    assert Agent.objects.filter(home=row.owner).count() == 1


def test_groups_get_roles_by_line_and_are_planned_as_they_are_made(cast, begun):
    row = stand(cast, begun)
    lead = principal_of(row.lead)
    values = {"groups": "CN=Night,OU=Crew, member\ncrew, king\ncrew, lead"}
    row = onboarding.save_answers(actor=lead, onboarding=row, key="people", values=values)
    with pytest.raises(Invalid) as refused:
        commit(lead, row, "people")
    assert refused.value.errors == {"groups": ["Line 2: “king” is no role; one of lead, member, reviewer."]}
    assert not SignInGroup.objects.exists()
    values = {"groups": values["groups"].replace("king", "reviewer")}
    row = onboarding.save_answers(actor=lead, onboarding=row, key="people", values=values)
    assert marks(lead, row, "people") == [("make", "group")] * 3
    commit(lead, row, "people")
    rules = set(SignInGroup.objects.values_list("tenant", "name", "role", "made_by"))
    made = (("CN=Night,OU=Crew", "member"), ("crew", "reviewer"), ("crew", "team_lead"))
    assert rules == {(row.owner.pk, name, role, row.lead.pk) for name, role in made}
    assert marks(lead, row, "people") == [("there", "group")] * 3
    commit(lead, row, "people")
    assert SignInGroup.objects.count() == 3


def test_a_role_by_group_may_be_given_by_line_as_well(cast, begun):
    row = stand(cast, begun)
    add_sign_in_group(actor=SYSTEM, tenant=row.owner, name="crew", role=Role.MEMBER)
    settle_groups(person=cast.member.person, groups={"crew"})
    values = {"people": "Member,member@example.test"}
    row = onboarding.save_answers(actor=cast.admin, onboarding=row, key="people", values=values)
    assert marks(cast.admin, row, "people") == [("make", "role")]
    commit(cast.admin, row, "people")
    assert marks(cast.admin, row, "people") == [("there", "role")]
    assert Membership.objects.get(person=cast.member.person, tenant=row.owner).by_hand


def test_a_lead_gives_roles_to_known_people_and_adds_nobody(cast, begun):
    row = stand(cast, begun)
    lead = principal_of(row.lead)
    values = {"people": "Member,member@example.test\nNew,new@example.test", "agents": ""}
    row = onboarding.save_answers(actor=lead, onboarding=row, key="people", values=values)
    faults = onboarding.faults_of(onboarding.plan(lead, row, "people"))
    assert len(faults["people"]) == 1
    assert faults["people"][0].startswith("Line 2: nobody has the address new@example.test.")


def test_a_member_cannot_ask_who_is_here(cast, begun):
    row = stand(cast, begun)
    give_role(actor=SYSTEM, person=cast.member.person, tenant=row.owner, role=Role.MEMBER)
    with pytest.raises(Forbidden, match="give roles"):
        onboarding.plan(principal_of(cast.member.person), row, "people")


def test_a_lead_does_not_make_themselves_something_else(cast, begun):
    row = stand(cast, begun)
    lead = principal_of(row.lead)
    values = {"people": "Me,stranger@example.test,reviewer"}
    row = onboarding.save_answers(actor=lead, onboarding=row, key="people", values=values)
    assert "nobody gives themselves" in str(onboarding.faults_of(onboarding.plan(lead, row, "people")))


def test_handles_of_the_same_name_are_told_apart(cast, begun):
    make_person("new-one")
    row = stand(cast, begun)
    values = {"people": "A,new.one@example.test\nB,new_one@other.test"}
    row = onboarding.save_answers(actor=cast.admin, onboarding=row, key="people", values=values)
    with pytest.raises(Invalid):  # the same address is known already, so the first is no new person
        onboarding.save_answers(actor=cast.admin, onboarding=row, key="people", values={"people": 1})
    commit(cast.admin, row, "people")
    handles = set(Membership.objects.filter(tenant=row.owner, role="member").values_list("person__handle", flat=True))
    assert handles == {"new-one-2", "new-one-3"}


def test_other_steps_wait_for_the_team(cast, begun):
    assert {onboarding.state_of(cast.admin, begun, key).word for key in ("people", "server", "call")} == {"later"}
    assert marks(cast.admin, begun, "people") == [("fault", "team")]
    with pytest.raises(Invalid):
        commit(cast.admin, begun, "people")


def test_a_closed_one_is_left_as_it_is(cast, begun):
    row = onboarding.close(actor=cast.steward, onboarding=begun, reason="Not now.")
    with pytest.raises(Conflict):
        onboarding.save_answers(actor=cast.steward, onboarding=row, key="tenant", values={"region": "x"})
    with pytest.raises(Conflict):
        commit(cast.admin, row, "tenant")


def test_the_first_call_is_noted_once(cast, begun):
    row = stand(cast, begun)
    lead, first = principal_of(row.lead), new_uid()
    onboarding.note_first_call(actor=lead, onboarding=row, call=first)
    onboarding.note_first_call(actor=lead, onboarding=row, call=new_uid())
    row = Onboarding.objects.get(pk=row.pk)
    assert row.first_call == first
    assert row.first_call_at > row.started_at
    assert Event.objects.filter(verb="tenants.onboarding.finished", scope=row.owner_id).count() == 1
