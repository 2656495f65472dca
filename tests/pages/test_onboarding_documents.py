"""The wizard's documents, repositories and wrapped API: what is named is read, and what cannot be says why."""

import json
from dataclasses import replace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from django.urls import reverse

from blueprints.models import Repository
from registry.context import fetching
from registry.context.models import Document, Import, Source
from registry.context.tasks import fetch_import, run_import
from registry.context.working import work_on
from registry.git.fetching import Sources
from registry.models import ApiDocument, Server
from registry.tasks import probe_server
from tests.apps.classification.repositories import make_repository
from tests.pages.boarding import at, fill, stand

API = {
    "openapi": "3.0.3",
    "info": {"title": "Ledger", "version": "1"},
    "servers": [{"url": "http://127.0.0.1:9/api"}],
    "paths": {"/balances": {"get": {"operationId": "balances", "responses": {"200": {"description": "All."}}}}},
}


@pytest.fixture(autouse=True)
def what_an_operator_listed(installation, plain_settings, tmp_path):
    changed = replace(installation, upstream_allow=("127.0.0.1:9",), repository_roots=(tmp_path,))
    with override_settings(HANSE=changed):
        yield


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """Returns the imports and servers that a worker was asked to look at."""
    found = []
    for task in (run_import, fetch_import, probe_server):
        monkeypatch.setattr(task, "delay", found.append)
    return found


@pytest.fixture
def place(tmp_path):
    return make_repository(tmp_path / "ledger", {"README.md": "# Ledger\n\nHow it is kept.\n", "bad.pdf": "no"})


@pytest.fixture
def row(browse):
    return stand(browse)


@pytest.fixture
def lead(browse, row):
    return browse("lead")


def read(tmp_path):
    for one in Import.objects.order_by("pk"):
        fetching.fetch(one.pk, Sources(None, (tmp_path,)))
        while work_on(one.pk, seconds=60):
            pass


def test_a_repository_is_fetched_read_and_shown(lead, row, place, tmp_path, asked, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = fill(lead, row, "documents", "commit", url=place.as_uri())
    assert response.url == at(row, "documents")
    source = Source.objects.get(owner=row.owner, slug="ledger")
    assert (source.kind, asked) == ("git", [source.imports.get().pk])
    assert "being fetched" in lead.get(at(row, "documents")).content.decode()
    read(tmp_path)
    text = lead.get(at(row, "documents")).content.decode()
    assert "1 document, 1 passage." in text
    assert "bad.pdf" in text  # which could not be read, and says why
    assert Document.objects.get(source=source).path == "README.md"
    again = fill(lead, row, "documents", "commit", url=place.as_uri())
    assert again.url == at(row, "server")
    assert source.imports.count() == 1


def test_what_is_on_its_way_or_left_out_stops_nobody(lead, row, place):
    assert at(row, "server") in lead.get(at(row, "documents")).content.decode()
    fill(lead, row, "documents", "commit", url=place.as_uri())
    assert at(row, "server") in lead.get(at(row, "documents")).content.decode()


def test_a_page_is_pasted_once(lead, row, tmp_path):
    page = {"title": "On call", "text": "Call the lead first."}
    assert fill(lead, row, "documents", "commit", **page).status_code == 302
    read(tmp_path)
    assert Document.objects.get(owner=row.owner).title == "On call"
    assert "is there" in lead.get(at(row, "documents")).content.decode()
    fill(lead, row, "documents", "commit", **page)
    assert Import.objects.filter(owner=row.owner).count() == 1


def test_files_are_brought_and_what_is_refused_is_named(lead, row, tmp_path):
    files = [SimpleUploadedFile("a.md", b"# A\n\nA."), SimpleUploadedFile("b.exe", b"MZ")]
    response = lead.post(reverse("onboarding_bring", args=[row.uid]), {"documents": files})
    assert response.url == at(row, "documents")
    read(tmp_path)
    text = lead.get(at(row, "documents")).content.decode()
    assert list(Document.objects.filter(owner=row.owner).values_list("path", flat=True)) == ["a.md"]
    assert "b.exe" in text
    assert lead.post(reverse("onboarding_bring", args=[row.uid]), {}).status_code == 422


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        ({}, "Name a repository"),
        ({"url": "https://10.0.0.1/x.git"}, "10.0.0.1"),
        ({"url": "ssh://git@host.example/x"}, "http"),
        ({"url": "file:///etc"}, "not below one"),
        ({"title": "Only a title"}, "a title and a text"),
        ({"text": "Only a text"}, "a title and a text"),
    ],
)
def test_what_cannot_be_brought_says_so_and_leaves_nothing(lead, row, answers, word):
    response = fill(lead, row, "documents", "commit", **answers)
    assert response.status_code == 422
    assert word in response.content.decode()
    assert not Source.objects.filter(owner=row.owner).exists()


def test_repositories_are_registered_and_measured(lead, row, place, tmp_path):
    other = make_repository(tmp_path / "other", {"README.md": "# Other\n"})
    named = f"{place.as_uri()}\n{other.as_uri()} main\n\n"
    assert fill(lead, row, "libraries", "commit", repositories=named).status_code == 302
    there = Repository.objects.filter(owner=row.owner).order_by("slug")
    assert [(one.slug, one.branch, one.stage) for one in there] == [
        ("ledger", "", "waiting"),
        ("other", "main", "waiting"),
    ]
    fill(lead, row, "libraries", "commit", repositories=named)
    assert there.count() == 2
    assert "Being measured: 2 repositories" in lead.get(at(row, "libraries")).content.decode()
    refused = fill(lead, row, "libraries", "commit", repositories=f"{place.as_uri()}\nhttps://169.254.169.254/x")
    assert refused.status_code == 422
    assert "169.254.169.254" in refused.content.decode()
    assert there.count() == 2


def test_more_repositories_than_are_looked_up_at_once_are_refused(lead, row, tmp_path):
    named = "\n".join(f"https://host.example/{number}" for number in range(21))
    response = fill(lead, row, "libraries", "commit", repositories=named)
    assert response.status_code == 422
    assert "At most 20 at once" in response.content.decode()
    assert not Repository.objects.filter(owner=row.owner).exists()


def test_an_http_api_is_the_first_server(lead, row, asked, django_capture_on_commit_callbacks):
    page = lead.get(at(row, "server")).content.decode()
    assert reverse("onboarding_wrap", args=[row.uid]) in page
    said = {"api-name": "Ledger API", "api-document": json.dumps(API)}
    with django_capture_on_commit_callbacks(execute=True):
        response = lead.post(reverse("onboarding_wrap", args=[row.uid]), said)
    assert response.url == at(row, "server")
    server = Server.objects.get(owner=row.owner, transport="openapi")
    assert (server.slug, server.status, asked) == ("ledger-api", "draft", [server.pk])
    Server.objects.filter(pk=server.pk).update(probe_ok=True)
    page = lead.get(at(row, "server")).content.decode()
    assert "Tools to approve" in page
    assert "balances" in page


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ("", "Choose a file"),
        ("{", "cannot be read"),
        (json.dumps({**API, "paths": {"/x": {"$ref": "https://a.example/b"}}}), "$ref"),
    ],
)
def test_a_document_that_cannot_be_wrapped_says_why(lead, row, document, word):
    said = {"api-name": "Ledger API", "api-document": document}
    response = lead.post(reverse("onboarding_wrap", args=[row.uid]), said)
    assert response.status_code == 422, response.content.decode()
    assert not ApiDocument.objects.filter(owner=row.owner).exists()
