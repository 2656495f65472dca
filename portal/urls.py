"""Every URL of the portal."""

from django.urls import include, path

from portal import health

urlpatterns = [
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("accounts/", include("allauth.urls")),
    path("", include("portal.urls_pages")),
]
