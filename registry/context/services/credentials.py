"""The credential of a repository that documents are read from: set, replaced and removed, and read by nobody here."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from django.db import transaction

from audit.services import record
from kernel.errors import Invalid
from kernel.secrets import Secret
from registry import verbs
from registry.context.models import Source, SourceCredential
from registry.git.access import seal_login
from registry.git.fetching import address_of
from tenants import authority
from tenants.principals import Principal
from tenants.versions import lock


@transaction.atomic
def set_source_credential(
    *,
    actor: Principal,
    source: Source,
    kind: str,
    secret: Secret,
    public_key: X25519PublicKey,
    key_id: str,
    username: str = "",
) -> SourceCredential:
    """Returns the sealed credential, in place of the one before. Only the worker opens it, for this source and address."""
    authority.require_contributor(actor, source.owner, "set credentials of repositories")
    source = lock(source)
    if source.kind != Source.Kind.GIT:
        raise Invalid("Only a git repository asks for credentials.", code="git_no_credential")
    address = address_of(source.location)
    sealed = seal_login(
        subject=source.subject, address=address, kind=kind, username=username, secret=secret, public_key=public_key
    )
    SourceCredential.objects.filter(source=source).delete()
    credential = SourceCredential.objects.create(
        source=source,
        owner=source.owner,
        kind=kind,
        sealed=sealed,
        address=address,
        key_id=key_id,
        created_by=actor.person,
    )
    _record(actor, source, verbs.CREDENTIAL_SET, kind=kind, address=address, key_id=key_id)
    return credential


@transaction.atomic
def remove_source_credential(*, actor: Principal, source: Source) -> None:
    """Removes the credential: the repository is asked for without one from now on."""
    authority.require_contributor(actor, source.owner, "remove credentials of repositories")
    drop_credential(actor, lock(source), because="removed")


def drop_credential(actor: Principal, source: Source, *, because: str) -> None:
    """Removes the credential of a source that the caller may change, and records it; does nothing when there is none."""
    deleted, _ = SourceCredential.objects.filter(source=source).delete()
    if deleted:
        _record(actor, source, verbs.CREDENTIAL_REMOVED, because=because)


def _record(actor: Principal, source: Source, verb: str, **facts: object) -> None:
    record(scope=source.owner_id, verb=verb, person=actor.uid, object=f"source:{source.slug}", facts=facts)
