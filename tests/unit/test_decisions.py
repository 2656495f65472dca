"""The decision point: properties over all its inputs, and each leg on its own."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.decisions import AgentFacts, Context, DelegationFacts, PersonFacts, ToolFacts, decide
from tenants.rules import MAX_DEPTH, MAX_RISK, Effect, Profile, Role, Sensitivity, role_effect

TEAM, DOMAIN, PLATFORM, OTHER = 1, 2, 3, 4
GROUPS = ["books", "mail", "git"]

effects = st.sampled_from(list(Effect)).map(int)
sensitivities = st.sampled_from(list(Sensitivity)).map(int)
groups = st.frozensets(st.sampled_from(GROUPS))
teams = st.sampled_from([TEAM, OTHER])
moments = st.floats(min_value=0, max_value=100, allow_nan=False)

people = st.builds(
    PersonFacts,
    id=st.sampled_from([1, 2]),
    uid=st.just("person"),
    active=st.booleans(),
    clearance=sensitivities,
    roles=st.dictionaries(teams, st.frozensets(st.sampled_from([*Role, "unheard-of"]).map(str))),
)
agents = st.builds(
    AgentFacts,
    id=st.sampled_from([1, 2]),
    uid=st.just("agent"),
    active=st.booleans(),
    sponsor_active=st.booleans(),
    home=teams,
    profile=st.sampled_from([*Profile, "unheard-of"]).map(str),
    risk=st.integers(0, MAX_RISK),
)
links = st.builds(
    DelegationFacts,
    id=st.just(1),
    uid=st.just("delegation"),
    person=st.sampled_from([1, 2]),
    agent=st.sampled_from([1, 2]),
    team=teams,
    groups=groups,
    effect=effects,
    sensitivity=sensitivities,
    not_before=moments,
    not_after=moments,
    revoked=st.booleans(),
    depth=st.integers(0, MAX_DEPTH + 1),
)
tools = st.builds(
    ToolFacts,
    uid=st.just("tool"),
    owner=st.sampled_from([TEAM, DOMAIN, PLATFORM, OTHER]),
    effect=effects,
    sensitivity=sensitivities,
    groups=groups,
)
contexts = st.builds(Context, team=teams, reach=st.frozensets(st.sampled_from([TEAM, DOMAIN, PLATFORM])), now=moments)


@st.composite
def chains(draw):
    """A delegation below up to three others."""
    above = None
    for link in draw(st.lists(links, min_size=1, max_size=4)):
        above = replace(link, parent=above)
    return above


# What allows in itself, so that the properties are not only about refusals.
PERSON = PersonFacts(1, "person", True, 3, {TEAM: frozenset({"team_lead"})})
AGENT = AgentFacts(1, "agent", True, True, TEAM, "operator", 0)
LINK = DelegationFacts(1, "delegation", 1, 1, TEAM, frozenset(GROUPS), 2, 3, 0, 100, False, 0)
TOOL = ToolFacts("tool", TEAM, 2, 3, frozenset({"books"}))
HERE = Context(TEAM, frozenset({TEAM, DOMAIN, PLATFORM}), 50)

cases = st.tuples(
    st.just(PERSON) | people,
    st.just(AGENT) | agents,
    st.just(LINK) | chains(),
    st.just(TOOL) | tools,
    st.just(HERE) | contexts,
)


def test_the_full_case_is_allowed():
    assert decide(PERSON, AGENT, LINK, TOOL, HERE).allow
    assert decide(PERSON, AGENT, replace(LINK, parent=LINK, depth=1), TOOL, HERE).allow


@given(cases, st.sampled_from([0, 1, 2]))
def test_a_missing_principal_is_a_refusal(case, which):
    principals = list(case[:3])
    principals[which] = None
    assert not decide(*principals, *case[3:]).allow


@given(cases)
def test_an_answer_is_either_allowed_or_has_a_reason(case):
    decision = decide(*case)
    assert decision.allow == (decision.reasons == ("person", "agent", "delegation"))
    assert decision.reasons


@given(cases)
def test_the_agent_never_exceeds_the_person(case):
    person, _agent, link, tool, context = case
    if decide(*case).allow:
        roles = person.roles.get(context.team, frozenset())
        assert person.active
        assert role_effect(roles) >= tool.effect
        assert person.clearance >= tool.sensitivity
        assert tool.owner in context.reach
        assert link.person == person.id


@given(cases)
def test_a_delegation_never_exceeds_what_it_was_cut_from(case):
    person, agent, link, tool, context = case
    if decide(*case).allow:
        while link is not None:
            assert decide(person, agent, replace(link, parent=None), tool, context).allow
            link = link.parent


NARROWINGS = {
    "person inactive": lambda p, a, d, t, c: (replace(p, active=False), a, d, t, c),
    "clearance lower": lambda p, a, d, t, c: (replace(p, clearance=p.clearance - 1), a, d, t, c),
    "no roles": lambda p, a, d, t, c: (replace(p, roles={}), a, d, t, c),
    "only a reviewer": lambda p, a, d, t, c: (
        replace(p, roles={k: v & {"reviewer"} for k, v in p.roles.items()}),
        a,
        d,
        t,
        c,
    ),
    "agent suspended": lambda p, a, d, t, c: (p, replace(a, active=False), d, t, c),
    "sponsor gone": lambda p, a, d, t, c: (p, replace(a, sponsor_active=False), d, t, c),
    "risk up": lambda p, a, d, t, c: (p, replace(a, risk=MAX_RISK), d, t, c),
    "profile down": lambda p, a, d, t, c: (p, replace(a, profile="reader"), d, t, c),
    "revoked": lambda p, a, d, t, c: (p, a, replace(d, revoked=True), t, c),
    "fewer groups": lambda p, a, d, t, c: (p, a, replace(d, groups=d.groups - {"books"}), t, c),
    "effect lower": lambda p, a, d, t, c: (p, a, replace(d, effect=d.effect - 1), t, c),
    "sensitivity lower": lambda p, a, d, t, c: (p, a, replace(d, sensitivity=d.sensitivity - 1), t, c),
    "ends earlier": lambda p, a, d, t, c: (p, a, replace(d, not_after=d.not_after - 30), t, c),
    "begins later": lambda p, a, d, t, c: (p, a, replace(d, not_before=d.not_before + 30), t, c),
    "tool destroys": lambda p, a, d, t, c: (p, a, d, replace(t, effect=2), c),
    "tool restricted": lambda p, a, d, t, c: (p, a, d, replace(t, sensitivity=3), c),
    "tool in fewer groups": lambda p, a, d, t, c: (p, a, d, replace(t, groups=t.groups - {"books"}), c),
    "reach smaller": lambda p, a, d, t, c: (p, a, d, t, replace(c, reach=c.reach - {DOMAIN, PLATFORM})),
}


@pytest.mark.parametrize("narrowing", NARROWINGS)
@given(case=cases)
def test_adding_a_constraint_never_widens(narrowing, case):
    narrowed = NARROWINGS[narrowing](*case)
    if decide(*narrowed).allow:
        assert decide(*case).allow


@given(cases, links)
def test_a_parent_never_widens(case, above):
    person, agent, link, tool, context = case
    top = link
    while top.parent is not None:
        top = top.parent
    if top is link and decide(person, agent, replace(link, parent=above), tool, context).allow:
        assert decide(*case).allow


def test_a_chain_that_never_ends_is_refused_in_time():
    loop = replace(LINK)
    object.__setattr__(loop, "parent", loop)
    assert "delegation.too_deep" in decide(PERSON, AGENT, loop, TOOL, HERE).reasons


@pytest.mark.parametrize(("now", "allowed"), [(-1, False), (0, True), (99.9, True), (100, False), (101, False)])
def test_a_delegation_holds_from_its_first_moment_to_before_its_last(now, allowed):
    assert decide(PERSON, AGENT, LINK, TOOL, replace(HERE, now=now)).allow is allowed


def test_a_parent_of_somebody_else_carries_nothing():
    above = replace(LINK, person=PERSON.id + 1)
    decision = decide(PERSON, AGENT, replace(LINK, parent=above, depth=1), TOOL, HERE)
    assert decision.reasons == ("parent.of_others",)
