"""The screens, asked as the application's database role, so that row level security holds as it does for real."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.test import override_settings as overridden

from tenants.scope import ALL, tenant_scope
from tests.actors import Cast
from tests.pages.estate import make_estate

QUICK = ["django.contrib.auth.hashers.MD5PasswordHasher"]
PLAIN = {**settings.STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}


@pytest.fixture(autouse=True)
def plain_settings(installation):
    """No hashed file names, which only a collected directory has; passwords are not what is tested here."""
    with overridden(PASSWORD_HASHERS=QUICK, STORAGES=PLAIN, HANSE=installation):
        yield


@pytest.fixture
def cast(db) -> Cast:
    with transaction.atomic(), tenant_scope(ALL):
        return make_estate()


@pytest.fixture
def browse(cast, as_role) -> Callable[[str], Client]:
    """Returns a function: name in the cast -> a client signed in as them. Requests run as the application's role."""

    class RoleClient(Client):
        def request(self, **request):
            with as_role("hanse_app"):
                return super().request(**request)

    def sign_in(who: str) -> Client:
        client = RoleClient()
        client.force_login(getattr(cast, who).person, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in
