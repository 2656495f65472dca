"""Addresses of the pages. `portal/urls.py` includes them at the root."""

from django.urls import path

from portal.pages import styleguide

urlpatterns = [
    path("styleguide/", styleguide.styleguide, name="styleguide"),
]
