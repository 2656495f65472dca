"""Every URL of the portal."""

from django.urls import include, path

from portal import health, signin, wellknown

urlpatterns = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path(".well-known/oauth-authorization-server", wellknown.issuer_metadata, name="issuer_metadata"),
    path("oauth/jwks.json", wellknown.public_keys, name="public_keys"),
    # Before the library's own addresses: who somebody is, is an administrator's to say, and every change is recorded.
    path("accounts/email/", signin.closed),
    path("accounts/3rdparty/", signin.closed),
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include("portal.urls_rest")),
    path("", include("portal.urls_pages")),
]
