"""Imports over REST: documents as text and as files, what is refused and what merely fails, and one at a time."""

import io
import zipfile
from dataclasses import replace

import pytest
from django.conf import settings as django_settings

from portal.rest import uploads
from portal.rest.models import KeptAnswer
from registry.context.models import Document, Import, ImportItem, Source
from registry.context.tasks import fetch_import
from registry.context.working import work_on
from tenants.rules import Sensitivity
from tests.apps.classification.repositories import make_repository
from tests.rest.conftest import tag
from tests.rest.forms import CONTENT_TYPE, form_of

pytestmark = pytest.mark.django_db

AT = "context/sources/ledger/ledger-runbooks/imports"
GOOD = "# Paying\n\nInvoices of the ledger are paid on Fridays, after the books were closed.\n"
SENTENCE = "Its path leads out of its source, so it is not read."


@pytest.fixture
def upload(world, as_role):
    """Returns a function: who, files, more fields of the form -> response."""

    def send(who, files, path=AT, headers=None, **fields):
        with as_role("hanse_app"):
            return world.clients[who].generic(
                "POST", f"/api/v1/{path}", form_of(files, **fields), content_type=CONTENT_TYPE, headers=headers or {}
            )

    return send


@pytest.fixture
def begun(probes, django_capture_on_commit_callbacks):
    """Returns a function that sends by another, lets the worker read, and returns what became of each document."""

    def run(send, *args, **kwargs):
        with django_capture_on_commit_callbacks(execute=True):
            answer = send(*args, **kwargs)
        assert answer.status_code == 201, answer.content
        row = Import.objects.get(uid=answer.json()["uid"])
        assert probes == [row.pk]
        while work_on(row.pk, seconds=60):
            pass
        probes.clear()
        return {item.path: (item.state, item.fault) for item in row.items.all()}

    return run


def texts(**documents):
    return {"documents": [{"path": path.replace("__", "."), "text": text} for path, text in documents.items()]}


def zipped(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            archive.writestr(path, content)
    return file.getvalue()


def test_text_is_read_and_found_with_where_it_comes_from(call, begun):
    assert begun(call, "member", "POST", AT, texts(pay__md=GOOD)) == {"pay.md": ("done", "")}
    (hit,) = call("member", "GET", "context/search?q=invoices+fridays&mode=text").json()["hits"]
    assert (hit["owner"], hit["tier"], hit["source"], hit["path"]) == ("ledger", "team", "ledger-runbooks", "pay.md")
    assert hit["heading"] == ["Paying"]


def test_files_of_a_form_keep_their_paths_and_an_archive_becomes_its_members(upload, begun):
    archive = zipped({"guide/a.md": GOOD, "guide/b.txt": "Another guide, with a sentence.\n", "photo.png": b"x"})
    found = begun(upload, "lead", [("ops/pay.md", GOOD.encode()), ("wiki.zip", archive)])
    assert found == {
        "ops/pay.md": ("done", ""),
        "wiki.zip/guide/a.md": ("done", ""),
        "wiki.zip/guide/b.txt": ("done", ""),
    }


def test_what_was_read_is_not_read_again_and_what_is_missing_from_a_whole_is_gone(call, upload, begun):
    begun(call, "member", "POST", AT, texts(pay__md=GOOD, rest__md="# Rest\n\nNobody works on Sundays here.\n"))
    answer = call("member", "POST", AT, {**texts(pay__md=GOOD), "whole": True})
    progress = answer.json()["progress"]
    assert (progress["unchanged"], progress["waiting"]) == (1, 2)  # one is gone, and so is what the module's world had
    row = Import.objects.get(uid=answer.json()["uid"])
    assert set(row.items.values_list("path", "is_removal")) == {("rest.md", True), ("restart.md", True)}
    call("member", "POST", f"context/imports/{row.uid}/cancel", If_Match="*")
    begun(upload, "member", [("pay.md", GOOD.encode())], whole="true")
    assert list(Document.objects.filter(source=row.source).values_list("path", flat=True)) == ["pay.md"]


@pytest.mark.parametrize("path", ["../../etc/passwd.md", "/etc/passwd.md", "a/../b.md", "..\\boot.md", "a//b.md"])
def test_a_path_that_leads_out_is_one_failed_document(call, upload, begun, path):
    ways = (
        (call, ("member", "POST", AT, {"documents": [{"path": path, "text": GOOD}, {"path": "pay.md", "text": GOOD}]})),
        (upload, ("member", [(path.replace("\\", "\\\\"), GOOD.encode()), ("more.md", GOOD.encode())])),
    )
    for send, said in ways:
        found = begun(send, *said)
        assert found.pop(path) == ("failed", SENTENCE)
        assert [state for state, _ in found.values()] == ["done"]
    assert not Document.objects.filter(path__contains="..").exists()


def test_what_cannot_be_read_fails_alone_and_says_why(upload, begun):
    bomb = zipped({"zeros.md": b"\0" * 60_000_000, "good.md": GOOD})
    found = begun(
        upload,
        "member",
        [
            ("bomb.zip", bomb),
            ("film.mp4", b"x" * 90),
            ("no.zip", b"PK no"),
            ("raw.md", b"\0\1" * 80),
            ("ok.md", GOOD.encode()),
        ],
    )
    assert found["ok.md"] == ("done", "")
    assert found["bomb.zip/zeros.md"][0] == "failed"
    assert "unpacks to more" in found["bomb.zip/zeros.md"][1]
    assert found["bomb.zip/good.md"] == ("done", "")
    assert "format" in found["film.mp4"][1]
    assert "whole zip archive" in found["no.zip"][1]
    assert "not text" in found["raw.md"][1]


def test_items_show_state_and_fault_and_can_be_asked_for_the_failed_ones(call, upload, begun):
    begun(upload, "member", [("film.mp4", b"x" * 90), ("ok.md", GOOD.encode())])
    row = Import.objects.order_by("-pk")[0]
    (item,) = call("reviewer", "GET", f"context/imports/{row.uid}/items?state=failed").json()["items"]
    assert (item["path"], item["state"]) == ("film.mp4", "failed")
    assert "format" in item["fault"]
    assert "content" not in item
    shown = call("reviewer", "GET", f"context/imports/{row.uid}").json()
    assert (shown["state"], shown["progress"]["done"], shown["progress"]["failed"]) == ("done", 1, 1)


def test_a_document_that_is_too_large_is_named_and_nothing_is_begun(call, upload):
    before = Import.objects.count()
    large = b"x" * 4_000_001
    for answer in (
        upload("member", [("ok.md", GOOD.encode()), ("logs/large.md", large)]),
        call("member", "POST", AT, texts(ok__md=GOOD, large__md=large.decode())),
    ):
        body = answer.json()
        assert (answer.status_code, body["code"], body["limit"]) == (413, "too_large", 4_000_000)
        assert body["document"].endswith("large.md")
        assert "large.md" in body["detail"]
    assert Import.objects.count() == before
    assert not ImportItem.objects.filter(path="ok.md").exists()


def test_a_request_that_is_too_large_is_refused_before_it_is_taken_in(upload, monkeypatch, settings):
    monkeypatch.setattr(uploads, "MAX_TOTAL", 5_000)
    answer = upload("member", [("a.md", b"x" * 6_000)])
    assert (answer.status_code, answer.json()["limit"]) == (413, 5_000)
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 3
    answer = upload("member", [(f"{n}.md", b"x") for n in range(4)])
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "archive" in answer.json()["detail"]


BAD = {
    "nothing": {},
    "no documents": {"documents": []},
    "no list": {"documents": "a"},
    "no path": {"documents": [{"text": "x"}]},
    "an empty path": {"documents": [{"path": "", "text": "x"}]},
    "a path with NUL": {"documents": [{"path": "a\0.md", "text": "x"}]},
    "a text with NUL": {"documents": [{"path": "a.md", "text": "a\0b"}]},
    "a text that is none": {"documents": [{"path": "a.md", "text": 7}]},
    "a long path": {"documents": [{"path": "a" * 501, "text": "x"}]},
    "a day that is none": {"documents": [{"path": "a.md", "text": "x", "changed_at": "yesterday"}]},
    "a document twice": {"documents": [{"path": "a.md", "text": "x"}, {"path": "a.md", "text": "y"}]},
    "another field": {"documents": [{"path": "a.md", "text": "x", "owner": "rival"}]},
    "whole as text": {"documents": [{"path": "a.md", "text": "x"}], "whole": "true"},
    "too many": {"documents": [{"path": f"{n}.md", "text": ""} for n in range(1_001)]},
}


@pytest.mark.parametrize("name", BAD)
def test_a_request_that_cannot_be(call, name):
    before = Import.objects.count()
    answer = call("member", "POST", AT, BAD[name])
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json"), answer.content
    assert answer.json()["errors"][0]["pointer"].startswith(("/documents", "/whole"))
    assert Import.objects.count() == before


FORMS = {
    "empty": b"",
    "no form": b"nothing of the kind",
    "cut off": form_of([("a.md", b"x")])[:-30],
    "under another name": form_of([("a.md", b"x")], field="files"),
    "a text as the file": form_of([], documents="hello"),
    "a text beside the file": form_of([("a.md", b"x")], documents="hello"),
    "another field": form_of([("a.md", b"x")], owner="rival"),
    "whole as a number": form_of([("a.md", b"x")], whole="1"),
    "twice": form_of([("a.md", b"x"), ("a.md", b"y")]),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_cannot_be(world, as_role, name):
    before = Import.objects.count()
    with as_role("hanse_app"):
        answer = world.clients["member"].generic("POST", f"/api/v1/{AT}", FORMS[name], content_type=CONTENT_TYPE)
    assert answer.status_code in {400, 422}, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert Import.objects.count() == before


def test_a_form_is_taken_nowhere_else(world, as_role):
    with as_role("hanse_app"):
        answer = world.clients["lead"].generic(
            "POST", "/api/v1/context/sources", form_of([("a.md", b"x")]), content_type=CONTENT_TYPE
        )
    assert answer.status_code == 415


def test_a_session_without_its_csrf_token_uploads_nothing(world, as_role):
    client = world.clients["member"]
    client.handler.enforce_csrf_checks = True
    before = Import.objects.count()
    with as_role("hanse_app"):
        answer = client.generic("POST", f"/api/v1/{AT}", form_of([("a.md", GOOD.encode())]), content_type=CONTENT_TYPE)
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
    assert Import.objects.count() == before


def test_two_imports_of_one_source_at_once_are_a_conflict(call, upload):
    path = "context/sources/ledger/ledger-wiki/imports"
    for answer in (call("lead", "POST", path, texts(a__md=GOOD)), upload("lead", [("a.md", b"x")], path=path)):
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_sent_twice_is_begun_once(call, upload, world):
    keyed = {"Idempotency-Key": "k1"}
    first = upload("member", [("a.md", GOOD.encode())], headers=keyed)
    again = upload("member", [("a.md", GOOD.encode())], headers=keyed)
    other = upload("member", [("a.md", GOOD.encode() + b"more")], headers=keyed)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert (again.json(), again["Idempotency-Replayed"]) == (first.json(), "true")
    assert other.json()["code"] == "idempotency_key_reused"
    assert Import.objects.filter(source=world.own.context.source).count() == 2
    call("member", "POST", f"context/imports/{first.json()['uid']}/cancel", If_Match=first["ETag"])
    first = call("member", "POST", AT, texts(b__md=GOOD), Idempotency_Key="k2")
    assert call("member", "POST", AT, texts(b__md=GOOD), Idempotency_Key="k2").json() == first.json()
    assert GOOD not in str(KeptAnswer.objects.values())


def test_an_import_is_paused_resumed_and_cancelled_by_who_read_its_present_state(
    call, world, probes, django_capture_on_commit_callbacks
):
    row = world.own.context.reading
    path = f"context/imports/{row.uid}"
    read = call("member", "GET", path)
    assert call("member", "POST", f"{path}/pause").status_code == 428
    paused = call("member", "POST", f"{path}/pause", If_Match=read["ETag"])
    assert paused.json()["state"] == "paused"
    assert call("lead", "POST", f"{path}/cancel", If_Match=read["ETag"]).status_code == 412
    with django_capture_on_commit_callbacks(execute=True):
        resumed = call("lead", "POST", f"{path}/resume", If_Match=paused["ETag"])
    assert (resumed.json()["state"], probes) == ("queued", [row.pk])
    cancelled = call("lead", "POST", f"{path}/cancel", If_Match=resumed["ETag"])
    assert (cancelled.json()["state"], cancelled.json()["progress"]["cancelled"]) == ("cancelled", 3)
    assert call("lead", "POST", f"{path}/pause", If_Match=cancelled["ETag"]).status_code == 409
    assert not ImportItem.objects.filter(of=row).exclude(content=None).exists()


def test_what_failed_is_tried_again_while_its_bytes_are_there(
    call, upload, begun, probes, django_capture_on_commit_callbacks
):
    begun(upload, "member", [("raw.md", b"\0\1" * 80)])
    row = Import.objects.order_by("-pk")[0]
    tag_now = call("member", "GET", f"context/imports/{row.uid}")["ETag"]
    with django_capture_on_commit_callbacks(execute=True):
        answer = call("member", "POST", f"context/imports/{row.uid}/retry", If_Match=tag_now)
    assert (answer.status_code, answer.json()["state"], answer.json()["progress"]["waiting"]) == (200, "queued", 1)
    assert probes == [row.pk]


def test_a_repository_is_added_and_fetched_without_sending_anything(
    call, world, tmp_path, monkeypatch, fetches, django_capture_on_commit_callbacks
):
    place = make_repository(tmp_path / "handbook", {"README.md": "# Handbook\n"})
    allowed = replace(django_settings.HANSE, repository_roots=(tmp_path,))
    monkeypatch.setattr(django_settings, "HANSE", allowed)
    new = {"owner": "ledger", "slug": "handbook", "name": "Handbook", "kind": "git"}
    refused = call("member", "POST", "context/sources", {**new, "location": "https://10.0.0.1/x.git"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/location")
    added = call("member", "POST", "context/sources", {**new, "location": place.as_uri(), "branch": "main"})
    assert (added.status_code, added.json()["branch"]) == (201, "main")
    at = "context/sources/ledger/handbook/imports"
    assert call("reviewer", "POST", at, {}).status_code == 403
    with django_capture_on_commit_callbacks(execute=True):
        begun = call("member", "POST", at, {})
    assert (begun.status_code, begun.json()["is_staged"]) == (201, False)
    assert fetches == [Import.objects.get(uid=begun.json()["uid"]).pk]
    assert call("member", "POST", at, {}).status_code == 409
    assert call("member", "POST", at, texts(a__md=GOOD)).status_code == 409


@pytest.fixture
def fetches(monkeypatch):
    """Returns the imports for which a worker was asked to fetch."""
    found = []
    monkeypatch.setattr(fetch_import, "delay", found.append)
    return found


def test_without_clearance_the_names_of_documents_are_not_shown(call, world):
    row = world.own.context.reading
    Source.objects.filter(pk=row.source_id).update(sensitivity=Sensitivity.RESTRICTED)
    assert call("lead", "GET", f"context/imports/{row.uid}/items").json()["items"] == []
    assert call("lead", "GET", f"context/imports/{row.uid}").json()["progress"]["total"] == 3


def test_a_stale_version_of_another_import_changes_nothing(call, world):
    path = f"context/imports/{world.own.context.reading.uid}/cancel"
    assert call("lead", "POST", path, If_Match=tag(99)).status_code == 412
