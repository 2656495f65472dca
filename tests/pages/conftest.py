"""The screens, asked as the application's database role, so that row level security holds as it does for real."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from http.cookies import SimpleCookie

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.test import override_settings as overridden

from portal.parts import estate
from tenants.scope import ALL, tenant_scope
from tests.actors import Cast, fresh
from tests.pages.estate import make_estate

QUICK = ["django.contrib.auth.hashers.MD5PasswordHasher"]
PLAIN = {**settings.STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}


@pytest.fixture(autouse=True)
def plain_settings(installation):
    """No hashed file names, which only a collected directory has; passwords are not what is tested here."""
    estate.forget()
    with overridden(PASSWORD_HASHERS=QUICK, STORAGES=PLAIN, HANSE=installation):
        yield


@pytest.fixture(scope="module")
def standing(module_rows) -> tuple[Cast, dict[str, SimpleCookie]]:
    """Returns the estate of one module, and the cookies of everybody in it."""
    with overridden(PASSWORD_HASHERS=QUICK), transaction.atomic(), tenant_scope(ALL):
        cast = make_estate()
    cookies = {}
    for name, principal in cast.principals().items():
        client = Client()
        client.force_login(principal.person, backend="django.contrib.auth.backends.ModelBackend")
        cookies[name] = client.cookies
    return cast, cookies


@pytest.fixture
def cast(standing, db) -> Cast:
    """Returns a copy of the module's estate; what a test writes ends with it."""
    return fresh(standing[0])


def client_as_app(as_role: Callable[[str], AbstractContextManager[None]]) -> Client:
    """Returns a client whose requests run as the application's database role."""

    class RoleClient(Client):
        def request(self, **request):
            with as_role("hanse_app"):
                return super().request(**request)

    return RoleClient()


@pytest.fixture
def browse(cast, standing, as_role) -> Callable[[str], Client]:
    """Returns a function: name in the cast -> a client signed in as them. Requests run as the application's role."""

    def sign_in(who: str) -> Client:
        client = client_as_app(as_role)
        client.cookies = deepcopy(standing[1][who])
        return client

    return sign_in
