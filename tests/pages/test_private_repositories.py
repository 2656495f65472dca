"""A private repository on the screens: its credential goes in with the source, on its page and in the wizard, and never comes out."""

from dataclasses import replace

import pytest
from django.test import override_settings
from django.urls import reverse

from blueprints.models import Repository, RepositoryCredential
from blueprints.tasks import measure_repository
from portal.sources import repository_sources
from registry.context import fetching
from registry.context.models import Document, Import, Source, SourceCredential
from registry.context.tasks import fetch_import, run_import
from registry.context.working import work_on
from tests.apps.classification.repositories import make_repository
from tests.git.private import TOKEN, basic, guarded
from tests.pages.boarding import at, fill, stand
from tests.pages.test_context import text_of

PAGE = "/context/ledger/sources/manual/"
REPOSITORY = "/repositories/ledger/manual/"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_repository(tmp_path_factory.mktemp("served") / "manual", {"README.md": "# Handbook\n\nHow we work.\n"})


@pytest.fixture(autouse=True)
def door(place, installation, plain_settings):
    with (
        guarded(place, basic("x-access-token", TOKEN)) as door,
        override_settings(HANSE=replace(installation, upstream_allow=(f"127.0.0.1:{door.port}",))),
    ):
        yield door


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    found = []
    for task in (run_import, fetch_import, measure_repository):
        monkeypatch.setattr(task, "delay", found.append)
    return found


def finish():
    row = Import.objects.latest("pk")
    fetching.fetch(row.pk, repository_sources())
    while work_on(row.pk, seconds=60):
        pass


def add(client, door, **said):
    facts = {"name": "Manual", "slug": "manual", "kind": "git", "sensitivity": "1", "location": door.url}
    return client.post("/context/ledger/add/", facts | said)


def test_a_source_is_added_with_its_token(browse, door):
    member = browse("member")
    assert add(member, door, secret=TOKEN).url == PAGE
    finish()
    page = member.get(PAGE).content.decode()
    assert "README.md" in page
    assert TOKEN not in page
    assert door.url in page
    assert Import.objects.latest("pk").state == "done"


@pytest.mark.parametrize(
    "said", [{"secret": "zq9-x"}, {"secret": "two\nlines of it"}, {"secret": TOKEN, "kind": "files", "location": ""}]
)
def test_what_cannot_be_sealed_adds_nothing_and_is_not_shown_again(browse, door, said):
    response = add(browse("member"), door, **said)
    assert response.status_code == 422
    assert said["secret"] not in response.content.decode()
    assert not Source.objects.filter(slug="manual").exists()


def test_one_that_is_wanted_is_asked_for_set_replaced_and_removed(browse, door, asked):
    member, reviewer = browse("member"), browse("reviewer")
    add(member, door)
    finish()
    page = member.get(PAGE).content.decode()
    assert "asks for credentials" in page
    assert 'href="#credential"' in page
    assert "Set the credential that its repository asks for." in text_of(member.get(PAGE))
    wrong = member.post(reverse("source_credential_set", args=["ledger", "manual"]), {"kind": "basic", "secret": "no"})
    assert wrong.status_code == 422
    for token in ("a-wrong-token", TOKEN):
        form = {"kind": "basic", "username": "", "secret": token}
        assert member.post(reverse("source_credential_set", args=["ledger", "manual"]), form).url == PAGE
        finish()
        page = member.get(PAGE).content.decode()
        assert token not in page
        assert ("refused the credential" in page) == (token != TOKEN)
    assert Document.objects.filter(source__slug="manual").count() == 1
    seen = reviewer.get(PAGE).content.decode()
    assert "Bound to" in seen
    assert "Seal it" not in seen
    assert member.post(reverse("source_credential_remove", args=["ledger", "manual"])).url == PAGE
    assert not SourceCredential.objects.exists()


def test_moving_a_source_says_that_its_credential_is_gone(browse, door):
    member = browse("member")
    add(member, door, secret=TOKEN)
    assert "its credential is dropped" in member.get(f"{PAGE}edit/").content.decode()
    form = {"name": "Manual", "sensitivity": "1", "location": f"{door.url}2", "version": "1"}
    assert "is gone: set it again" in text_of(member.post(f"{PAGE}edit/", form, follow=True))
    assert not SourceCredential.objects.exists()


def test_a_repository_is_registered_and_measured_with_its_token(browse, door):
    member = browse("member")
    facts = {"team": "ledger", "name": "Manual", "slug": "manual", "url": door.url}
    assert member.post("/repositories/register/", facts | {"secret": "short"}).status_code == 422
    assert not Repository.objects.filter(slug="manual").exists()
    assert member.post("/repositories/register/", facts).url == REPOSITORY
    repository = Repository.objects.get(slug="manual")
    measure_repository(repository.pk)
    assert 'href="#credential"' in member.get(REPOSITORY).content.decode()
    form = {"kind": "basic", "secret": TOKEN}
    assert member.post(reverse("repository_credential_set", args=["ledger", "manual"]), form).url == REPOSITORY
    measure_repository(repository.pk)
    page = member.get(REPOSITORY).content.decode()
    assert "signature holds" in page
    assert TOKEN not in page
    repository.refresh_from_db()
    form = {"name": "Manual", "url": f"{door.url}2", "version": repository.version}
    assert member.post(f"{REPOSITORY}edit/", form).url == REPOSITORY
    assert not RepositoryCredential.objects.exists()


def test_the_wizard_takes_a_token_beside_the_address(browse, door):
    row = stand(browse)
    lead = browse("lead")
    assert fill(lead, row, "documents", "commit", url=door.url, token="short").status_code == 422
    assert not Source.objects.filter(owner=row.owner).exists()
    assert fill(lead, row, "documents", "commit", url=door.url, token="a-wrong-token").status_code == 302
    finish()
    page = lead.get(at(row, "documents")).content.decode()
    assert "refused the credential" in page
    assert fill(lead, row, "documents", "commit", url=door.url, token=TOKEN).status_code == 302
    finish()
    page = lead.get(at(row, "documents")).content.decode()
    assert "1 document, 1 passage." in page
    assert TOKEN not in page
    row.refresh_from_db()
    assert TOKEN not in str(row.__dict__)
