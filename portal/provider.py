"""The identity provider that an operator named, as the sign-in library wants to be told of it."""

from typing import Any

from portal.config import Oidc


def providers(oidc: Oidc | None) -> dict[str, Any]:
    """Returns the one provider of this installation, or none: with PKCE, and matched to people by verified address."""
    if oidc is None:
        return {}
    app = {
        "provider_id": "sso",
        "name": oidc.name,
        "client_id": oidc.client_id,
        "secret": oidc.client_secret,
        "settings": {"server_url": oidc.server_url, "scope": list(oidc.scope)},
    }
    return {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "EMAIL_AUTHENTICATION": True, "APPS": [app]}}
