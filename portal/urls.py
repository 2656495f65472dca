"""Every URL of the portal."""

from django.urls import include, path

from portal import health

urlpatterns = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include("portal.urls_rest")),
    path("", include("portal.urls_pages")),
]
