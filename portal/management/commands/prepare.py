"""`./manage.py prepare`: what `up` does to the database before it starts anything. Safe to repeat."""

import hashlib
import secrets
from io import StringIO
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from blueprints.services.shipping import publish_shipped
from portal.keys import first_note_path, write_atomically
from registry.providing import provide_all
from tenants.principals import SYSTEM
from tenants.queries import tenants
from tenants.rules import Role, Tier
from tenants.scope import ALL, tenant_scope
from tenants.services import add_person, create_tenant, give_role

ADMIN_EMAIL: Final = "admin@hanse.localhost"
# Framework pages that we never show; leaving them out saves a second of every first start.
_NOT_SERVED: Final = ("rest_framework/*", "guardian/*", "*.map")


class Command(BaseCommand):
    """Migrates, collects static files and fills an empty installation."""

    help = "Bring database and static files up to date. The first time, load the demo estate or make an administrator."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the options."""
        parser.add_argument("--empty", action="store_true", help="no demo estate: one administrator only")

    def handle(self, *args: Any, **options: Any) -> None:
        """Does what is missing."""
        migrate()
        make_room_for_vectors()
        collect_static()
        first_start(empty=options["empty"])
        provide_all()


def migrate() -> None:
    """Applies the migrations that are missing; looks first, because looking is quick."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)


def make_room_for_vectors() -> None:
    """Lets chunks have vectors when pgvector came to the database after the migrations."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regproc('context_vector') IS NOT NULL OR context_prepare_vectors()")


def collect_static() -> None:
    """Collects and compresses static files when any of them has changed since the last time."""
    marker = Path(settings.STATIC_ROOT) / ".collected"
    current = _static_digest()
    if marker.exists() and marker.read_text(encoding="ascii") == current:
        return
    call_command("collectstatic", verbosity=0, interactive=False, clear=True, ignore_patterns=list(_NOT_SERVED))
    write_atomically(marker, current.encode("ascii"), mode=0o644)


@transaction.atomic
def first_start(*, empty: bool) -> None:
    """Fills an installation without a platform, and leaves a note that `up` shows once it is ready."""
    with tenant_scope(ALL):
        if tenants(SYSTEM).exists():
            return
    if not empty and "load_demo" in get_commands():
        words = StringIO()
        call_command("load_demo", stdout=words)
        note = words.getvalue().strip()
    else:
        note = make_administrator()
    # Written inside the transaction: an account whose password nobody was told does not come to be.
    write_atomically(first_note_path(settings.HANSE), f"{note}\n".encode(), mode=0o600)


def make_administrator() -> str:
    """Makes the platform and its first administrator. Returns how to sign in."""
    password = secrets.token_urlsafe(12)
    with tenant_scope(ALL):
        platform = create_tenant(actor=SYSTEM, tier=Tier.PLATFORM, slug="platform", name="Platform")
        person = add_person(actor=SYSTEM, email=ADMIN_EMAIL, name="Administrator", handle="admin", password=password)
        give_role(actor=SYSTEM, person=person, tenant=platform, role=Role.PLATFORM_ADMIN)
        publish_shipped(author=SYSTEM, reviewer=SYSTEM, owner=platform)
    return f"sign in as {ADMIN_EMAIL} with the password {password}\nit is shown once: change it after signing in"


def _static_digest() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list(list(_NOT_SERVED)):
            stat = Path(storage.path(path)).stat()
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
