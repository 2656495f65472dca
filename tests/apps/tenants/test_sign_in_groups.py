"""Roles by group from sign-in: what a person holds is what was given by hand and what their groups give, and no more."""

from copy import deepcopy

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.models import Event
from kernel.errors import Conflict, Forbidden, Invalid
from tenants.identity.sign_in_groups import add_sign_in_group, remove_sign_in_group, settle_groups
from tenants.models import Membership, SignInGroup
from tenants.principals import SYSTEM, principal_of
from tenants.rules import MAX_CLAIMED, MAX_GROUP, ROLES_OF_TIER, Role, Tier, claimed_groups, is_group_name
from tenants.services import give_role, set_person_active, take_role
from tests.actors import fresh, make_cast

pytestmark = pytest.mark.django_db
NAMES = ["crew", "night-crew", "all staff"]
PLACES = [("team", Role.MEMBER), ("team", Role.TEAM_LEAD), ("rival", Role.MEMBER), ("domain", Role.REVIEWER)]


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def cast(made, db):
    return fresh(made)


def rule(cast, name="crew", role=Role.MEMBER, tenant="team", actor=SYSTEM):
    return add_sign_in_group(actor=actor, tenant=getattr(cast, tenant), name=name, role=role)


def held(person):
    return {(row.tenant_id, row.role) for row in Membership.objects.filter(person=person)}


def verbs_of(tenant):
    return list(Event.objects.filter(scope=tenant.pk).order_by("id").values_list("verb", flat=True))


def test_a_group_gives_its_role_at_sign_in_and_takes_it_when_it_is_gone(cast):
    person = cast.stranger.person
    rule(cast)
    assert held(person) == set()
    settle_groups(person=person, groups={"crew", "unknown"})
    assert principal_of(person).access.has_role(cast.team.pk, Role.MEMBER)
    settle_groups(person=person, groups={"unknown"})
    assert not principal_of(person).access.sees(cast.team.pk)
    assert verbs_of(cast.team)[-2:] == ["tenants.sign_in_group.gave", "tenants.sign_in_group.took"]


def test_a_rule_that_goes_takes_at_once_what_it_alone_gave(cast):
    both, one = cast.stranger.person, cast.outsider.person
    first = rule(cast)
    second = rule(cast, "night-crew")
    settle_groups(person=both, groups={"crew", "night-crew"})
    settle_groups(person=one, groups={"crew"})
    remove_sign_in_group(actor=cast.lead, rule=first)
    assert (cast.team.pk, "member") in held(both)
    assert (cast.team.pk, "member") not in held(one)
    remove_sign_in_group(actor=cast.lead, rule=second)
    assert held(both) == set()
    took = Event.objects.filter(verb="tenants.sign_in_group.took").latest("id")
    assert str(took.person) == str(cast.lead.person.uid)


def test_a_rule_that_is_gone_already_is_gone(cast):
    standing = rule(cast)
    remove_sign_in_group(actor=cast.lead, rule=deepcopy(standing))
    remove_sign_in_group(actor=cast.lead, rule=standing)
    assert verbs_of(cast.team).count("tenants.sign_in_group.removed") == 1


def test_what_a_person_gave_no_sign_in_takes(cast):
    rule(cast)
    settle_groups(person=cast.member.person, groups={"crew"})
    settle_groups(person=cast.member.person, groups=())
    assert (cast.team.pk, "member") in held(cast.member.person)


def test_what_both_gave_stays_while_either_stands(cast):
    rule(cast)
    person = cast.member.person
    settle_groups(person=person, groups={"crew"})
    take_role(actor=cast.lead, person=person, tenant=cast.team, role=Role.MEMBER)
    assert (cast.team.pk, "member") in held(person)
    settle_groups(person=person, groups=())
    assert held(person) == set()


def test_what_a_group_gave_a_person_may_give_as_well(cast):
    rule(cast)
    person = cast.stranger.person
    settle_groups(person=person, groups={"crew"})
    give_role(actor=cast.lead, person=person, tenant=cast.team, role=Role.MEMBER)
    assert verbs_of(cast.team)[-1] == "tenants.role.given"
    settle_groups(person=person, groups=())
    assert held(person) == {(cast.team.pk, "member")}


def test_by_hand_nobody_takes_what_only_a_group_gives(cast):
    rule(cast)
    settle_groups(person=cast.stranger.person, groups={"crew"})
    with pytest.raises(Conflict, match="“crew”"):
        take_role(actor=cast.lead, person=cast.stranger.person, tenant=cast.team, role=Role.MEMBER)


@pytest.mark.parametrize("who", ["admin", "steward", "lead", "member", "reviewer", "outsider", "stranger"])
@pytest.mark.parametrize("where", ["platform", "domain", "team", "rival"])
def test_who_may_not_give_a_role_by_hand_may_not_give_it_by_group(cast, who, where):
    actor, tenant = getattr(cast, who), getattr(cast, where)
    for role in sorted(ROLES_OF_TIER[Tier(tenant.tier)]):
        refusals = []
        acts = (
            lambda role=role: give_role(actor=actor, person=cast.rival_agent.sponsor, tenant=tenant, role=role),
            lambda role=role: add_sign_in_group(actor=actor, tenant=tenant, name="crew", role=role),
        )
        for act in acts:
            try:
                with transaction.atomic():
                    act()
            except Forbidden as refusal:
                refusals.append((refusal.missing, refusal.given_by))
        if actor.person != cast.rival_agent.sponsor:
            assert len(refusals) in {0, 2}
            assert len(set(refusals)) < 2
        standing = rule(cast, "other", role, where)
        if len(refusals) == 2:
            with pytest.raises(Forbidden):
                remove_sign_in_group(actor=actor, rule=standing)


def test_nobody_gives_themselves_a_role_by_a_rule_of_their_own(cast):
    rule(cast, actor=cast.admin)
    settle_groups(person=cast.admin.person, groups={"crew"})
    settle_groups(person=cast.stranger.person, groups={"crew"})
    assert held(cast.admin.person) == {(cast.platform.pk, "platform_admin")}
    assert held(cast.stranger.person) == {(cast.team.pk, "member")}


def test_a_role_of_another_tier_is_no_rule(cast):
    with pytest.raises(Invalid):
        rule(cast, role=Role.PLATFORM_ADMIN, actor=cast.admin)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "nul\0", "x" * (MAX_GROUP + 1), "\u202eturned", "tab\tbed"])
def test_a_name_that_is_none_is_refused(cast, name):
    with pytest.raises(Invalid) as refusal:
        rule(cast, name, actor=cast.lead)
    assert list(refusal.value.errors) == ["group"]


def test_a_rule_stands_once(cast):
    assert rule(cast, actor=cast.lead).pk == rule(cast, " crew ", actor=cast.admin).pk
    assert verbs_of(cast.team).count("tenants.sign_in_group.added") == 1


def test_groups_do_not_count_for_the_last_platform_admin(cast):
    rule(cast, role=Role.PLATFORM_ADMIN, tenant="platform")
    settle_groups(person=cast.lead.person, groups={"crew"})
    by_group = principal_of(cast.lead.person)
    assert by_group.access.is_platform_admin
    with pytest.raises(Conflict):
        take_role(actor=by_group, person=cast.admin.person, tenant=cast.platform, role=Role.PLATFORM_ADMIN)
    with pytest.raises(Conflict):
        set_person_active(actor=by_group, person=cast.admin.person, active=False)
    set_person_active(actor=cast.admin, person=cast.lead.person, active=False)


def test_a_sign_in_that_changes_nothing_wakes_no_gateway_and_records_nothing(cast, django_assert_num_queries):
    rule(cast)
    settle_groups(person=cast.stranger.person, groups={"crew"})
    before = Event.objects.count()
    with django_assert_num_queries(5):  # savepoint, person, rules, roles, end: nothing is written
        settle_groups(person=cast.stranger.person, groups={"crew"})
    assert Event.objects.count() == before


@pytest.mark.parametrize(
    "claim",
    [None, "crew", {"crew": True}, ["crew", 1], [["crew"]], ["crew"] * (MAX_CLAIMED + 1), b"crew", True, 7],
)
def test_a_claim_that_is_no_list_of_texts_or_has_no_end_names_no_group(claim):
    assert claimed_groups(claim) == frozenset()


@given(st.lists(st.text(max_size=300), max_size=30))
def test_a_claim_names_just_what_can_be_a_rule(claim):
    assert claimed_groups(claim) == {name for name in claim if is_group_name(name)}


def test_thousands_of_groups_are_one_question(cast, django_assert_num_queries):
    rule(cast, "group-4999")
    groups = claimed_groups([f"group-{number}" for number in range(MAX_CLAIMED)])
    with django_assert_num_queries(15):
        settle_groups(person=cast.stranger.person, groups=groups)
    assert held(cast.stranger.person) == {(cast.team.pk, "member")}


PAIR = st.tuples(st.sampled_from(NAMES), st.sampled_from(PLACES))
STEP = st.one_of(
    st.tuples(st.just("add"), PAIR),
    st.tuples(st.just("remove"), PAIR),
    st.tuples(st.just("give"), st.sampled_from(PLACES)),
    st.tuples(st.just("take"), st.sampled_from(PLACES)),
    st.tuples(st.just("sign in"), st.frozensets(st.sampled_from([*NAMES, "unknown"]))),
)


@settings(max_examples=60)
@given(st.lists(STEP, max_size=14))
def test_whatever_happens_a_person_holds_what_was_given_by_hand_and_what_their_groups_give(made, steps):
    """The model: sets. By hand; the rules; and by group the rules that stood at the last sign-in and stand still."""
    with transaction.atomic():
        person = made.stranger.person
        by_hand, rules, by_group = set(), set(), set()
        for step, what in steps:
            _do(made, person, step, what)
            if step == "add":
                rules.add(what)
            elif step == "remove":
                rules.discard(what)
                by_group.discard(what)
            elif step == "give":
                by_hand.add(what)
            elif step == "take":
                by_hand.discard(what)
            else:
                by_group = {pair for pair in rules if pair[0] in what}
            places = by_hand | {place for _, place in by_group}
            assert held(person) == {(getattr(made, where).pk, role) for where, role in places}
            visible = principal_of(person).access.roles
            assert {(tenant, role) for tenant, roles in visible.items() for role in roles} == held(person)
        transaction.set_rollback(True)


def _do(cast, person, step, what):
    if step == "sign in":
        settle_groups(person=person, groups=what)
        return
    name, (where, role) = what if step in {"add", "remove"} else ("", what)
    tenant = getattr(cast, where)
    if step == "add":
        add_sign_in_group(actor=SYSTEM, tenant=tenant, name=name, role=role)
    elif step == "remove":
        for found in SignInGroup.objects.filter(tenant=tenant, name=name, role=role):
            remove_sign_in_group(actor=SYSTEM, rule=found)
    elif step == "give":
        give_role(actor=SYSTEM, person=person, tenant=tenant, role=role)
    else:
        try:
            take_role(actor=SYSTEM, person=person, tenant=tenant, role=role)
        except Conflict:
            assert not Membership.objects.get(person=person, tenant=tenant, role=role).by_hand
