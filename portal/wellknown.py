"""What others read to check our tokens: issuer metadata (RFC 8414) and the public keys (RFC 7517)."""

from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

_CACHE: Final = "public, max-age=300"


@require_safe
def issuer_metadata(request: HttpRequest) -> HttpResponse:
    """Returns who issues agent tokens. There is no authorization endpoint: people mint tokens in the portal or by REST."""
    issuer = settings.HANSE.url
    return _public(
        JsonResponse(
            {
                "issuer": issuer,
                "jwks_uri": f"{issuer}/oauth/jwks.json",
                "response_types_supported": [],
                "grant_types_supported": [],
                "service_documentation": f"{issuer}/identity/delegations/",
            }
        )
    )


@require_safe
def public_keys(request: HttpRequest) -> HttpResponse:
    """Returns the keys that agent tokens are signed with."""
    try:
        text = (settings.HANSE.public_dir / "token.jwks.json").read_bytes()
    except OSError as error:
        raise Http404 from error
    return _public(HttpResponse(text, content_type="application/jwk-set+json"))


def _public(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = _CACHE
    response["Access-Control-Allow-Origin"] = "*"
    return response
