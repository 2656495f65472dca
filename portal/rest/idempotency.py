"""`Idempotency-Key`: a request that is sent twice happens once, and both times gets the same answer.

The answer is kept in the transaction of the change, so there is never the one without the other. What was refused
changed nothing and is not kept: it may be sent again.
"""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Final, cast

from django.db import connection, transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from kernel import clock
from kernel.errors import Conflict, Invalid
from portal.rest.models import KeptAnswer
from portal.rest.uploads import Uploaded
from tenants.models import Person

KEPT_FOR: Final = timedelta(hours=24)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,128}")
_HEADERS: Final = ("ETag", "Location")


def once(request: Request, act: Callable[[], Response], *, secret: bool) -> Response:
    """Returns the answer of `act`, or the one kept from the first time. A secret answer is never kept."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return act()
    if not _KEY.fullmatch(key):
        raise Invalid("That is no idempotency key: 1 to 128 visible ASCII characters.", code="idempotency_key_invalid")
    person = cast("Person", request.user)
    with transaction.atomic():
        _claim(person, key)
        digest = _digest(request)
        kept = KeptAnswer.objects.filter(person=person, key=key, created_at__gt=clock.now() - KEPT_FOR).first()
        if kept is not None:
            return _replay(kept, digest)
        response = act()
        if response.status_code < 400:
            _keep(person, key, digest, response, secret=secret)
    return response


def lock_of(person: Person, key: str) -> int:
    """Returns the number of the advisory lock that stands for this key of this person."""
    name = hashlib.sha256(f"rest:{person.pk}:{key}".encode()).digest()[:8]
    return int.from_bytes(name, "big", signed=True)


def _claim(person: Person, key: str) -> None:
    """Holds the key until the transaction ends; a second request does not wait for the first, it is told."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock_of(person, key)])
        (mine,) = cursor.fetchone()
    if not mine:
        raise Conflict("The same request is being worked on.", code="idempotency_in_progress")


def _replay(kept: KeptAnswer, digest: str) -> Response:
    if kept.request_digest != digest:
        raise Invalid("This idempotency key belongs to another request.", code="idempotency_key_reused")
    if kept.body is None and kept.status != 204:
        raise Conflict(
            "This was done before. Its answer held a secret and was not kept.", code="idempotency_secret_not_kept"
        )
    return Response(kept.body, status=kept.status, headers={**kept.headers, "Idempotency-Replayed": "true"})


def _keep(person: Person, key: str, digest: str, response: Response, *, secret: bool) -> None:
    old = KeptAnswer.objects.filter(person=person, created_at__lte=clock.now() - KEPT_FOR)
    old.delete()
    KeptAnswer.objects.create(
        person=person,
        key=key,
        request_digest=digest,
        status=response.status_code,
        headers={name: response[name] for name in _HEADERS if name in response},
        body=None if secret else json.loads(json.dumps(response.data, cls=JSONEncoder)),
    )


def _digest(request: Request) -> str:
    said = [request.method, request.get_full_path(), request.headers.get("If-Match", ""), request.data]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=_stated).encode()).hexdigest()


def _stated(value: object) -> list[str]:
    """Returns what tells one file of a form from another."""
    if not isinstance(value, Uploaded):
        raise TypeError(f"{type(value).__name__} is no part of a request")
    return [value.path, value.digest]
