"""Two who write the same layer in the same moment, each with a connection of their own."""

import threading

import pytest
from django.db import connection, connections, transaction

from blueprints.models import Layer
from blueprints.services import harness
from kernel.errors import Conflict, PreconditionFailed
from tests.actors import make_cast
from tests.apps.blueprints.test_harness import CARD_DATA, TESTS

pytestmark = pytest.mark.django_db(transaction=True)

WAITING = """
SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))
"""


class Second(threading.Thread):
    """Somebody else's act, on another connection; `error` is what it raised."""

    def __init__(self, act):
        super().__init__(daemon=True)
        self.act = act
        self.error = None

    def run(self):
        try:
            self.act()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        finally:
            connections.close_all()

    def wait_until_it_waits(self):
        """Returns when the other session waits for ours: it has read what it could read and cannot go on."""
        for _ in range(20_000):
            with connection.cursor() as cursor:
                cursor.execute(WAITING)
                if cursor.fetchone()[0]:
                    return
            assert self.is_alive(), self.error
        pytest.fail("the second writer never waited")


@pytest.fixture
def cast():
    return make_cast()


def both(first, second):
    """Returns the error of `second`, begun while `first` is done and not yet committed."""
    other = Second(second)
    with transaction.atomic():
        first()
        other.start()
        other.wait_until_it_waits()
    other.join(60)
    assert not other.is_alive()
    return other.error


@pytest.mark.parametrize("expected", [None, 0])
def test_of_two_first_layers_one_is_told_that_the_other_was_there(cast, expected):
    def write(actor, check):
        harness.add_check(actor=actor, owner=cast.domain, check=check, expected_version=expected)

    error = both(lambda: write(cast.steward, CARD_DATA), lambda: write(cast.admin, TESTS))
    assert isinstance(error, Conflict)
    assert "same moment" in error.message
    assert [one["id"] for one in Layer.objects.get(owner=cast.domain).document["checks"]] == ["card_data"]


def test_two_who_add_without_a_version_both_add(cast):
    harness.add_check(actor=cast.steward, owner=cast.domain, check={**TESTS, "id": "first"})

    def add(actor, check):
        harness.add_check(actor=actor, owner=cast.domain, check=check)

    assert both(lambda: add(cast.steward, CARD_DATA), lambda: add(cast.admin, TESTS)) is None
    layer = Layer.objects.get(owner=cast.domain)
    assert [one["id"] for one in layer.document["checks"]] == ["first", "card_data", "tests"]
    assert layer.version == 3


def test_of_two_who_read_the_same_version_one_is_told(cast):
    harness.add_check(actor=cast.steward, owner=cast.domain, check={**TESTS, "id": "first"})

    def add(actor, check):
        harness.add_check(actor=actor, owner=cast.domain, check=check, expected_version=1)

    error = both(lambda: add(cast.steward, CARD_DATA), lambda: add(cast.admin, TESTS))
    assert isinstance(error, PreconditionFailed)
    assert Layer.objects.get(owner=cast.domain).version == 2
