"""Fills an empty, migrated database for the browser tests, then places its records in the log's tree."""

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from tenants.scope import ALL, tenant_scope  # noqa: E402
from tests.pages.estate import make_estate  # noqa: E402

if __name__ == "__main__":
    with transaction.atomic(), tenant_scope(ALL):
        make_estate()
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
