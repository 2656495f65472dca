"""The credential of a repository that is measured: set, replaced and removed, and read by nobody here."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from django.db import transaction

from blueprints.models import Repository, RepositoryCredential
from blueprints.services.keeping import log_act
from kernel.secrets import Secret
from registry import verbs
from registry.git.access import Sealed, seal_login
from registry.git.fetching import address_of
from tenants import authority
from tenants.principals import Principal
from tenants.versions import lock


@transaction.atomic
def set_repository_credential(
    *,
    actor: Principal,
    repository: Repository,
    kind: str,
    secret: Secret,
    public_key: X25519PublicKey,
    key_id: str,
    username: str = "",
) -> RepositoryCredential:
    """Returns the sealed credential, in place of the one before. Only the worker opens it, for this repository and address."""
    authority.require_contributor(actor, repository.owner, "set credentials of measured repositories")
    repository = lock(repository)
    address = address_of(repository.url)
    sealed = seal_login(
        subject=repository.subject, address=address, kind=kind, username=username, secret=secret, public_key=public_key
    )
    RepositoryCredential.objects.filter(repository=repository).delete()
    credential = RepositoryCredential.objects.create(
        repository=repository,
        owner=repository.owner,
        kind=kind,
        sealed=sealed,
        address=address,
        key_id=key_id,
        created_by=actor.person,
    )
    _log(actor, repository, verbs.CREDENTIAL_SET, kind=kind, address=address, key_id=key_id)
    return credential


@transaction.atomic
def remove_repository_credential(*, actor: Principal, repository: Repository) -> None:
    """Removes the credential: the repository is asked for without one from now on."""
    authority.require_contributor(actor, repository.owner, "remove credentials of measured repositories")
    drop_credential(actor, lock(repository), because="removed")


def drop_credential(actor: Principal, repository: Repository, *, because: str) -> None:
    """Removes the credential of a repository that the caller may change, and records it; does nothing without one."""
    deleted, _ = RepositoryCredential.objects.filter(repository=repository).delete()
    if deleted:
        _log(actor, repository, verbs.CREDENTIAL_REMOVED, because=because)


def sealed_of(repository: Repository) -> Sealed | None:
    """Returns what is kept for a repository, for the worker that measures it."""
    found = RepositoryCredential.objects.filter(repository=repository).first()
    return Sealed(repository.subject, found.kind, bytes(found.sealed)) if found else None


def _log(actor: Principal, repository: Repository, verb: str, **facts: object) -> None:
    log_act(repository.owner_id, actor, verb, f"repository:{repository.ref}", **facts)
