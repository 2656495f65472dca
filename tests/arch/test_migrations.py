"""Models and migrations agree, and a migrated database says so."""

from io import StringIO

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_no_migration_is_missing():
    out = StringIO()
    try:
        call_command("makemigrations", "--check", "--dry-run", stdout=out, stderr=out)
    except SystemExit as missing:
        pytest.fail(f"makemigrations would write something ({missing.code}):\n{out.getvalue()}")


def test_the_system_check_is_clean():
    call_command("check", fail_level="WARNING")
