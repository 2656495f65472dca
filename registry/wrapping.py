"""Writes to wrapped HTTP APIs: a document in, its operations as tools that wait for approval like those of any server."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from django.db import transaction

from audit.services import record
from kernel import clock
from kernel.errors import Conflict, Invalid, NotFound
from registry import verbs
from registry.addresses import AddressPolicy
from registry.models import ApiDocument, Server
from registry.openapi.apis import Api, read_api, still_there, take_operations
from registry.openapi.operations import Operation
from registry.openapi.reading import read_document
from registry.services import register_server
from registry.surfaces import compare
from tenants import authority
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.versions import check_version, lock


@dataclass(frozen=True, slots=True)
class Choice:
    """Which operations become tools: those that are named, bear a tag or stand below a path. None given means all."""

    keys: Sequence[str] = ()
    tags: Sequence[str] = ()
    paths: Sequence[str] = ()

    def of(self, api: Api) -> tuple[Operation, ...]:
        """Returns the chosen operations. Raises `Invalid` when there are too many, or none."""
        return take_operations(api, keys=self.keys, tags=self.tags, paths=self.paths)

    def or_present(self, kept: ApiDocument, api: Api) -> "Choice":
        """Returns this choice, or when it says nothing the present one as far as the document still has it."""
        return Choice(keys=still_there(api, kept.chosen)) if self == ALL else self


ALL: Final = Choice()


@transaction.atomic
def wrap_api(
    *,
    actor: Principal,
    owner: Tenant,
    slug: str,
    name: str,
    document: str | bytes,
    addresses: AddressPolicy,
    summary: str = "",
    url: str = "",
    choice: Choice = ALL,
    later: bool = False,
) -> Server:
    """Returns a draft with its document. Without `url` it is the first address that the document names.

    The chosen operations are new tools that wait for approval. With `later`, a document that has too many to take all
    of them is kept without any tool, for somebody to choose from.
    """
    authority.require_contributor(actor, owner, "wrap HTTP APIs")
    tree = read_document(document)
    api = read_api(tree)
    server = register_server(
        actor=actor,
        owner=owner,
        slug=slug,
        name=name,
        summary=summary,
        url=url or _first_address(api),
        addresses=addresses,
        wrapped=True,
    )
    chosen = () if later and _is_too_much(api, choice) else choice.of(api)
    kept = ApiDocument(server=server, owner=owner, version=0)
    _take(actor, server, kept, tree, chosen)
    return server


@transaction.atomic
def propose_document(
    *, actor: Principal, server: Server, document: str | bytes, expected_version: int | None = None
) -> ApiDocument:
    """Returns the documents of an API with another one beside the present one. No tool changes before it is taken."""
    authority.require_contributor(actor, server.owner, "change documents of HTTP APIs")
    tree = read_document(document)
    read_api(tree)
    kept = _locked(server)
    check_version(kept, expected_version)
    kept.proposed, kept.proposed_digest = _written(tree)
    kept.proposed_by, kept.proposed_at = actor.person, clock.now()
    kept.version += 1
    kept.save()
    _record(actor, server, verbs.DOCUMENT_PROPOSED, digest=kept.proposed_digest)
    return kept


@transaction.atomic
def discard_document(*, actor: Principal, server: Server, expected_version: int | None = None) -> ApiDocument:
    """Returns the documents of an API without the proposed one."""
    authority.require_contributor(actor, server.owner, "change documents of HTTP APIs")
    kept = _locked(server)
    check_version(kept, expected_version)
    if not kept.proposed:
        raise Conflict("There is no proposed document.")
    _record(actor, server, verbs.DOCUMENT_DISCARDED, digest=kept.proposed_digest)
    _clear(kept)
    kept.version += 1
    kept.save()
    return kept


@transaction.atomic
def take_document(
    *,
    actor: Principal,
    server: Server,
    choice: Choice = ALL,
    document: str | bytes | None = None,
    proposed: bool = False,
    expected_version: int | None = None,
) -> ApiDocument:
    """Returns the documents of an API after the chosen operations became its tools: of the given document, of the
    proposed one, or of the one it has. Without a choice it is the present one, as far as it is still there.

    A tool whose definition or plan is another one now leaves every surface in this very transaction and waits.
    """
    authority.require_contributor(actor, server.owner, "change documents of HTTP APIs")
    kept = _locked(server)
    check_version(kept, expected_version)
    if proposed and not kept.proposed:
        raise Conflict("There is no proposed document.")
    tree = read_document(document if document is not None else kept.proposed if proposed else kept.text)
    api = read_api(tree)
    _take(actor, server, kept, tree, choice.or_present(kept, api).of(api))
    return kept


def _first_address(api: Api) -> str:
    if not api.servers:
        sentence = "Give the address of the API: its document names none."
        raise Invalid(sentence, errors={"url": [sentence]})
    return api.servers[0]


def _is_too_much(api: Api, choice: Choice) -> bool:
    try:
        choice.of(api)
    except Invalid as error:
        if error.error_code != "operations_refused" or choice != ALL:
            raise
        return True
    return False


def _locked(server: Server) -> ApiDocument:
    server = lock(server)
    if server.status == Server.Status.RETIRED:
        raise Conflict("The server is retired.")
    kept = ApiDocument.objects.select_for_update().filter(server=server).first()
    if kept is None:
        raise NotFound("This server is no wrapped API.", code="not_wrapped")
    return kept


def _take(
    actor: Principal, server: Server, kept: ApiDocument, tree: Mapping[str, Any], chosen: Sequence[Operation]
) -> None:
    kept.text, kept.digest = _written(tree)
    kept.chosen = [operation.key for operation in chosen]
    kept.taken_by, kept.taken_at = actor.person, clock.now()
    _clear(kept)
    kept.version += 1
    kept.save()
    counts = compare(server, [operation.definition or {} for operation in chosen])
    if any(counts.values()):
        Server.objects.filter(pk=server.pk).update(tools_changed_at=kept.taken_at)
    _record(actor, server, verbs.DOCUMENT_TAKEN, digest=kept.digest, operations=len(chosen), **counts)


def _clear(kept: ApiDocument) -> None:
    kept.proposed, kept.proposed_digest = "", ""
    kept.proposed_by, kept.proposed_at = None, None


def _written(tree: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the document as JSON, its order kept, and the name of exactly this text."""
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    return text, sha256(text.encode()).hexdigest()


def _record(actor: Principal, server: Server, verb: str, **facts: object) -> None:
    record(scope=server.owner_id, verb=verb, person=actor.uid, object=f"server:{server.slug}", facts=facts)
