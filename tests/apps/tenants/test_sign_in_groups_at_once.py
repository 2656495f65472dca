"""A sign-in and a change of what it goes by, at once: nobody is left with a role that nothing gives, or without one."""

from copy import deepcopy

import pytest

from tenants.identity.sign_in_groups import add_sign_in_group, remove_sign_in_group, settle_groups
from tenants.models import Membership
from tenants.principals import SYSTEM
from tenants.rules import Role
from tenants.services import give_role
from tests.actors import make_cast
from tests.apps.blueprints.test_concurrency import overlap

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def world():
    cast = make_cast()
    rule = add_sign_in_group(actor=SYSTEM, tenant=cast.team, name="crew", role=Role.MEMBER)
    person = cast.stranger.person
    acts = {
        "in": lambda: settle_groups(person=person, groups={"crew"}),
        "out": lambda: settle_groups(person=person, groups=()),
        "rule": lambda: remove_sign_in_group(actor=SYSTEM, rule=deepcopy(rule)),
        "hand": lambda: give_role(actor=SYSTEM, person=person, tenant=cast.team, role=Role.MEMBER),
    }
    return person, acts


def grounds(person):
    return list(Membership.objects.filter(person=person).values_list("by_hand", "groups"))


@pytest.mark.parametrize("order", [("in", "rule"), ("rule", "in")])
def test_a_sign_in_and_the_end_of_its_rule_wait_for_one_another(world, order):
    person, acts = world
    overlap(*(acts[name] for name in order))
    assert grounds(person) == []


@pytest.mark.parametrize(("order", "last"), [(("in", "out"), []), (("out", "in"), [(False, ["crew"])])])
def test_of_two_sign_ins_the_last_counts(world, order, last):
    person, acts = world
    overlap(*(acts[name] for name in order))
    assert grounds(person) == last


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("end", ["out", "rule"])
def test_what_is_given_by_hand_while_the_group_goes_is_held(world, end, before):
    person, acts = world
    acts["in"]()
    overlap(*((acts["hand"], acts[end]) if before else (acts[end], acts["hand"])))
    assert grounds(person) == [(True, [])]


def test_both_may_give_at_once(world):
    person, acts = world
    overlap(acts["hand"], acts["in"])
    assert grounds(person) == [(True, ["crew"])]
