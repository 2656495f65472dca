"""How many questions a screen asks the database: the same few, however much there is."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

LISTS = ("/catalog/", "/identity/agents/", "/identity/delegations/", "/identity/people/", "/audit/")
OTHERS = {"/": 14, "/teams/": 8, "/teams/ledger/": 12, "/servers/accounts/": 9, "/servers/accounts/callers/": 14}
# Ours is what the screen asks. Session, person, roles and row scope come before it at every request.
BEFORE = ("django_session", "tenants_access", "set_config", "SAVEPOINT", '"tenants_person"."id" =', "current_setting")


def questions(client, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in asked if not any(mark in query["sql"] for mark in BEFORE)]


@pytest.mark.parametrize("url", LISTS)
def test_a_list_asks_at_most_eight(browse, url):
    asked = questions(browse("lead"), url)
    assert len(asked) <= 8, "\n".join(asked)


@pytest.mark.parametrize(("url", "most"), OTHERS.items())
def test_a_screen_keeps_its_budget(browse, url, most):
    asked = questions(browse("lead"), url)
    assert len(asked) <= most, "\n".join(asked)
