"""Who may get an account: nobody by themselves. People are added by an administrator, then sign in."""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.http import Http404, HttpRequest, HttpResponse


class ClosedAccounts(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Local accounts: no sign-up page."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Returns False: an account is made by `tenants.services.add_person`."""
        return False


class KnownPeopleOnly(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Single sign-on: connects to the person with the provider's verified address, and makes none."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: object) -> bool:
        """Returns False: an unknown address does not become a person."""
        return False


def closed(request: HttpRequest) -> HttpResponse:
    """Stands where the library lets people change their own address or link another account: nobody does."""
    raise Http404("People are added and changed by an administrator.")
