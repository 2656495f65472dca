"""A git repository as a source on its page: added, fetched, read again, and what cannot be had says why."""

from dataclasses import replace

import pytest
from django.test import override_settings

from registry.context import fetching
from registry.context.models import Document, Import, Source
from registry.context.tasks import fetch_import, run_import
from registry.context.working import work_on
from registry.git.fetching import Sources
from tests.apps.classification.repositories import make_repository
from tests.pages.test_context import text_of

PAGE = "/context/ledger/sources/manual/"
NEW = {"name": "Manual", "slug": "manual", "kind": "git", "sensitivity": "1"}


@pytest.fixture(autouse=True)
def listed(installation, plain_settings, tmp_path):
    with override_settings(HANSE=replace(installation, repository_roots=(tmp_path,))):
        yield Sources(None, (tmp_path,))


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    found = []
    for task in (run_import, fetch_import):
        monkeypatch.setattr(task, "delay", found.append)
    return found


@pytest.fixture
def place(tmp_path):
    return make_repository(tmp_path / "manual", {"README.md": "# Handbook\n\nHow we work.\n"})


def add(client, **said):
    return client.post("/context/ledger/add/", NEW | said)


def finish(listed):
    row = Import.objects.filter(source__slug="manual").latest("pk")
    fetching.fetch(row.pk, listed)
    while work_on(row.pk, seconds=60):
        pass
    return row


def test_a_repository_is_added_fetched_and_read_again(browse, place, listed, asked, django_capture_on_commit_callbacks):
    member = browse("member")
    with django_capture_on_commit_callbacks(execute=True):
        assert add(member, location=place.as_uri(), branch="main").url == PAGE
    assert asked == [Import.objects.get(source__slug="manual").pk]
    assert "Being fetched" in text_of(member.get(PAGE))
    assert member.post(f"{PAGE}fetch/").status_code == 409
    finish(listed)
    page = text_of(member.get(PAGE))
    assert "README.md" in page
    assert "branch <code>main</code>" in page
    assert "Bring files" not in page
    assert member.post(f"{PAGE}paste/", {"title": "A", "text": "B"}).status_code in {409, 422}
    make_repository(place, {"more.md": "# More\n\nMore.\n"})
    assert member.post(f"{PAGE}fetch/").url == PAGE
    finish(listed)
    assert Document.objects.filter(source__slug="manual").count() == 2


def test_what_cannot_be_had_says_why_and_is_tried_again(browse, place, listed):
    member = browse("member")
    add(member, location=place.as_uri())
    moved = place.rename(place.with_name("gone"))
    row = finish(listed)
    row.refresh_from_db()
    page = text_of(member.get(PAGE))
    assert row.fault
    assert row.fault.split("“")[0][:30] in page
    assert "Try what failed again" in page
    moved.rename(place)
    assert member.post(f"{PAGE}imports/{row.uid}/retry/").status_code == 302
    finish(listed)
    assert Document.objects.get(source__slug="manual").path == "README.md"


@pytest.mark.parametrize("location", ["", "https://10.0.0.1/x.git", "file:///etc", "ssh://git@host.example/x"])
def test_an_address_that_may_not_be_reached_is_refused_at_its_field(browse, location):
    response = add(browse("member"), location=location)
    assert response.status_code == 422
    assert 'id="id_location"' in response.content.decode()
    assert 'aria-invalid="true"' in response.content.decode()
    assert not Source.objects.filter(slug="manual").exists()


def test_moving_a_repository_is_checked_too(browse, place, tmp_path, listed):
    member = browse("member")
    add(member, location=place.as_uri())
    finish(listed)
    source = Source.objects.get(slug="manual")
    said = {"name": "Manual", "sensitivity": "1", "version": source.version}
    assert member.post(f"{PAGE}edit/", said | {"location": "https://169.254.169.254/x"}).status_code == 422
    other = make_repository(tmp_path / "other", {"OTHER.md": "# Other\n\nOther.\n"})
    assert member.post(f"{PAGE}edit/", said | {"location": other.as_uri()}).status_code == 302
    source.refresh_from_db()
    assert (source.location, source.commit) == (other.as_uri(), "")
