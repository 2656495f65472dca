"""Background work of the registry: looking at servers again and again, and reading what imports bring."""

from celery import shared_task

from registry.context.tasks import (
    embed_chunks,
    fetch_import,
    forget_old_gaps,
    refresh_sources,
    resume_imports,
    run_import,
)
from registry.models import Server
from registry.probe import probe
from registry.queries import servers_to_probe
from registry.surfaces import take_in_probe
from tenants.scope import ALL, tenant_scope

__all__ = [
    "embed_chunks",
    "fetch_import",
    "forget_old_gaps",
    "probe_server",
    "probe_servers",
    "refresh_sources",
    "resume_imports",
    "run_import",
]


@shared_task(name="registry.probe_server")
def probe_server(server_id: int) -> None:
    """Probes one server. Running twice is harmless: a probe only records what is there."""
    with tenant_scope(ALL):
        server = Server.objects.filter(pk=server_id).first()
    if server is None:
        return
    shown = probe(server)  # outside any transaction: a server may take its time
    with tenant_scope(ALL):
        take_in_probe(server=server, shown=shown)


@shared_task(name="registry.probe_servers")
def probe_servers() -> None:
    """Wakes one probe for each server, so that a slow one delays no other."""
    with tenant_scope(ALL):
        ids = list(servers_to_probe().values_list("pk", flat=True))
    for server_id in ids:
        probe_server.delay(server_id)
