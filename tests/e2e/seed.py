"""Fills an empty, migrated database for the browser tests, then places its records in the log's tree."""

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from registry.context.services.sources import add_source  # noqa: E402
from tenants.principals import SYSTEM  # noqa: E402
from tenants.rules import Role  # noqa: E402
from tenants.scope import ALL, tenant_scope  # noqa: E402
from tenants.services import give_role  # noqa: E402
from tests.actors import make_person  # noqa: E402
from tests.pages.estate import make_api, make_estate  # noqa: E402
from tests.pages.written import begin  # noqa: E402

if __name__ == "__main__":
    with transaction.atomic(), tenant_scope(ALL):
        cast = make_estate()
        make_api(cast)
        queued = add_source(actor=cast.lead, owner=cast.team, slug="queued", name="Queued")
        begin(queued, cast.lead, {"first.md": "# First", "second.md": "# Second"})
        give_role(actor=SYSTEM, person=make_person("curator"), tenant=cast.platform, role=Role.REVIEWER)
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
