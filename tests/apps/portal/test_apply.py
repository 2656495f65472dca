"""`./manage.py apply`: files make the catalog, twice is once, a plan changes nothing, and faults name their line."""

from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from audit.models import Event
from registry.models import Server, ToolGroup
from registry.surfaces import Shown, take_in_probe
from tenants.identity.sign_in_groups import settle_groups
from tenants.models import Agent, Membership, Person, Tenant
from tenants.principals import SYSTEM, principal_of
from tests.actors import make_cast

pytestmark = pytest.mark.django_db(transaction=True)

TENANTS = """\
apply: 1
tenants:
  - slug: nordic-cards
    tier: team
    name: Nordic cards
    origin: acquired
    domains: [payments, nordics]
  - {slug: nordics, tier: domain, name: Nordics, concern: geographic}
"""
PEOPLE = """\
apply: 1
people:
  - handle: ada
    name: Ada Example
    email: ada@example.test
    roles:
      nordic-cards: [team_lead]
agents:
  - {slug: nordic-bot, name: Nordic bot, home: nordic-cards, sponsor: ada, profile: builder}
servers:
  - slug: nordic-ledger
    owner: nordic-cards
    name: Nordic ledger
    url: http://127.0.0.1:9/mcp
"""
TOOL = {"name": "balance", "description": "Reads a balance.", "inputSchema": {"type": "object"}}


@pytest.fixture
def cast(installation):
    with override_settings(HANSE=replace(installation, upstream_allow=("127.0.0.1:9",))):
        yield make_cast()


@pytest.fixture
def place(tmp_path):
    """Returns a function: name, text -> the directory with that file in it."""

    def write(name, text):
        path = tmp_path / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return tmp_path / "catalog"

    return write


def run(capsys, directory, *options):
    call_command("apply", str(directory), *options)
    return capsys.readouterr().out.splitlines()


def refused(capsys, directory, *options):
    with pytest.raises(CommandError) as error:
        call_command("apply", str(directory), *options)
    return error.value.returncode, capsys.readouterr().err.splitlines()


def counts():
    return [kind.objects.count() for kind in (Tenant, Person, Membership, Agent, Server, ToolGroup, Event)]


def test_files_make_the_catalog_in_an_order_that_works(cast, capsys, place):
    place("20-people.yaml", PEOPLE)
    said = run(capsys, place("nordic/10-tenants.yaml", TENANTS))
    assert said == [
        "+ domain nordics",
        "+ team nordic-cards",
        "+ nordic-cards in payments",
        "+ nordic-cards in nordics",
        "+ person ada",
        "+ team_lead in nordic-cards for ada",
        "+ agent nordic-bot",
        "+ server nordic-ledger",
        "8 changed, 5 entries",
    ]
    assert principal_of(Person.objects.get(handle="ada")).access.roles.popitem()[1] == {"team_lead"}
    before = counts()
    assert run(capsys, place("20-people.yaml", PEOPLE)) == ["0 changed, 5 entries"]
    assert counts() == before


def test_a_plan_says_the_same_and_changes_nothing(cast, capsys, place):
    place("people.yaml", PEOPLE)
    directory, before = place("tenants.yaml", TENANTS), counts()
    planned = run(capsys, directory, "--plan")
    assert counts() == before
    applied = run(capsys, directory)
    assert planned[:-1] == applied[:-1]
    assert planned[-1] == "8 would change, 5 entries"


def test_a_changed_file_changes_what_differs_and_takes_away_what_it_no_longer_names(cast, capsys, place):
    place("tenants.yaml", TENANTS)
    run(capsys, place("people.yaml", PEOPLE))
    place("people.yaml", PEOPLE.replace("[team_lead]", "[member]").replace("builder", "reader"))
    said = run(capsys, place("tenants.yaml", TENANTS.replace("[payments, nordics]", "[nordics]")))
    assert said == [
        "- nordic-cards in payments",
        "+ member in nordic-cards for ada",
        "- team_lead in nordic-cards for ada",
        "~ agent nordic-bot: profile 'builder' -> 'reader'",
        "4 changed, 5 entries",
    ]


def naming(groups):
    return TENANTS.replace("    origin: acquired\n", f"    origin: acquired\n    sign_in_groups: {groups}\n")


def test_groups_from_sign_in_are_as_the_file_says_and_leave_roles_by_hand(cast, capsys, place):
    place("people.yaml", PEOPLE)
    with_groups = naming("{crew: [member, reviewer], night: [team_lead]}")
    said = run(capsys, place("tenants.yaml", with_groups))
    assert said[4:7] == [
        "+ member in nordic-cards for group crew",
        "+ reviewer in nordic-cards for group crew",
        "+ team_lead in nordic-cards for group night",
    ]
    ada = Person.objects.get(handle="ada")
    settle_groups(person=ada, groups={"crew", "night"})
    assert run(capsys, place("tenants.yaml", with_groups)) == ["0 changed, 5 entries"]
    assert set(Membership.objects.filter(person=ada).values_list("role", "by_hand")) == {
        ("member", False),
        ("reviewer", False),
        ("team_lead", True),
    }
    said = run(capsys, place("tenants.yaml", naming("{crew: [reviewer]}")))
    assert said == [
        "- member in nordic-cards for group crew",
        "- team_lead in nordic-cards for group night",
        "2 changed, 5 entries",
    ]
    assert set(Membership.objects.filter(person=ada).values_list("role", flat=True)) == {"reviewer", "team_lead"}
    assert run(capsys, place("tenants.yaml", TENANTS)) == ["0 changed, 5 entries"]


@pytest.mark.parametrize(
    "said", ["{crew: member}", "[crew]", "{crew: [king]}", "{crew: [domain_steward]}", "{'': [member]}"]
)
def test_groups_from_sign_in_that_cannot_be_are_told_at_their_place(cast, capsys, place, said):
    place("people.yaml", PEOPLE)
    code, errors = refused(capsys, place("tenants.yaml", naming(said)))
    assert code == 1
    assert errors[0].startswith("tenants.yaml:")


def test_tools_are_approved_by_pin_and_the_server_activated(cast, capsys, place):
    place("tenants.yaml", TENANTS)
    run(capsys, place("people.yaml", PEOPLE))
    server = Server.objects.get(slug="nordic-ledger")
    take_in_probe(server=server, shown=Shown(ok=True, protocol="2026-07-28", tools=[TOOL]))
    tool = server.tools.get()
    more = f"    status: active\n    tools:\n      balance: {{effect: read, sensitivity: internal, pin: {tool.seen_pin}}}\n"
    said = run(capsys, place("people.yaml", PEOPLE + more))
    assert said[:2] == [f"+ approval of {tool.exposed_name}", "~ server nordic-ledger: active"]
    assert run(capsys, place("people.yaml", PEOPLE + more))[-1] == "0 changed, 5 entries"
    wrong = more.replace(tool.seen_pin, "0" * 64)
    code, faults = refused(capsys, place("people.yaml", PEOPLE + wrong))
    assert (code, len(faults)) == (1, 1)
    assert faults[0].startswith("people.yaml:16:5: balance: The server shows another definition by now.")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("apply: 2\n", "a.yaml:1:1: A file begins with `apply: 1`."),
        ("- a\n", "a.yaml:1:1: A file begins with `apply: 1`."),
        (
            "apply: 1\nthings: []\n",
            "a.yaml:2:1: “things” is none of tenants, people, agents, servers, groups, sources, or no list.",
        ),
        ("apply: 1\ntenants:\n  - slug: a\n    tier: team\n", "a.yaml:3:5: “name” is missing."),
        (
            "apply: 1\ntenants:\n  - {slug: a, tier: moon, name: A}\n",
            "a.yaml:3:15: “tier” is one of platform, domain, team.",
        ),
        (
            "apply: 1\ntenants:\n  - {slug: a, tier: team, name: A, colour: red}\n",
            "a.yaml:3:36: There is no “colour” here;",
        ),
        ("apply: 1\ntenants:\n  - {slug: Ä, tier: team, name: A}\n", "a.yaml:3:6: Use 1 to 48 of a-z"),
        (
            "apply: 1\ntenants:\n  - {slug: a, tier: team, name: A, domains: [x]}\n",
            "a.yaml:3:36: “x”: There is no such tenant",
        ),
        ("apply: 1\ntenants:\n  - {slug: ledger, tier: domain, name: L}\n", "a.yaml:3:20: It is a team."),
        ("apply: 1\ntenants:\n  - {slug: a, slug: b}\n", "a.yaml:3:15: The key 'slug' is written twice;"),
        (
            "apply: 1\npeople:\n  - {handle: lead, name: L, email: x@example.test}\n",
            "a.yaml:3:6: It is lead@example.test's handle.",
        ),
        (
            "apply: 1\nagents:\n  - {slug: b, name: B, home: ledger, sponsor: stranger}\n",
            "a.yaml:3:38: The sponsor is an active member",
        ),
        (
            "apply: 1\nservers:\n  - {slug: s, name: S, owner: ledger, url: 'http://169.254.169.254/'}\n",
            "a.yaml:3:39: ",
        ),
        (
            "apply: 1\nservers:\n  - {slug: s, name: S, owner: ledger, url: 'http://127.0.0.1:9/', status: active}\n",
            "a.yaml:3:5: ",
        ),
        (
            "apply: 1\ngroups:\n  - {slug: g, name: G, owner: ledger, tools: [nothing]}\n",
            "a.yaml:3:39: There is no tool nothing.",
        ),
        ("apply: 1\ntenants: [{slug: a, tier: team, name: &x A}]\n", "a.yaml:2:"),
    ],
)
def test_a_fault_names_file_and_line_and_stops_everything(cast, capsys, place, text, fault):
    before = counts()
    place("0.yaml", TENANTS)
    code, said = refused(capsys, place("a.yaml", text))
    assert code == 1
    assert any(line.startswith(fault) for line in said), said
    assert counts() == before


def test_every_fault_is_told_at_once(cast, capsys, place):
    place("b.yaml", "apply: 1\ntenants:\n  - {slug: Ö, tier: team, name: O}\n  - {slug: Ü, tier: team, name: U}\n")
    _, said = refused(capsys, place("a.yaml", "apply: 3\n"), "--plan")
    assert [line.partition(":")[0] for line in said] == ["a.yaml", "b.yaml", "b.yaml"]


def test_what_is_no_directory_is_said(cast, capsys, tmp_path):
    code, _ = refused(capsys, tmp_path / "nowhere")
    assert code == 2
    assert SYSTEM.person is None
