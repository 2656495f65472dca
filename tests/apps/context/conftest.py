from copy import deepcopy

import pytest

from tests.actors import make_cast


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def cast(made, db):
    return deepcopy(made)
