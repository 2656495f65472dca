"""Measuring a repository that asks for credentials: with one, without, moved, removed, and nothing of it in what is signed."""

import json
from copy import deepcopy
from dataclasses import replace

import pytest
from django.conf import settings
from django.test import override_settings

from audit.models import Event
from blueprints.models import RepositoryCredential
from blueprints.queries import repositories as queries
from blueprints.services.credentials import remove_repository_credential, set_repository_credential
from blueprints.services.repositories import ask_measurement, change_repository, register_repository, remove_repository
from kernel.errors import Forbidden, Invalid
from kernel.secrets import Secret
from portal.keyring import repository_key
from portal.sources import repository_sources
from tests.actors import make_cast
from tests.apps.blueprints.workshop import measured, offered, refreshed, register
from tests.apps.classification.repositories import PYTHON, make_repository
from tests.git.private import TOKEN, basic, guarded

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    files = PYTHON | {"notes.md": f"# Notes\n\nThe token is {TOKEN}.\n"}
    return make_repository(tmp_path_factory.mktemp("private") / "calc", files)


@pytest.fixture
def door(place):
    with (
        guarded(place, f"Bearer {TOKEN}", basic("ana", TOKEN)) as door,
        override_settings(HANSE=replace(settings.HANSE, upstream_allow=(f"127.0.0.1:{door.port}",))),
    ):
        yield door


@pytest.fixture
def cast(made, db):
    return deepcopy(made)


@pytest.fixture
def repository(cast, door):
    facts = {"slug": "calc", "name": "Calc", "url": door.url, "sources": repository_sources()}
    return register_repository(actor=cast.member, team=cast.team, **facts)


def give(actor, repository, **over):
    key = repository_key()
    facts = {"kind": "bearer", "secret": Secret(TOKEN.encode()), "public_key": key.public, "key_id": key.key_id}
    return set_repository_credential(actor=actor, repository=repository, **(facts | over))


@pytest.mark.parametrize("over", [{}, {"kind": "basic", "username": "ana"}])
def test_it_is_measured_once_its_credential_is_there(cast, repository, door, over):
    assert "asks for credentials" in measured(repository).fault
    give(cast.member, repository, **over)
    found = measured(ask_measurement(actor=cast.member, repository=repository))
    assert (found.fault, found.stage) == ("", "")
    assert found.record["commit"]
    kept = json.dumps([found.record, found.findings, found.signature])
    assert TOKEN not in kept
    assert len(door.seen) == 3
    door.allowed.clear()
    again = measured(ask_measurement(actor=cast.member, repository=refreshed(repository)))
    assert "refused the credential" in again.fault
    assert again.record == found.record


def test_who_works_in_the_team_sets_it_and_nobody_reads_it(cast, repository):
    for actor in (cast.reviewer, cast.steward, cast.outsider):
        with pytest.raises(Forbidden):
            give(actor, repository)
        with pytest.raises(Forbidden):
            remove_repository_credential(actor=actor, repository=repository)
    give(cast.member, repository)
    assert "sealed" in queries.credential_of(cast.reviewer, repository).get_deferred_fields()
    assert queries.credential_of(cast.outsider, repository) is None
    remove_repository_credential(actor=cast.lead, repository=repository)
    assert not RepositoryCredential.objects.exists()


def test_another_address_and_a_removal_drop_it(cast, repository, door):
    sources = repository_sources()
    give(cast.member, repository)
    change_repository(actor=cast.member, repository=repository, sources=sources, branch="main", name="Other")
    assert RepositoryCredential.objects.exists()
    change_repository(actor=cast.member, repository=repository, sources=sources, url=f"{door.url}2")
    assert not RepositoryCredential.objects.exists()
    give(cast.member, repository)
    remove_repository(actor=cast.lead, repository=repository)
    assert not RepositoryCredential.objects.exists()
    rows = Event.objects.filter(verb__startswith="registry.credential").order_by("pk")
    assert [row.verb.rsplit(".", 1)[-1] for row in rows] == ["set", "removed", "set", "removed"]


def test_a_directory_of_this_host_takes_none(cast, place):
    with offered(place.parent), pytest.raises(Invalid, match="no credential"):
        give(cast.member, register(cast.member, cast.team, place))


def test_a_row_that_is_moved_to_another_repository_opens_nothing(cast, repository, door):
    facts = {"slug": "other", "name": "Other", "url": door.url, "sources": repository_sources()}
    other = register_repository(actor=cast.member, team=cast.team, **facts)
    give(cast.member, repository)
    RepositoryCredential.objects.update(repository=other)
    assert "does not open" in measured(other).fault
    assert door.seen == []
