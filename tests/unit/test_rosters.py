"""Lists of people and agents as somebody pastes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.ids import is_slug
from tenants.rosters import MAX_LINES, read_agents, read_groups, read_people, slug_from
from tenants.rules import Profile, Role, is_group_name


def test_people_are_read_with_role_or_as_members():
    rows, faults = read_people("# name, address, role\n\nAda Example, Ada@Example.test, Lead\r\nBo,bo@example.test\n")
    assert faults == []
    assert [(row.line, row.name, row.address, row.role) for row in rows] == [
        (3, "Ada Example", "ada@example.test", Role.TEAM_LEAD),
        (4, "Bo", "bo@example.test", Role.MEMBER),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Ada", "Line 1: write name, address, role."),
        ("Ada,a@b,lead,more", "Line 1: write name, address, role."),
        ("Ada,nowhere", "Line 1: “nowhere” is no address."),
        (",a@b", "Line 1: a name has 1 to 120 characters."),
        ("Ada,a@b,king", "Line 1: “king” is no role; one of lead, member, reviewer."),
        ("Ada,a@b\nAda,A@B,member", "Line 2: the same as line 1."),
    ],
)
def test_a_line_that_cannot_be_taken_says_why(text, fault):
    assert [str(found) for found in read_people(text)[1]] == [fault]


def test_the_same_person_in_two_roles_is_two_lines():
    rows, faults = read_people("Ada,a@b,lead\nAda,a@b,reviewer")
    assert (len(rows), faults) == (2, [])


def test_agents_are_read_with_profile_or_as_readers():
    rows, faults = read_agents("Release helper, builder\nReader\nRelease, helper")
    assert [(row.slug, row.profile) for row in rows] == [
        ("release-helper", Profile.BUILDER),
        ("reader", Profile.READER),
    ]
    assert [str(fault) for fault in faults] == ["Line 3: “helper” is no profile; one of reader, builder, operator."]


def test_groups_are_read_with_their_role_which_follows_the_last_comma():
    rows, faults = read_groups("crew, member\nCN=Night,OU=Crew , Lead\n\ncrew,reviewer")
    assert faults == []
    assert [(row.line, row.name, row.role) for row in rows] == [
        (1, "crew", Role.MEMBER),
        (2, "CN=Night,OU=Crew", Role.TEAM_LEAD),
        (4, "crew", Role.REVIEWER),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("crew", "Line 1: write group, role."),
        (", member", "Line 1: write group, role."),
        ("CN=Night,OU=Crew", "Line 1: “ou=crew” is no role; one of lead, member, reviewer."),
        ("crew, platform_admin", "Line 1: “platform_admin” is no role; one of lead, member, reviewer."),
        (f"{'x' * 256}, member", "Line 1: a group has 1 to 255 printable characters."),
        ("a\u202eb, member", "Line 1: a group has 1 to 255 printable characters."),
        ("crew, member\n crew ,Member", "Line 2: the same as line 1."),
    ],
)
def test_a_group_that_cannot_be_taken_says_why(text, fault):
    assert [str(found) for found in read_groups(text)[1]] == [fault]


@given(st.text(max_size=400))
def test_every_group_that_is_taken_can_be_a_rule(text):
    rows, faults = read_groups(text)
    assert all(is_group_name(row.name) for row in rows)
    told = [row.line for row in rows] + [fault.line for fault in faults]
    lines = [n for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.lstrip().startswith("#")]
    assert sorted(told) == lines


def test_a_list_has_an_end():
    rows, faults = read_people("\n".join(f"P,p{number}@example.test" for number in range(MAX_LINES + 10)))
    assert (len(rows), len(faults)) == (MAX_LINES, 1)


@given(st.text(max_size=400))
def test_every_line_is_taken_or_told_of(text):
    rows, faults = read_people(text)
    told = [row.line for row in rows] + [fault.line for fault in faults]
    lines = [n for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.lstrip().startswith("#")]
    assert sorted(told) == lines
    assert len({(row.address, row.role) for row in rows}) == len(rows)


@given(st.text(max_size=200))
def test_a_short_name_made_of_a_name_is_one_or_nothing(name):
    slug = slug_from(name)
    assert slug == "" or is_slug(slug)
