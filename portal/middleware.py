"""Binds each request to its principal and to the rows that principal may touch."""

from collections.abc import Callable
from typing import Final

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from portal.rest.keys import bearer_of, find_key
from tenants.models import Person
from tenants.principals import NOBODY, Principal, principal_of
from tenants.scope import tenant_scope

GetResponse = Callable[[HttpRequest], HttpResponse]
API: Final = "/api/"


class PrincipalMiddleware:
    """Sets `request.principal` and runs the view in one transaction under that principal's scope.

    An answer of 400 or above rolls the transaction back: what was refused changed nothing. Nobody signed in means no
    scope, so the database shows no team-owned row, whatever the view asks.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        principal = find_principal(request)
        request.principal = principal  # type: ignore[attr-defined]
        with tenant_scope(principal.access.scope, person=principal.person_id):
            response = self.get_response(request)
            if response.status_code >= 400 and transaction.get_connection().in_atomic_block:
                transaction.set_rollback(True)
        return response


def find_principal(request: HttpRequest) -> Principal:
    """Returns who asks, with live roles: the person of the API key, else of the session, else nobody.

    A credential in `Authorization` speaks for itself: when it does not hold, a session beside it does not help.
    """
    if request.path_info.startswith(API) and (bearer := bearer_of(request)) is not None:
        key = request.api_key = find_key(bearer)  # type: ignore[attr-defined]
        return principal_of(key.person) if key else NOBODY
    user = getattr(request, "user", None)
    return principal_of(user) if isinstance(user, Person) else NOBODY
