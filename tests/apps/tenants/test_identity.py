"""Roles, agents and delegations: who may give what, and that nothing ever grows."""

from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from tenants import queries
from tenants.identity.agents import change_agent, register_agent, resume_agent, suspend_agent
from tenants.identity.delegation import delegate, narrow_delegation, revoke_delegation
from tenants.identity.tokens import Issuer, mint_token
from tenants.principals import principal_of
from tenants.rules import Concern, Effect, Profile, Role, Sensitivity, Tier
from tenants.services import (
    add_person,
    create_tenant,
    give_role,
    join_domain,
    leave_domain,
    set_person_active,
    take_role,
)
from tests.actors import fresh, make_cast, make_delegation

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def cast(made, db):
    return fresh(made)


@pytest.fixture
def issuer():
    return Issuer("https://hanse.example", OKPKey.generate_key("Ed25519", parameters={"kid": "k"}))


def test_nobody_gives_themselves_a_role(cast):
    for actor in (cast.admin, cast.lead, cast.steward):
        with pytest.raises(Forbidden):
            give_role(actor=actor, person=actor.person, tenant=cast.team, role=Role.TEAM_LEAD)


@pytest.mark.parametrize(
    ("who", "where", "allowed"),
    [
        ("admin", "team", True),
        ("lead", "team", True),
        ("steward", "domain", True),
        ("steward", "team", False),
        ("member", "team", False),
        ("reviewer", "team", False),
        ("outsider", "team", False),
        ("lead", "rival", False),
        ("lead", "domain", False),
        ("lead", "platform", False),
        ("stranger", "team", False),
    ],
)
def test_roles_are_given_by_who_keeps_the_tenant(cast, who, where, allowed):
    tenant = getattr(cast, where)
    role = {Tier.TEAM: Role.MEMBER, Tier.DOMAIN: Role.REVIEWER, Tier.PLATFORM: Role.REVIEWER}[tenant.tier]
    person = cast.stranger.person if who != "stranger" else cast.member.person
    if allowed:
        give_role(actor=getattr(cast, who), person=person, tenant=tenant, role=role)
        assert principal_of(person).access.has_role(tenant.pk, role)
    else:
        with pytest.raises(Forbidden):
            give_role(actor=getattr(cast, who), person=person, tenant=tenant, role=role)


def test_a_role_belongs_to_its_tier(cast):
    with pytest.raises(Invalid):
        give_role(actor=cast.admin, person=cast.member.person, tenant=cast.team, role=Role.PLATFORM_ADMIN)


def test_the_last_platform_admin_stays(cast):
    with pytest.raises(Conflict):
        take_role(actor=cast.admin, person=cast.admin.person, tenant=cast.platform, role=Role.PLATFORM_ADMIN)


def test_who_is_switched_off_is_no_other_platform_admin(cast):
    give_role(actor=cast.admin, person=cast.lead.person, tenant=cast.platform, role=Role.PLATFORM_ADMIN)
    set_person_active(actor=cast.admin, person=cast.lead.person, active=False)
    with pytest.raises(Conflict):
        take_role(actor=cast.admin, person=cast.admin.person, tenant=cast.platform, role=Role.PLATFORM_ADMIN)


def test_a_person_can_always_leave(cast):
    take_role(actor=cast.member, person=cast.member.person, tenant=cast.team, role=Role.MEMBER)
    assert not principal_of(cast.member.person).access.sees(cast.team.pk)


def test_only_the_platform_admin_makes_tenants_and_people(cast):
    for actor in (cast.steward, cast.lead, cast.member):
        with pytest.raises(Forbidden):
            create_tenant(actor=actor, tier=Tier.TEAM, slug="new", name="New")
        with pytest.raises(Forbidden):
            add_person(actor=actor, email="x@example.test", name="X", handle="x")


@pytest.mark.parametrize(("tier", "concern"), [(Tier.DOMAIN, ""), (Tier.TEAM, Concern.BUSINESS)])
def test_a_domain_has_a_concern_and_nothing_else_has(cast, tier, concern):
    with pytest.raises(Invalid):
        create_tenant(actor=cast.admin, tier=tier, slug="new", name="New", concern=concern)


def test_slugs_and_addresses_are_taken_once(cast):
    with pytest.raises(Conflict):
        create_tenant(actor=cast.admin, tier=Tier.TEAM, slug="ledger", name="Again")
    with pytest.raises(Conflict):
        add_person(actor=cast.admin, email="LEAD@example.test", name="X", handle="x")


def test_a_domain_admits_and_releases_teams(cast):
    with pytest.raises(Forbidden):
        join_domain(actor=cast.outsider, team=cast.rival, domain=cast.domain)
    join_domain(actor=cast.steward, team=cast.rival, domain=cast.domain)
    assert principal_of(cast.outsider.person).access.sees(cast.domain.pk)
    leave_domain(actor=cast.steward, team=cast.rival, domain=cast.domain)
    assert not principal_of(cast.outsider.person).access.sees(cast.domain.pk)


def test_an_inactive_person_sees_nothing(cast):
    set_person_active(actor=cast.admin, person=cast.lead.person, active=False)
    cast.lead.person.refresh_from_db()
    assert principal_of(cast.lead.person).access.visible == frozenset()


def test_an_agent_has_a_sponsor_at_home(cast):
    def register(**over):
        facts = {"slug": "bot", "name": "Bot", "home": cast.team, "sponsor": cast.member.person}
        return register_agent(actor=cast.lead, **(facts | over))

    for fault in ({"sponsor": cast.outsider.person}, {"home": cast.domain}, {"risk": 9}, {"profile": "root"}):
        with pytest.raises((Invalid, Forbidden)):
            register(**fault)
    assert register().home == cast.team
    with pytest.raises(Conflict):
        register()


def test_suspending_needs_a_reason_and_the_right_person(cast):
    for actor in (cast.member, cast.outsider, cast.reviewer):
        with pytest.raises(Forbidden):
            suspend_agent(actor=actor, agent=cast.agent, reason="x")
    with pytest.raises(Invalid):
        suspend_agent(actor=cast.lead, agent=cast.agent, reason="")
    assert suspend_agent(actor=cast.lead, agent=cast.agent, reason="Odd.").status == "suspended"
    assert resume_agent(actor=cast.admin, agent=cast.agent).status == "active"


def test_a_stale_writer_is_told(cast):
    facts = {"name": "B", "purpose": "", "profile": Profile.READER, "risk": 1}
    change_agent(actor=cast.lead, agent=cast.agent, expected_version=1, **facts)
    with pytest.raises(PreconditionFailed):
        change_agent(actor=cast.lead, agent=cast.agent, expected_version=1, **facts)


def test_one_delegates_what_one_has_and_no_more(cast):
    day = clock.now() + timedelta(days=1)
    for fault in (
        {"effect_ceiling": Effect.DESTROY},
        {"sensitivity_ceiling": Sensitivity.RESTRICTED},
        {"tool_groups": []},
        {"not_after": clock.now() - timedelta(seconds=1)},
        {"not_after": clock.now() + timedelta(days=91)},
        {"agent": cast.rival_agent},
    ):
        facts = {"agent": cast.agent, "team": cast.team, "tool_groups": ["tools"], "not_after": day}
        with pytest.raises(Invalid):
            delegate(actor=cast.member, **(facts | fault))


def test_who_only_looks_does_not_delegate(cast):
    for actor in (cast.reviewer, cast.outsider, cast.admin, cast.steward, cast.stranger):
        with pytest.raises(Forbidden):
            make_delegation(actor, cast.agent)


def test_a_delegation_only_shrinks(cast):
    row = make_delegation(cast.lead, cast.agent, "a", "b")
    for growth in (
        {"tool_groups": ["a", "b", "c"]},
        {"tool_groups": []},
        {"effect_ceiling": Effect.DESTROY},
        {"sensitivity_ceiling": Sensitivity.RESTRICTED},
        {"not_after": row.not_after + timedelta(minutes=1)},
    ):
        with pytest.raises(Invalid):
            narrow_delegation(actor=cast.lead, delegation=row, **growth)
    narrowed = narrow_delegation(actor=cast.lead, delegation=row, tool_groups=["a"], effect_ceiling=Effect.READ)
    assert (narrowed.tool_groups, narrowed.effect_ceiling, narrowed.version) == (["a"], Effect.READ, 2)


def test_an_end_in_the_past_is_refused_and_not_an_accident(cast):
    row = make_delegation(cast.lead, cast.agent)
    for long_ago in (row.not_before - timedelta(days=1), clock.now() - timedelta(microseconds=1)):
        with pytest.raises(Invalid):
            narrow_delegation(actor=principal_of(row.person), delegation=row, not_after=long_ago)


def test_a_child_is_within_its_parent_and_not_too_deep(cast):
    parent = make_delegation(cast.member, cast.agent, "a", "b")
    for growth in ({"effect_ceiling": Effect.DESTROY}, {"not_after": parent.not_after + timedelta(hours=1)}):
        with pytest.raises(Invalid):
            make_delegation(cast.member, cast.agent, "a", parent=parent, **growth)
    with pytest.raises(Invalid):
        make_delegation(cast.member, cast.agent, "c", parent=parent, not_after=parent.not_after)
    with pytest.raises(Invalid):
        make_delegation(cast.lead, cast.agent, "a", parent=parent, not_after=parent.not_after)
    row = parent
    for depth in range(1, 5):
        row = make_delegation(cast.member, cast.agent, "a", parent=row, not_after=parent.not_after)
        assert row.depth == depth
    with pytest.raises(Invalid):
        make_delegation(cast.member, cast.agent, "a", parent=row, not_after=parent.not_after)
    revoke_delegation(actor=cast.member, delegation=parent)
    with pytest.raises(Conflict):
        make_delegation(cast.member, cast.agent, "a", parent=parent, not_after=parent.not_after)


def test_revoking_is_for_the_person_the_sponsor_and_the_keepers(cast):
    for name in ("member", "lead", "admin"):
        row = make_delegation(cast.member, cast.agent)
        assert revoke_delegation(actor=getattr(cast, name), delegation=row, reason="Done.").revoked_at
    row = make_delegation(cast.lead, cast.agent)
    for name in ("member", "reviewer", "outsider", "steward"):
        with pytest.raises(Forbidden):
            revoke_delegation(actor=getattr(cast, name), delegation=row)
    first = revoke_delegation(actor=cast.lead, delegation=row)
    assert revoke_delegation(actor=cast.lead, delegation=row).revoked_at == first.revoked_at
    with pytest.raises(Conflict):
        narrow_delegation(actor=cast.lead, delegation=row, effect_ceiling=Effect.READ)


def test_a_token_names_both_and_one_resource_and_ends_with_its_delegation(cast, issuer):
    row = make_delegation(cast.lead, cast.agent, not_after=clock.now() + timedelta(minutes=5))
    token = mint_token(actor=cast.lead, delegation=row, issuer=issuer, minutes=30, tools=["b", "a"])
    claims = jwt.decode(token, issuer.key, algorithms=["Ed25519"]).claims
    assert claims["sub"] == str(cast.lead.person.uid)
    assert claims["act"] == {"sub": str(cast.agent.uid)}
    assert claims["aud"] == "https://hanse.example/mcp/ledger"
    assert claims["dlg"] == str(row.uid)
    assert claims["tools"] == ["a", "b"]
    assert claims["exp"] <= row.not_after.timestamp()
    assert issuer.key.as_dict(private=True)["d"] not in repr(issuer)


def test_a_token_is_for_who_delegated_and_only_while_it_holds(cast, issuer):
    row = make_delegation(cast.lead, cast.agent)
    for actor in (cast.admin, cast.member, cast.outsider):
        with pytest.raises(Forbidden):
            mint_token(actor=actor, delegation=row, issuer=issuer)
    for minutes in (0, 61, -1):
        with pytest.raises(Invalid):
            mint_token(actor=cast.lead, delegation=row, issuer=issuer, minutes=minutes)
    row = revoke_delegation(actor=cast.lead, delegation=row)
    with pytest.raises(Conflict):
        mint_token(actor=cast.lead, delegation=row, issuer=issuer)


def test_what_is_missing_is_named(cast):
    with pytest.raises(NotFound) as missing:
        queries.live_delegation(cast.admin, team="ledger", person="lead", agent="builder-bot")
    assert missing.value.facts["missing"] == "a delegation"
    row = make_delegation(cast.lead, cast.agent)
    names = {"team": "ledger", "person": "lead@example.test", "agent": "builder-bot"}
    assert queries.live_delegation(cast.admin, **names) == row
    newer = make_delegation(cast.lead, cast.agent, "other")
    assert queries.live_delegation(cast.admin, **names) == newer
    assert queries.live_delegation(cast.admin, **names, uid=str(row.uid)) == row
    with pytest.raises(NotFound):
        queries.live_delegation(cast.admin, **names, uid="x")


def test_an_id_that_is_none_names_nothing(cast):
    for uid in ("x", "", "0" * 40, "\0"):
        with pytest.raises(NotFound):
            queries.delegation_by_uid(cast.admin, uid)
