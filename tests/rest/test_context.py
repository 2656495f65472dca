"""Sources, documents, search, coverage, memories and gaps over REST: what is shown, and to whom it is not."""

import pytest

from audit.models import Event
from registry.context.memories import Gap, Memory
from registry.context.models import Chunk, Document, Source
from registry.context.services.memories import propose_memory
from registry.context.services.sources import change_source
from tenants.models import Person
from tenants.principals import SYSTEM
from tenants.rules import Sensitivity
from tests.apps.context import bringing
from tests.rest.context_things import asking_of

pytestmark = pytest.mark.django_db

SOURCE = "context/sources/ledger/ledger-runbooks"
NEW = {"owner": "ledger", "slug": "notes", "name": "Notes"}


@pytest.fixture
def document(world):
    return world.own.context.document


def items(answer):
    assert answer.status_code == 200, answer.content
    return answer.json()["items"]


def owners_of(answer):
    assert answer.status_code == 200, answer.content
    return {hit["owner"] for hit in answer.json()["hits"]}


def test_a_source_is_added_changed_and_removed(call):
    made = call("member", "POST", "context/sources", {**NEW, "sensitivity": "confidential", "location": "wiki"})
    assert made["Location"] == "/api/v1/context/sources/ledger/notes"
    shown = made.json()
    assert (shown["kind"], shown["sensitivity"], shown["documents"], shown["reading"]) == (
        "files",
        "confidential",
        0,
        None,
    )
    lowered = call("member", "PATCH", "context/sources/ledger/notes", {"sensitivity": "public"}, If_Match=made["ETag"])
    assert (lowered.status_code, lowered.json()["missing"]) == (403, "team_lead in ledger")
    changed = call("lead", "PATCH", "context/sources/ledger/notes", {"sensitivity": "public"}, If_Match=made["ETag"])
    assert changed.json()["sensitivity"] == "public"
    gone = "context/sources/ledger/notes?reason=Moved+away"
    assert call("lead", "DELETE", gone).status_code == 428
    assert call("lead", "DELETE", gone, If_Match=made["ETag"]).status_code == 412
    assert call("lead", "DELETE", gone, If_Match=changed["ETag"]).status_code == 204
    assert call("lead", "GET", "context/sources/ledger/notes").status_code == 404


@pytest.mark.parametrize(
    ("over", "status"),
    [({"slug": "ledger-runbooks"}, 409), ({"slug": "Ä"}, 422), ({"kind": "ftp"}, 422), ({"sensitivity": "secret"}, 422),
     ({"name": ""}, 422), ({"name": "a\0"}, 422), ({"owner": "rival"}, 422), ({"owner": "nowhere"}, 422)],
)  # fmt: skip
def test_a_source_that_cannot_be(call, over, status):
    answer = call("lead", "POST", "context/sources", {**NEW, **over})
    assert answer.status_code == status, answer.content


@pytest.mark.parametrize("path", [SOURCE, "context/documents/{document}", "context/memories/{memory}"])
def test_nothing_is_removed_without_a_reason(call, world, path):
    things = world.own.context
    path = path.format(document=things.document.uid, memory=things.memory.uid)
    for query in ("", "?reason=", "?reason=+", "?reason=" + "x" * 201, "?reason=a%00b", "?because=old"):
        answer = call("lead", "DELETE", path + query, If_Match="*")
        assert answer.status_code == 422, (query, answer.content)
        assert answer.json()["errors"][0]["pointer"] in {"?reason", "?because"}
    assert Source.objects.filter(pk=things.source.pk).exists()
    assert Memory.objects.filter(pk=things.memory.pk).exists()


def test_lists_narrow_and_count(call, world, document):
    (found,) = items(call("lead", "GET", "context/sources?q=runbooks&owner=ledger&tier=team&kind=files"))
    assert (found["documents"], found["slug"]) == (1, "ledger-runbooks")
    assert [row["slug"] for row in items(call("lead", "GET", "context/sources?kind=git"))] == ["ledger-private"]
    slugs = {row["slug"] for row in items(call("lead", "GET", "context/sources"))}
    assert slugs == {"ledger-runbooks", "ledger-wiki", "ledger-private"}
    assert {row["owner"]["slug"] for row in items(call("outsider", "GET", "context/sources"))} == {"rival"}
    assert len(items(call("admin", "GET", "context/sources"))) == 6
    assert items(call("stranger", "GET", "context/documents")) == []
    (shown,) = items(call("lead", "GET", "context/documents?source=ledger-runbooks&format=markdown&withheld=true"))
    assert (shown["uid"], shown["withheld"]) == (str(document.uid), 1)
    assert items(call("lead", "GET", f"{SOURCE}/documents?withheld=false")) == []
    assert items(call("lead", "GET", f"context/documents?mark={shown['marks'][0]}")) == [shown]
    assert items(call("lead", "GET", "context/imports?state=queued&source=ledger-wiki"))[0]["progress"]["waiting"] == 3
    assert len(items(call("lead", "GET", f"{SOURCE}/imports"))) == 1
    reading = call("lead", "GET", "context/sources/ledger/ledger-wiki").json()["reading"]
    assert reading == str(world.own.context.reading.uid)


def test_a_document_says_where_it_comes_from_and_withholds_its_secret(call, document):
    shown = call("reviewer", "GET", f"context/documents/{document.uid}").json()
    assert (shown["path"], shown["source"]["slug"], shown["remembered"]) == ("restart.md", "ledger-runbooks", None)
    assert shown["digest"] == document.digest
    first, second, last = items(call("reviewer", "GET", f"context/documents/{document.uid}/chunks"))
    assert (first["withheld"], first["heading"], first["line"]) == (False, ["Restarting"], 3)
    assert "drained" in first["text"]
    assert [row["ordinal"] for row in (first, second, last)] == [0, 1, 2]
    assert (last["withheld"], last["text"], last["heading"]) == (True, "", [])
    assert last["marks"]


def test_what_is_withheld_is_not_shown_even_if_it_were_kept(call, document):
    Chunk.objects.filter(document=document, withheld=True).update(text="BEGIN PRIVATE KEY")
    answer = call("admin", "GET", f"context/documents/{document.uid}/chunks")
    assert b"PRIVATE" not in answer.content


def test_a_document_is_removed_and_found_no_more(call, document):
    assert call("member", "GET", "context/search?q=drained&mode=text").json()["hits"]
    path = f"context/documents/{document.uid}"
    assert call("member", "DELETE", f"{path}?reason=A+key+is+in+it").status_code == 204
    assert call("member", "GET", path).status_code == 404
    assert call("member", "GET", "context/search?q=drained&mode=text").json()["hits"] == []
    event = Event.objects.filter(verb="registry.document.removed").latest("id")
    assert "A key is in it" in str(vars(event))


def test_what_is_above_the_clearance_is_not_there(call, world, document):
    change_source(actor=SYSTEM, source=world.own.context.source, sensitivity=Sensitivity.RESTRICTED)
    path = f"context/documents/{document.uid}"
    for who in ("admin", "lead"):
        assert items(call(who, "GET", f"{SOURCE}/documents")) == []
        assert call(who, "GET", path).status_code == 404
        assert call(who, "GET", f"{path}/chunks").status_code == 404
        assert call(who, "DELETE", f"{path}?reason=x").status_code == 404
        assert "ledger" not in owners_of(call(who, "GET", "context/search?q=drained&mode=text"))
        assert call(who, "GET", SOURCE).json()["documents"] == 1
    Person.objects.filter(handle="lead").update(clearance=Sensitivity.RESTRICTED)
    assert len(items(call("lead", "GET", f"{SOURCE}/documents"))) == 1
    assert owners_of(call("lead", "GET", "context/search?q=drained&mode=text")) == {"ledger"}


def test_a_copy_of_something_more_sensitive_shows_nothing_of_it(call, world):
    text = "# Twice\n\nThe same words stand in two sources of one team.\n"
    secret = bringing.source(world.cast.team, "secret", sensitivity=Sensitivity.RESTRICTED)
    bringing.read(secret, {"twice.md": text})
    bringing.read(bringing.source(world.cast.team, "open"), {"copy.md": text})
    copy = Document.objects.get(path="copy.md")
    shown = call("lead", "GET", f"context/documents/{copy.uid}").json()
    assert shown["copy_of"] == str(Document.objects.get(path="twice.md").uid)
    assert items(call("lead", "GET", f"context/documents/{copy.uid}/chunks")) == []


@pytest.fixture
def everywhere(world):
    """The platform, both domains and both teams have written something about lanterns."""
    cast = world.cast
    for node in (cast.platform, cast.domain, cast.other_domain, cast.team, cast.rival):
        text = f"# Lanterns\n\nThe lanterns of {node.slug} are lit at dusk, says {node.name}.\n"
        bringing.read(bringing.source(node, "lanterns"), {f"{node.slug}.md": text})


def test_a_search_reaches_what_one_sees_or_what_a_team_reaches_of_it(call, everywhere):
    ask = "context/search?q=lanterns&mode=text"
    assert owners_of(call("lead", "GET", ask)) == {"platform", "payments", "ledger"}
    assert owners_of(call("admin", "GET", ask)) == {"platform", "payments", "north", "ledger", "rival"}
    assert owners_of(call("stranger", "GET", ask)) == {"platform"}
    assert owners_of(call("admin", "GET", f"{ask}&team=rival")) == {"platform", "north", "rival"}
    assert owners_of(call("steward", "GET", f"{ask}&team=ledger")) == {"platform", "payments", "ledger"}
    assert owners_of(call("admin", "GET", f"{ask}&tier=domain")) == {"payments", "north"}
    assert owners_of(call("admin", "GET", f"{ask}&tier=domain&team=ledger")) == {"payments"}
    assert owners_of(call("lead", "GET", f"{ask}&source=lanterns&since=2026-01-01")) == {
        "platform",
        "payments",
        "ledger",
    }
    assert owners_of(call("lead", "GET", f"{ask}&since=2026-06-01")) == set()
    assert owners_of(call("lead", "GET", f"{ask}&source=nothing")) == set()
    assert len(call("lead", "GET", f"{ask}&limit=1").json()["hits"]) == 1
    hits = call("lead", "GET", ask).json()["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert {hit["tier"] for hit in hits} == {"platform", "domain", "team"}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("", "?q"), ("q=", "?q"), ("q=%20", "?q"), ("q=a%00b", "?q"), ("q=" + "x" * 1_001, "?q"), ("q=a&mode=magic", "?mode"),
     ("q=a&limit=0", "?limit"), ("q=a&limit=51", "?limit"), ("q=a&limit=x", "?limit"), ("q=a&since=soon", "?since"),
     ("q=a&since=9999-99-99", "?since"), ("q=a&tier=moon", "?tier"), ("q=a&team=rival", "?team"), ("q=a&team=nowhere", "?team"),
     ("q=a&team=payments", "?team"), ("q=a&ceiling=restricted", "?ceiling")],
)  # fmt: skip
def test_a_search_that_cannot_be(call, query, pointer):
    answer = call("lead", "GET", f"context/search?{query}")
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_search_says_what_it_could_not_do(call, monkeypatch):
    monkeypatch.setattr("registry.context.queries.embedder", lambda: None)
    answer = call("lead", "GET", "context/search?q=drained").json()
    assert answer["mode"] == "text"
    assert "words alone" in answer["note"]


def test_a_search_is_not_kept_as_asked_in_vain(call):
    before = Gap.objects.count()
    call("lead", "GET", "context/search?q=somethingthatisnowhere&mode=text")
    assert Gap.objects.count() == before


def test_coverage_counts_by_tenant(call):
    shown = call("lead", "GET", "context/coverage/ledger").json()
    assert {name: shown[name] for name in ("sources", "documents", "chunks", "withheld", "waiting", "gaps")} == {
        "sources": 3, "documents": 1, "chunks": 2, "withheld": 1, "waiting": 1, "gaps": 1,
    }  # fmt: skip
    rows = items(call("lead", "GET", "context/coverage"))
    assert [row["tenant"]["slug"] for row in rows] == ["ledger", "payments", "platform"]
    assert [row["documents"] for row in rows] == [1, 0, 0]
    assert len(items(call("admin", "GET", "context/coverage?tier=team"))) == 2


def test_a_memory_is_accepted_in_other_words_and_becomes_a_document_that_says_who_learned_it(call, world):
    memory = world.own.context.memory
    path = f"context/memories/{memory.uid}"
    read = call("reviewer", "GET", path)
    body = {"text": "The ledger's queue drains in an hour.", "sensitivity": "confidential"}
    accepted = call("reviewer", "POST", f"{path}/accept", body, If_Match=read["ETag"])
    assert (accepted.json()["state"], accepted.json()["decided_by"]["handle"]) == ("accepted", "reviewer")
    assert call("lead", "POST", f"{path}/reject", {"reason": "no"}, If_Match=read["ETag"]).status_code == 412
    assert call("lead", "POST", f"{path}/reject", {"reason": "no"}, If_Match=accepted["ETag"]).status_code == 409
    shown = call("member", "GET", f"context/documents/{accepted.json()['document']}").json()
    assert shown["sensitivity"] == "confidential"
    assert shown["remembered"]["agent"]["slug"] == "builder-bot"
    assert shown["remembered"]["accepted_by"]["handle"] == "reviewer"
    erased = call("lead", "DELETE", f"{path}?reason=Wrong", If_Match=accepted["ETag"])
    assert erased.status_code == 204
    assert call("member", "GET", f"context/documents/{shown['uid']}").status_code == 404


def test_what_was_accepted_as_more_sensitive_is_not_read_in_the_inbox_either(call, world):
    path = f"context/memories/{world.own.context.memory.uid}"
    Person.objects.filter(handle__in=["member", "lead"]).update(clearance=Sensitivity.INTERNAL)
    assert call("member", "GET", path).status_code == 404  # its call could see what is confidential
    accepted = call("reviewer", "POST", f"{path}/accept", {"sensitivity": "confidential"}, If_Match="*").json()
    for _ in range(2):
        for who in ("member", "lead"):
            assert call(who, "GET", path).status_code == 404
            assert items(call(who, "GET", "context/memories?state=accepted")) == []
        assert len(items(call("reviewer", "GET", "context/memories?state=accepted"))) == 1
        call("admin", "DELETE", f"context/documents/{accepted['document']}?reason=old")


def test_a_secret_or_nothing_is_not_accepted(call, world):
    path = f"context/memories/{world.own.context.memory.uid}/accept"
    for text in ("", " ", "a\0b", "x" * 2_001, "password = hunter2hunter2 -----BEGIN PRIVATE KEY-----"):
        assert call("lead", "POST", path, {"text": text}, If_Match="*").status_code == 422, text


def test_the_inbox_shows_what_waits_for_whom(call, world):
    ask = "context/memories?waiting_for_me=true"
    assert [row["owner"]["slug"] for row in items(call("reviewer", "GET", ask))] == ["ledger"]
    assert items(call("member", "GET", ask)) == []
    assert len(items(call("member", "GET", "context/memories?state=waiting&owner=ledger&agent=builder-bot"))) == 1
    assert len(items(call("admin", "GET", ask))) == 2
    assert items(call("member", "GET", "context/memories?state=accepted")) == []
    assert call("lead", "GET", "context/memories?waiting_for_me=false").status_code == 422


def test_gaps_are_erased_one_or_all(call, world):
    (row,) = items(call("member", "GET", "context/gaps?owner=ledger"))
    assert (row["text"], row["asked"]) == ("how is ledger paid?", 1)
    assert call("member", "DELETE", f"context/gaps/{row['uid']}").status_code == 204
    assert call("lead", "POST", "context/gaps/forget", {"owner": "ledger"}).json() == {"erased": 0}
    assert Gap.objects.count() == 1
    assert call("admin", "POST", "context/gaps/forget", {"owner": "rival"}).json() == {"erased": 1}


def test_a_memory_of_a_colleague_is_listed_with_who_and_which_call(call, world):
    asking = asking_of(world.own.delegation)
    propose_memory(asking=asking, statement="Books close on Thursdays.", tags=["books"])
    (row,) = items(call("lead", "GET", "context/memories?q=thursdays"))
    assert (row["person"]["handle"], row["agent"]["slug"], row["call"]) == ("member", "builder-bot", asking.call)
    assert (row["tags"], row["delegation"]) == (["books"], str(world.own.delegation.uid))
