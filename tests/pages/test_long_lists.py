"""A list that does not fit says how much there is, and leads to the rest, until everything was shown once."""

import re
from html import unescape

import pytest

from blueprints.models import Blueprint, Fork, Version
from kernel.ids import new_uid
from registry.models import Server
from tenants.models import Agent, Membership, Person

BLUEPRINT = "/blueprints/platform/implement-ticket-brownfield"


@pytest.fixture
def version(cast):
    return Version.objects.filter(status="published", blueprint__name="implement-ticket-brownfield").latest("id")


def walk(client, url):
    """Returns the names of all rows, page by page, and what stands below the first page."""
    pages, foot, at = [], "", url
    while at:
        text = client.get(at).content.decode()
        pages.append(text)
        foot = foot or (re.search(r"<footer><span>([^<]*) shown</span>", text) or [""] * 2)[1]
        following = re.search(r'rel="next" href="([^"]+)"', text) or re.search(r'href="([^"]+)"[^>]*rel="next"', text)
        at = url + unescape(following[1]) if following else ""
        assert len(pages) < 9
    return pages, foot


def test_all_forks_of_a_blueprint_are_reached(browse, cast, version):
    Fork.objects.bulk_create(
        Fork(
            owner=cast.team, blueprint=version.blueprint, base=version, measured=version, name=f"more-{number:03}",
            title=f"More {number:03}", document=version.document, digest=version.digest, drift=number % 7,
        )
        for number in range(120)
    )  # fmt: skip
    pages, foot = walk(browse("lead"), f"{BLUEPRINT}/forks/")
    found = [name for text in pages for name in re.findall(r">(More \d{3})<", text)]
    assert sorted(found) == [f"More {number:03}" for number in range(120)]
    assert foot == "50 of 121"
    assert all("121 that you see" in text for text in pages)
    drifts = [int(name[-3:]) % 7 for name in found]
    assert drifts == sorted(drifts, reverse=True)


def test_all_versions_and_all_changes_are_reached(browse, cast, version):
    Version.objects.bulk_create(
        Version(
            blueprint=version.blueprint, owner=version.owner, semver=f"9.{number}.0", status="rejected",
            document=version.document, text=version.text, digest=version.digest, lock=version.lock,
            note=f"Note {number:03}", proposed_by=cast.lead.person, decided_by=cast.admin.person,
            decided_at=version.proposed_at,
        )
        for number in range(60)
    )  # fmt: skip
    pages, foot = walk(browse("lead"), f"{BLUEPRINT}/versions/")
    found = {name for text in pages for name in re.findall(r">(9\.\d+\.0)<", text)}
    assert len(found) == 60
    assert foot == "50 of 62"
    blueprint = Blueprint.objects.get(pk=version.blueprint_id)
    for number in range(60):
        blueprint._change_reason = f"Reason {number:03}"
        blueprint.save()
    pages, foot = walk(browse("lead"), f"{BLUEPRINT}/history/")
    assert len({name for text in pages for name in re.findall(r"Reason \d{3}", text)}) == 60
    assert foot.startswith("50 of ")


def test_all_versions_that_wait_are_reached_from_the_review(browse, cast, version):
    for number in range(55):
        blueprint = Blueprint.objects.create(
            owner=cast.team, name=f"b{number}", title=f"Waiting {number:03}", summary="Same", pattern="either"
        )
        Version.objects.create(
            blueprint=blueprint, owner=cast.team, semver="1.0.0", document=version.document, text=version.text,
            digest=version.digest, lock=version.lock, note="Same", proposed_by=cast.member.person, uid=new_uid(),
        )  # fmt: skip
    client = browse("reviewer")
    text = client.get("/blueprints/reviews/").content.decode()
    assert len(set(re.findall(r"Waiting \d{3}", text))) == 20
    assert re.search(r'href="/blueprints/reviews/versions/">All 56<', text)
    pages, foot = walk(client, "/blueprints/reviews/versions/")
    assert len({name for text in pages for name in re.findall(r"Waiting \d{3}", text)}) == 55
    assert foot == "50 of 56"


def test_a_list_that_fits_has_no_foot(browse):
    for tab in ("forks", "versions", "history", "requests"):
        assert "shown</span>" not in browse("lead").get(f"{BLUEPRINT}/{tab}/").content.decode()
    for tab in ("history", "requests"):
        assert "shown</span>" not in browse("lead").get(f"/forks/ledger/our-ticket/{tab}/").content.decode()


def test_a_tenant_says_how_much_it_has_and_leads_to_all_of_it(browse, cast):
    many = range(60)
    people = Person.objects.bulk_create(
        Person(email=f"m{n}@example.test", handle=f"m{n}", name=f"Member {n}") for n in many
    )
    Membership.objects.bulk_create(Membership(person=one, tenant=cast.team, role="member") for one in people)
    lead = cast.lead.person
    Agent.objects.bulk_create(Agent(slug=f"a{n}", name="Same", home=cast.team, sponsor=lead) for n in many)
    Server.objects.bulk_create(
        Server(owner=cast.team, slug=f"s{n}", name="Same", transport="http", url="http://x.example/") for n in many
    )
    client = browse("lead")
    text = client.get("/teams/ledger/").content.decode()
    held = Membership.objects.filter(tenant=cast.team)
    whole = {
        "/identity/agents/?team=ledger": Agent.objects.filter(home=cast.team).count(),
        "/catalog/?owner=ledger": Server.objects.filter(owner=cast.team).count(),
        "/identity/people/?tenant=ledger": held.count(),
    }
    for url, count in whole.items():
        assert count > 60
        assert f'<span>50 shown</span><a class="push" href="{url}">All {count}</a>' in text
        page = client.get(url).context["page"]
        assert len(page.rows) == 50
        rest = client.get(url.partition("?")[0] + page.next_url).context["page"]
        assert len(page.rows) + len(rest.rows) == count
    assert {row.handle for row in rest.rows + page.rows} == set(held.values_list("person__handle", flat=True))
