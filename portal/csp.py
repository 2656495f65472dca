"""A strict Content-Security-Policy with one nonce per response."""

import re
import secrets
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from portal.config import Oidc

HEADER: Final = "Content-Security-Policy"
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]+)?")
_POLICY: Final = (
    "default-src 'self'; script-src 'self'{nonce}; style-src 'self'{nonce}; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action {forms}"
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
        response.headers.setdefault(HEADER, _POLICY.format(nonce=nonce, forms=form_targets(settings.HANSE.oidc)))
        return response


def form_targets(oidc: Oidc | None) -> str:
    """Returns where a form may lead: here, and to the identity provider, because browsers check redirects as well."""
    if oidc is None:
        return "'self'"
    parts = urlsplit(oidc.server_url)
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.netloc):
        return "'self'"
    return f"'self' {parts.scheme}://{parts.netloc}"


def nonce(request: HttpRequest) -> dict[str, object]:
    """Returns the template variable `csp_nonce` of this response, the name that django-htmx reads."""
    return {"csp_nonce": getattr(request, "csp_nonce", "")}


def _make_nonce(made: list[str]) -> str:
    made.append(secrets.token_urlsafe(16))
    return made[0]
