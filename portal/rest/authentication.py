"""Who is asking. The middleware has found the principal already; here its way in is checked."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from kernel.errors import Forbidden, Unauthenticated
from portal.rest.models import ApiKey
from tenants.models import Person


class PrincipalAuthentication(SessionAuthentication):
    """A session (then every change needs the CSRF token) or an API key. An agent's MCP token is neither."""

    def authenticate(self, request: Request) -> tuple[Person | AnonymousUser, ApiKey | None] | None:
        """Returns the person and the key. A credential that does not hold is refused, also beside a session."""
        if "Authorization" in request.headers:
            key: ApiKey | None = getattr(request, "api_key", None)
            if key is None:
                raise Unauthenticated("The key is not known here, or it does not hold any more.", code="invalid_token")
            return key.person, key
        user = getattr(request._request, "user", None)  # noqa: SLF001 - the session's user, which DRF's own would hide
        if not isinstance(user, Person) or not user.is_active:
            return None
        self.enforce_csrf(request)
        return user, None

    def authenticate_header(self, request: Request) -> str:
        """Returns the challenge of RFC 6750."""
        return challenge(given="Authorization" in request.headers)


class SignedIn(BasePermission):
    """Somebody is signed in, and a key for reading only reads."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tells whether the request may go on to the services, which decide everything else."""
        if not isinstance(request.user, Person):
            return False
        if isinstance(request.auth, ApiKey) and request.auth.scope == "read" and request.method not in SAFE_METHODS:
            raise Forbidden(
                "This key only reads.", missing="an API key with the scope “write”", given_by="yourself, when signed in"
            )
        return True


class Anybody(BasePermission):
    """For the description of the API and for addresses that lead nowhere."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tells that nobody is turned away."""
        return True


def challenge(*, given: bool) -> str:
    """Returns the value of `WWW-Authenticate`."""
    return 'Bearer realm="hanse", error="invalid_token"' if given else 'Bearer realm="hanse"'


class PrincipalScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the two ways in look in OpenAPI."""

    target_class = PrincipalAuthentication
    name = ["session", "apiKey"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        """Returns the session's cookie and the bearer key."""
        return [
            {"type": "apiKey", "in": "cookie", "name": "hanse", "description": "Changes need `X-CSRFToken`, too."},
            {"type": "http", "scheme": "bearer", "description": "A personal API key, `hanse_…`."},
        ]
