"""Keeps the internal servers of each tenant in the catalog, with their tools as this release ships them.

What the installation ships needs nobody's approval; but it is pinned like everything else, and what somebody rejected,
classified, quarantined or retired stays so.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from django.db import transaction

from audit.services import record
from kernel import clock
from registry import rules, verbs
from registry.models import Server, Tool, ToolGroup
from registry.providers import ProvidedTool, Provider, providers
from tenants.models import Tenant
from tenants.principals import SYSTEM
from tenants.queries import tenants
from tenants.rules import Tier
from tenants.scope import ALL, tenant_scope

PROTOCOL: Final = "2026-07-28"
_LONGEST_SLUG: Final = 48


def provide_for(tenant: Tenant) -> None:
    """Makes or renews the servers that a tenant has of every provider; of the platform, the merged ones, too."""
    tier = Tier(tenant.tier)
    for provider in providers():
        if tier == Tier.PLATFORM:
            _provide(provider, tenant, f"hanse:{provider.slug}", provider.slug, provider.tools_in(None))
        url = f"hanse:{provider.slug}/{tenant.slug}"
        _provide(provider, tenant, url, f"{provider.slug}-{tenant.slug}", provider.tools_in(tier))


def provide_all() -> None:
    """Makes or renews the servers of every tenant: after an upgrade, and for tenants that are older than a provider."""
    with transaction.atomic(), tenant_scope(ALL):
        for tenant in tenants(SYSTEM):
            provide_for(tenant)


def _provide(provider: Provider, owner: Tenant, url: str, slug: str, tools: Iterable[ProvidedTool]) -> None:
    server = Server.objects.filter(owner=owner, transport=Server.Transport.INTERNAL, url=url).first()
    is_new = server is None
    if server is None:
        server = _make(provider, owner, url, slug)
    if server.status == Server.Status.RETIRED:
        return
    group = ToolGroup.objects.get(server=server)
    known = {tool.name: tool for tool in Tool.objects.filter(server=server)}
    changed = [tool.name for tool in tools if _ship(server, group, known.pop(tool.name, None), tool)]
    gone = [name for name, tool in known.items() if _withdraw(group, tool)]
    if is_new or changed or gone:
        facts = {"tools": changed, "gone": gone, "new": is_new}
        record(scope=owner.pk, verb=verbs.SERVER_PROVIDED, person=None, object=f"server:{server.slug}", facts=facts)


def _make(provider: Provider, owner: Tenant, url: str, slug: str) -> Server:
    is_merged = "/" not in url
    server = Server(
        owner=owner,
        slug=_free(slug),
        name=provider.name if is_merged else f"{provider.name} of {owner.name}"[:120],
        summary=provider.summary,
        transport=Server.Transport.INTERNAL,
        url=url,
        status=Server.Status.ACTIVE,
        protocol=PROTOCOL,
    )
    _note(server, "as shipped")
    server.save()
    ToolGroup.objects.create(owner=owner, slug=server.slug, name=server.name, server=server)
    return server


def _free(slug: str) -> str:
    """Returns the slug, or one that ends in its own hash where it is too long, or somebody had it first."""
    taken = Server.objects.filter(slug=slug).exists() or ToolGroup.objects.filter(slug=slug).exists()
    if len(slug) <= _LONGEST_SLUG and not taken:
        return slug
    return f"{slug[: _LONGEST_SLUG - 9].rstrip('-')}-{sha256(slug.encode()).hexdigest()[:8]}"


def _ship(server: Server, group: ToolGroup, tool: Tool | None, shipped: ProvidedTool) -> bool:
    """Returns whether anything was changed to have the tool as it is shipped."""
    definition = rules.pinned_definition(shipped.definition)
    pin = rules.pin_of(definition)
    if tool is not None and (tool.state == Tool.State.REJECTED or (tool.pin, tool.state) == (pin, "approved")):
        return False
    if tool is None:
        # The merged tool has its own name in a surface; a tenant's own server is served at its own address only.
        short = shipped.name.rpartition(".")[2]
        exposed = shipped.name if server.is_merged else rules.exposed_name(server.slug, short)
        tool = Tool(server=server, owner_id=server.owner_id, name=shipped.name, exposed_name=exposed)
        tool.effect, tool.sensitivity = shipped.effect, shipped.sensitivity
    else:
        tool.version += 1
    tool.title, tool.description = str(definition.get("title", "")), str(definition.get("description", ""))
    tool.definition, tool.seen = definition, definition
    tool.pin, tool.seen_pin, tool.state = pin, pin, Tool.State.APPROVED
    tool.approved_at = clock.now()
    _note(tool, "as shipped")
    tool.save()
    group.tools.add(tool)
    return True


def _withdraw(group: ToolGroup, tool: Tool) -> bool:
    """Returns whether a tool that is shipped no longer had to be taken out."""
    if tool.state in {Tool.State.MISSING, Tool.State.REJECTED}:
        return False
    tool.state, tool.seen, tool.seen_pin = Tool.State.MISSING, None, ""
    tool.version += 1
    _note(tool, "no longer shipped")
    tool.save()
    group.tools.remove(tool)
    return True


def _note(row: Server | Tool, reason: str) -> None:
    # simple-history reads both from the instance when it saves.
    row._change_reason = reason  # type: ignore[union-attr]  # noqa: SLF001
    row._history_user = None  # type: ignore[union-attr]  # noqa: SLF001
