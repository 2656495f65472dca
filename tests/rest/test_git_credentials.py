"""The credential of a repository by REST: it goes in once it is known which one it replaces, and is in no answer."""

import json

import pytest

from registry.context.models import SourceCredential
from tests.rest.context_things import REPOSITORY_SECRET

SOURCE = "context/sources/ledger/ledger-private"
PLACES = (f"{SOURCE}/credential", "repositories/ledger/ledger-app/credential")
SECRET = "swordfish-of-today"


@pytest.mark.parametrize("place", PLACES)
def test_what_is_known_of_one_is_all_but_what_it_is(call, place):
    answer = call("reviewer", "GET", place)
    assert set(answer.json()) == {"uid", "kind", "address", "key_id", "created_at", "created_by"}
    assert REPOSITORY_SECRET not in answer.content.decode() + str(answer.headers)


@pytest.mark.parametrize("place", PLACES)
def test_one_is_replaced_and_removed_by_who_knows_which(call, place):
    body = {"secret": SECRET, "username": "ana"}
    assert call("member", "PUT", place, body, If_None_Match="*").status_code == 412
    tag = call("member", "GET", place)["ETag"]
    replaced = call("member", "PUT", place, body | {"kind": "bearer"}, If_Match=tag)
    assert (replaced.status_code, replaced.json()["kind"]) == (200, "bearer")
    assert SECRET not in replaced.content.decode()
    assert call("member", "PUT", place, body, If_Match=tag).status_code == 412
    assert call("member", "DELETE", place, If_Match=tag).status_code == 412
    assert call("member", "DELETE", place, If_Match=replaced["ETag"]).status_code == 204
    assert call("member", "GET", place).status_code == 404
    assert call("member", "DELETE", place, If_Match=tag).status_code == 404
    assert call("member", "PUT", place, body, If_None_Match="*").status_code == 200


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"secret": "zq9-x"}, "secret"),
        ({"secret": f"{SECRET}\nmore"}, "secret"),
        ({"secret": SECRET, "kind": "digest"}, "kind"),
        ({"secret": SECRET, "username": "a:b"}, "username"),
        ({"secret": SECRET, "value": "x"}, "value"),
        ({}, "secret"),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_field_and_not_said_again(call, place, body, field):
    answer = call("member", "PUT", place, body, If_Match="*")
    assert answer.status_code == 422
    assert field in json.dumps(answer.json()["errors"])
    assert "zq9" not in answer.content.decode()
    assert SECRET not in answer.content.decode()


def test_another_address_by_rest_drops_it(call):
    tag = call("member", "GET", SOURCE)["ETag"]
    moved = call("member", "PATCH", SOURCE, {"location": "http://127.0.0.1:9/elsewhere"}, If_Match=tag)
    assert moved.status_code == 200
    assert call("member", "GET", PLACES[0]).status_code == 404
    assert not SourceCredential.objects.filter(source__slug="ledger-private").exists()


def test_what_is_no_repository_takes_none(call):
    place = "context/sources/ledger/ledger-runbooks/credential"
    answer = call("member", "PUT", place, {"secret": SECRET}, If_None_Match="*")
    assert answer.status_code == 422
    assert answer.json()["code"] == "git_no_credential"
