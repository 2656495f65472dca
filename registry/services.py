"""Writes to servers, credentials and groups: check permission, change, audit, return the object."""

import re
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from django.db import IntegrityError, transaction

from audit.services import record
from kernel.errors import Conflict, Invalid, Unavailable
from kernel.secrets import Secret
from registry import sealing, verbs
from registry.addresses import AddressPolicy, check_url, resolve
from registry.models import Credential, Server, Tool, ToolGroup
from registry.providers import providers
from tenants import authority
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.services import require_reason, require_slug
from tenants.versions import check_version, lock

MAX_COMMAND_WORDS: Final = 32
MAX_WORD: Final = 500
"""How long an address, and each word of a command, can be kept."""
MAX_CREDENTIAL: Final = 8_192
FORBIDDEN_HEADERS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "te", "upgrade", "accept", "cookie"}
    | {"expect", "keep-alive", "trailer", "traceparent"}
)
_HEADER: Final = re.compile(r"[a-z0-9][a-z0-9-]*")


@transaction.atomic
def register_server(
    *,
    actor: Principal,
    owner: Tenant,
    slug: str,
    name: str,
    addresses: AddressPolicy,
    summary: str = "",
    url: str = "",
    command: Sequence[str] = (),
    wrapped: bool = False,
) -> Server:
    """Returns a draft. Nothing of it is served before it was probed, its tools approved and it was activated.

    A wrapped one is an HTTP API: `registry.wrapping` registers it together with its document.
    """
    transport = _transport(url, command, wrapped=wrapped)
    _require_owner(actor, owner, transport, "register servers")
    require_slug(slug)
    _check_free(slug)
    _check_target(url, command, addresses)
    try:
        with transaction.atomic():
            server = Server(
                owner=owner,
                slug=slug,
                name=name,
                summary=summary,
                transport=transport,
                url=url,
                command=list(command),
                created_by=actor.person,
            )
            _save(server, actor, "registered")
            ToolGroup.objects.create(owner=owner, slug=slug, name=name, server=server)
    except IntegrityError as error:
        raise Conflict(f"There is a server or tool group “{slug}” already.", slug=slug) from error
    _record(actor, server, verbs.SERVER_REGISTERED, transport=transport, url=url, command=list(command))
    return server


@transaction.atomic
def change_server(
    *,
    actor: Principal,
    server: Server,
    addresses: AddressPolicy,
    name: str | None = None,
    summary: str | None = None,
    url: str | None = None,
    command: Sequence[str] | None = None,
    expected_version: int | None = None,
) -> Server:
    """Returns the server changed. A new target makes it a draft again and drops its credential, which was bound."""
    server = lock(server)
    _require_owner(actor, server.owner, server.transport, "change servers")
    check_version(server, expected_version)
    if server.status == Server.Status.RETIRED:
        raise Conflict("The server is retired.")
    target = (url if url is not None else server.url, list(command) if command is not None else server.command)
    moved = target != (server.url, server.command)
    if moved:
        if _transport(*target, wrapped=server.is_wrapped) != server.transport:
            raise Invalid("The transport stays.", errors={"url": ["Register another server for another transport."]})
        _check_target(*target, addresses)
        server.url, server.command = target
        server.status, server.status_reason = Server.Status.DRAFT, "Its target was changed."
        # What the old target showed says nothing of the new one: it is looked at before it can be activated.
        server.probe_ok, server.probed_at = None, None
        Credential.objects.filter(server=server).delete()
    server.name = server.name if name is None else name
    server.summary = server.summary if summary is None else summary
    server.version += 1
    _save(server, actor, "target changed" if moved else "described")
    _record(actor, server, verbs.SERVER_CHANGED, moved=moved, url=server.url, command=server.command)
    return server


@transaction.atomic
def activate_server(*, actor: Principal, server: Server, expected_version: int | None = None) -> Server:
    """Returns the server active: its approved tools are served from now on. It must have answered its last probe."""
    authority.require_keeper(actor, server.owner, "activate servers")
    server = lock(server)
    check_version(server, expected_version)
    if not server.probe_ok:
        raise Conflict("The server has not answered a probe yet.", probe_ok=server.probe_ok)
    return _set_status(actor, server, Server.Status.ACTIVE, "", verbs.SERVER_ACTIVATED)


@transaction.atomic
def quarantine_server(*, actor: Principal, server: Server, reason: str, expected_version: int | None = None) -> Server:
    """Returns the server quarantined: none of its tools is served until it is activated again."""
    authority.require_contributor(actor, server.owner, "quarantine servers")
    return _withdraw(actor, server, Server.Status.QUARANTINED, reason, verbs.SERVER_QUARANTINED, expected_version)


@transaction.atomic
def retire_server(*, actor: Principal, server: Server, reason: str, expected_version: int | None = None) -> Server:
    """Returns the server retired; it stays in the catalog for those who look for it, and in the log."""
    authority.require_keeper(actor, server.owner, "retire servers")
    return _withdraw(actor, server, Server.Status.RETIRED, reason, verbs.SERVER_RETIRED, expected_version)


@transaction.atomic
def set_credential(
    *,
    actor: Principal,
    server: Server,
    kind: str,
    header: str,
    value: Secret,
    public_key: X25519PublicKey,
    key_id: str,
) -> Credential:
    """Returns the sealed credential, in place of the one before. Only the gateway can open it, for this origin."""
    authority.require_keeper(actor, server.owner, "set credentials")
    server = lock(server)
    header = _check_credential(server, kind, header, value)
    origin = check_url(server.url).origin
    prefix = {"bearer": b"Bearer ", "basic": b"Basic "}.get(kind, b"")
    sealed = sealing.seal(prefix + value.reveal(), public_key, server_uid=str(server.uid), origin=origin, header=header)
    Credential.objects.filter(server=server).delete()
    credential = Credential.objects.create(
        server=server,
        owner=server.owner,
        kind=kind,
        header=header,
        sealed=sealed,
        origin=origin,
        key_id=key_id,
        created_by=actor.person,
    )
    _record(actor, server, verbs.CREDENTIAL_SET, kind=kind, header=header, origin=origin)
    return credential


@transaction.atomic
def remove_credential(*, actor: Principal, server: Server) -> None:
    """Removes the credential: calls go upstream without one from now on."""
    authority.require_keeper(actor, server.owner, "remove credentials")
    deleted, _ = Credential.objects.filter(server=server).delete()
    if deleted:
        _record(actor, server, verbs.CREDENTIAL_REMOVED)


@transaction.atomic
def create_group(*, actor: Principal, owner: Tenant, slug: str, name: str, tools: Sequence[Tool]) -> ToolGroup:
    """Returns a named set of tools of one owner, which delegations can grant as a whole."""
    authority.require_keeper(actor, owner, "create tool groups")
    require_slug(slug)
    _check_same_owner(owner, tools)
    try:
        with transaction.atomic():
            group = ToolGroup.objects.create(owner=owner, slug=slug, name=name)
            group.tools.set(tools)
    except IntegrityError as error:
        raise Conflict(f"There is a server or tool group “{slug}” already.", slug=slug) from error
    record(
        scope=owner.pk,
        verb=verbs.GROUP_CREATED,
        person=actor.uid,
        object=f"group:{slug}",
        facts={"tools": sorted(tool.exposed_name for tool in tools)},
    )
    return group


@transaction.atomic
def change_group(
    *, actor: Principal, group: ToolGroup, tools: Sequence[Tool], expected_version: int | None = None
) -> ToolGroup:
    """Returns the group with exactly these tools. A server's own group is kept by its approvals, not by hand."""
    authority.require_keeper(actor, group.owner, "change tool groups")
    group = lock(group)
    check_version(group, expected_version)
    if group.server_id is not None:
        raise Conflict("A server's own group holds its approved tools; approve or reject tools instead.")
    _check_same_owner(group.owner, tools)
    group.tools.set(tools)
    group.version += 1
    group.save(update_fields=["version"])
    record(
        scope=group.owner_id,
        verb=verbs.GROUP_CHANGED,
        person=actor.uid,
        object=f"group:{group.slug}",
        facts={"tools": sorted(tool.exposed_name for tool in tools)},
    )
    return group


def _check_free(slug: str) -> None:
    """Nobody's server poses as an internal one, not even of a tenant that is not there yet."""
    if any(slug == provider.slug or slug.startswith(f"{provider.slug}-") for provider in providers()):
        raise Invalid("The name cannot be used.", errors={"slug": ["This beginning is kept for internal servers."]})


def _transport(url: str, command: Sequence[str], *, wrapped: bool) -> str:
    if wrapped and url and not command:
        if "?" in url:
            raise Invalid("The address holds a query.", errors={"url": ["Each operation brings a query of its own."]})
        return Server.Transport.OPENAPI
    if bool(url) == bool(command):
        raise Invalid("Say where it is.", errors={"url": ["Give a URL, or a command for stdio, and not both."]})
    return Server.Transport.HTTP if url else Server.Transport.STDIO


def _require_owner(actor: Principal, owner: Tenant, transport: str, act: str) -> None:
    """A stdio server runs on the platform's own host, so only a platform admin says what is started there."""
    if transport == Server.Transport.STDIO:
        authority.require_platform_admin(actor, f"{act} that run as a process of this host")
    else:
        authority.require_contributor(actor, owner, act)


def _check_target(url: str, command: Sequence[str], addresses: AddressPolicy) -> None:
    if url:
        parsed = check_url(url)
        if len(url) > MAX_WORD:
            raise Invalid("The URL is too long.", errors={"url": [f"At most {MAX_WORD} characters."]})
        try:
            resolve(parsed.host, parsed.port, addresses)
        except Unavailable as error:
            raise Invalid("The URL leads nowhere.", errors={"url": [error.message]}) from error
    elif len(command) > MAX_COMMAND_WORDS or not all(map(_is_word, command)):
        sentence = f"1 to {MAX_COMMAND_WORDS} words of 1 to {MAX_WORD} characters."
        raise Invalid("The command cannot be run.", errors={"command": [sentence]})


def _is_word(text: str) -> bool:
    return 0 < len(text) <= MAX_WORD and "\0" not in text


def _check_credential(server: Server, kind: str, header: str, value: Secret) -> str:
    header = "authorization" if kind in {"bearer", "basic"} else header.strip().lower()
    errors: dict[str, list[str]] = {}
    if server.transport == Server.Transport.STDIO:
        errors["server"] = ["A stdio server takes no header."]
    if not _HEADER.fullmatch(header) or header in FORBIDDEN_HEADERS or header.startswith("mcp-"):
        errors["header"] = ["A header name that the gateway does not set itself."]
    text = value.reveal()
    if not 0 < len(text) <= MAX_CREDENTIAL or any(byte < 0x20 or byte == 0x7F for byte in text):
        errors["value"] = [f"1 to {MAX_CREDENTIAL} bytes without control characters."]
    if errors:
        raise Invalid("The credential cannot be used.", errors=errors)
    return header


def _check_same_owner(owner: Tenant, tools: Sequence[Tool]) -> None:
    if any(tool.owner_id != owner.pk for tool in tools):
        raise Invalid("A group holds tools of its own owner.", errors={"tools": ["One belongs to somebody else."]})


def _withdraw(
    actor: Principal, server: Server, status: str, reason: str, verb: str, expected_version: int | None
) -> Server:
    require_reason(reason)
    server = lock(server)
    check_version(server, expected_version)
    return _set_status(actor, server, status, reason, verb)


def _set_status(actor: Principal, server: Server, status: str, reason: str, verb: str) -> Server:
    if server.status == Server.Status.RETIRED:
        raise Conflict("The server is retired.")
    server.status, server.status_reason = status, reason
    server.version += 1
    _save(server, actor, reason or status)
    _record(actor, server, verb, reason=reason)
    return server


def _save(server: Server, actor: Principal, reason: str) -> None:
    # simple-history reads both from the instance when it saves; setting them later can hit another row.
    server._change_reason = reason[:100]  # type: ignore[attr-defined]  # noqa: SLF001
    server._history_user = actor.person  # type: ignore[attr-defined]  # noqa: SLF001
    server.save()


def _record(actor: Principal, server: Server, verb: str, **facts: object) -> None:
    record(scope=server.owner_id, verb=verb, person=actor.uid, object=f"server:{server.slug}", facts=facts)
