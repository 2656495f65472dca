import pytest
from django.db import transaction

from tests.actors import fresh, make_cast


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def cast(made, db):
    return fresh(made)


@pytest.fixture
def undone():
    """Returns a context manager: what is done inside is undone at its end."""

    class Undone:
        def __enter__(self):
            self.block = transaction.atomic()
            self.block.__enter__()

        def __exit__(self, *exc):
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

    return Undone
