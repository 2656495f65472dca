"""Lists of context: as many queries for fifty rows as for one, and every row once, whatever the size of the page."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kernel import clock
from kernel.ids import new_uid
from registry.context.memories import Gap, Memory
from registry.context.models import Chunk, Document, Import, ImportItem, Source
from tenants.models import Tenant
from tests.rest.test_pages import BUDGET, MANY, is_plumbing, pages

pytestmark = pytest.mark.django_db

SOURCE = "context/sources/ledger/ledger-runbooks"
LISTS = ["context/sources", "context/documents", "context/imports", "context/memories", "context/gaps", "context/coverage", f"{SOURCE}/documents", f"{SOURCE}/imports", "context/documents/{document}/chunks", "context/imports/{read}/items"]  # fmt: skip


@pytest.fixture
def crowd(world):
    """Sixty more of everything that is written down at home, as rows."""
    team, own, now, many = world.cast.team, world.own.context, clock.now(), range(MANY)
    facts = {"owner": team, "source": own.source}
    Source.objects.bulk_create(Source(owner=team, slug=f"s{n}", name="Same") for n in many)
    Document.objects.bulk_create(
        Document(**facts, path=f"d{n}.md", title="Same", format="markdown", digest=f"{n}", reading=1, changed_at=now)
        for n in many
    )
    words = {"words": 1, "sensitivity": 1, "changed_at": now, "tsv": "", "text": "Same."}
    Chunk.objects.bulk_create(
        Chunk(document=own.document, **facts, key=f"k{n}", digest=f"{n}", ordinal=10 + n, **words) for n in many
    )
    Import.objects.bulk_create(Import(**facts, state="done", ended_at=now) for _ in many)
    ImportItem.objects.bulk_create(
        ImportItem(of=own.read, owner=team, path=f"i{n}.md", changed_at=now, state=("done", "failed")[n % 2])
        for n in many
    )
    asked = {"person": own.memory.person, "agent": own.memory.agent, "delegation": own.memory.delegation}
    Memory.objects.bulk_create(
        Memory(owner=team, text="Same.", digest=f"{n}", call=new_uid(), sensitivity=1, times=n % 3, **asked)
        for n in many
    )
    Gap.objects.bulk_create(Gap(owner=team, text=f"g{n}", asked=n % 4) for n in many)
    Tenant.objects.bulk_create(Tenant(tier="team", slug=f"t{n}", name="Same") for n in many)
    return world


def filled(crowd, path):
    return path.format(document=crowd.own.context.document.uid, read=crowd.own.context.read.uid)


def test_a_list_of_fifty_costs_at_most_eight_queries(crowd, as_role):
    asked = {}
    for path in LISTS:
        client = crowd.clients["admin" if path == "context/coverage" else "lead"]
        with as_role("hanse_app"), CaptureQueriesContext(connection) as captured:
            answer = client.get(f"/api/v1/{filled(crowd, path)}")
        assert len(answer.json()["items"]) == 50, path
        asked[path] = [entry["sql"] for entry in captured if not is_plumbing(entry["sql"])]
    assert {path: found for path, found in asked.items() if len(found) > BUDGET} == {}


def test_a_search_costs_the_same_whatever_it_finds(crowd, as_role):
    asked = []
    for query in ("q=drained&mode=text", "q=nothingofthekind&mode=text"):
        with as_role("hanse_app"), CaptureQueriesContext(connection) as captured:
            crowd.clients["lead"].get(f"/api/v1/context/search?{query}")
        asked.append(len([entry for entry in captured if not is_plumbing(entry["sql"])]))
    assert asked[0] == asked[1] <= BUDGET


@pytest.mark.parametrize(
    "path",
    ["context/sources?sort=name", "context/sources?sort=-created", "context/documents?sort=title", "context/documents?sort=changed",
     "context/imports?sort=began", "context/memories?sort=proposed", "context/gaps?sort=asked", "context/gaps?sort=-last",
     "context/documents/{document}/chunks?sort=-order"],
)  # fmt: skip
def test_pages_of_any_size_hold_every_row_once_and_in_order(crowd, call, path):
    whole = pages(call, f"{filled(crowd, path)}&limit=200")
    assert len(whole) == len(set(whole)) >= MANY
    assert pages(call, f"{filled(crowd, path)}&limit=17") == whole


def test_items_of_an_import_come_in_pages_too(crowd, call):
    path = f"context/imports/{crowd.own.context.read.uid}/items"
    whole = [row["path"] for row in call("lead", "GET", f"{path}?sort=path&limit=200").json()["items"]]
    assert len(whole) == MANY + 2
    found, following = [], f"/api/v1/{path}?sort=path&limit=13"
    while following:
        body = call("lead", "GET", following).json()
        found, following = found + [row["path"] for row in body["items"]], body["next"]
        assert len(found) <= MANY + 2
    assert found == whole == sorted(whole)
    assert len(call("lead", "GET", f"{path}?state=failed&limit=200").json()["items"]) == MANY // 2 + 1
