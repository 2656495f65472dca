"""Personal API keys: made, found, listed, revoked. The key itself is written nowhere."""

import hashlib
import secrets
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from audit.services import record
from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid, NotFound
from kernel.secrets import Secret
from portal.rest import verbs
from portal.rest.models import ApiKey
from tenants import queries as tenants
from tenants.principals import Principal
from tenants.rules import Tier

BEGINS: Final = "hanse_"
MAX_DAYS: Final = 365
MAX_KEYS: Final = 50
_USE_IS_NOTED: Final = timedelta(minutes=1)


def bearer_of(request: HttpRequest) -> str | None:
    """Returns the credential in `Authorization`; an empty text for a scheme that is not ours; None without a header."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def find_key(token: str) -> ApiKey | None:
    """Returns the key that holds at this moment, with its person. Noting its use costs one write a minute."""
    if not token.startswith(BEGINS) or len(token) > 128:
        return None
    rows = ApiKey.objects.select_related("person").filter(digest=_digest(token), revoked_at=None)
    present = clock.now()
    found = rows.filter(expires_at__gt=present, person__is_active=True).first()
    if found is not None and (found.last_used_at is None or present - found.last_used_at > _USE_IS_NOTED):
        ApiKey.objects.filter(pk=found.pk).update(last_used_at=present)
    return found


def keys_of(principal: Principal) -> QuerySet[ApiKey]:
    """Returns the principal's own keys, newest first; nobody sees another person's."""
    return ApiKey.objects.filter(person=principal.person).order_by("-id")


def key_by_uid(principal: Principal, uid: UUID) -> ApiKey:
    """Returns one of the principal's own keys."""
    found = keys_of(principal).filter(uid=uid).first()
    if found is None:
        raise NotFound("There is no such key, or you may not see it.")
    return found


@transaction.atomic
def create_key(*, actor: Principal, name: str, scope: str, days: int) -> tuple[ApiKey, Secret]:
    """Returns the key's row and the key, which is shown once and cannot be had again."""
    if actor.person is None:
        raise Forbidden("A key belongs to a person.", missing="a person", given_by="sign-in")
    if not 1 <= days <= MAX_DAYS:
        raise Invalid("A key ends.", errors={"days": [f"1 to {MAX_DAYS}."]})
    present = clock.now()
    if keys_of(actor).filter(revoked_at=None, expires_at__gt=present).count() >= MAX_KEYS:
        raise Conflict(f"You have {MAX_KEYS} keys. Revoke one first.", limit=MAX_KEYS)
    token = BEGINS + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        person=actor.person,
        name=name,
        scope=scope,
        prefix=token[: len(BEGINS) + 6],
        digest=_digest(token),
        created_at=present,
        expires_at=present + timedelta(days=days),
    )
    _record(actor, key, verbs.KEY_CREATED, scope=scope, days=days)
    return key, Secret(token.encode())


@transaction.atomic
def revoke_key(*, actor: Principal, key: ApiKey) -> ApiKey:
    """Returns the key revoked, for good: the next request with it is refused. Revoking twice changes nothing."""
    if actor.person is None or key.person_id != actor.person.pk:
        raise NotFound("There is no such key, or you may not see it.")
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        key.save(update_fields=["revoked_at"])
        _record(actor, key, verbs.KEY_REVOKED)
    return key


def _digest(token: str) -> str:
    # 256 random bits need no salt and no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()


def _record(actor: Principal, key: ApiKey, verb: str, **facts: object) -> None:
    platform = tenants.tenants(actor).filter(tier=Tier.PLATFORM).first()
    if platform is None:
        raise NotFound("There is no platform to keep the record of this.")
    record(scope=platform.pk, verb=verb, person=actor.uid, object=f"api-key:{key.uid}", facts=facts)
