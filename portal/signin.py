"""Who may get an account: nobody by themselves. People are added by an administrator, then sign in."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from tenants.identity.sign_in_groups import settle_groups
from tenants.models import Person
from tenants.rules import claimed_groups
from tenants.scope import ALL, tenant_scope


class ClosedAccounts(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Local accounts: no sign-up page."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Returns False: an account is made by `tenants.services.add_person`."""
        return False

    def post_login(
        self, request: HttpRequest, user: Person, *, signal_kwargs: dict[str, Any] | None, **told: Any
    ) -> HttpResponse:
        """Returns where to go from here. Who came by single sign-on has the roles of their present groups by then.

        A local sign-in says nothing of groups, so it changes nothing. When the roles cannot be settled nobody is signed in:
        the request's transaction holds the session as well.
        """
        login, oidc = (signal_kwargs or {}).get("sociallogin"), settings.HANSE.oidc
        if login is not None and oidc is not None:
            groups = claimed_groups(claim_of(login.account, oidc.groups))
            with tenant_scope(ALL):
                settle_groups(person=user, groups=groups)
        response: HttpResponse = super().post_login(request, user, signal_kwargs=signal_kwargs, **told)
        return response


class KnownPeopleOnly(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Single sign-on: connects to the person with the provider's verified address, and makes none."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: object) -> bool:
        """Returns False: an unknown address does not become a person."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Raises when somebody who is signed in wants to link an account of the provider to themselves."""
        if sociallogin.state.get("process") == AuthProcess.CONNECT:
            raise Http404("Nobody links another account.")


def claim_of(account: SocialAccount, name: str) -> object:
    """Returns a claim of the provider's answer: of the user information, else of the ID token, both about this account."""
    parts = [account.extra_data.get(part) for part in ("userinfo", "id_token")]
    about = [part for part in parts if isinstance(part, dict) and str(part.get("sub")) == account.uid]
    return next((part[name] for part in about if name in part), None)


def closed(request: HttpRequest) -> HttpResponse:
    """Stands where the library lets people change their own address or link another account: nobody does."""
    raise Http404("People are added and changed by an administrator.")
