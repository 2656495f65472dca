"""A strict Content-Security-Policy with one nonce per response."""

import secrets
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

HEADER: Final = "Content-Security-Policy"
_POLICY: Final = (
    "default-src 'self'; script-src 'self'{nonce}; style-src 'self'{nonce}; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


class ContentSecurityPolicy:
    """Middleware: every response carries the policy; the nonce is in it only when the page used it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        made: list[str] = []
        request.csp_nonce = SimpleLazyObject(lambda: _make_nonce(made))  # type: ignore[attr-defined]
        response = self.get_response(request)
        nonce = f" 'nonce-{made[0]}'" if made else ""
        response.headers.setdefault(HEADER, _POLICY.format(nonce=nonce))
        return response


def nonce(request: HttpRequest) -> dict[str, object]:
    """Returns the template variable `csp_nonce` of this response, the name that django-htmx reads."""
    return {"csp_nonce": getattr(request, "csp_nonce", "")}


def _make_nonce(made: list[str]) -> str:
    made.append(secrets.token_urlsafe(16))
    return made[0]
