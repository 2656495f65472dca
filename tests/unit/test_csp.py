"""Where forms may lead: here and to the configured identity provider, and nowhere else."""

import pytest

from portal.config import Oidc
from portal.csp import form_targets


def provider(url: str) -> Oidc:
    return Oidc(name="SSO", client_id="hanse", server_url=url, client_secret="")


@pytest.mark.parametrize(
    ("url", "targets"),
    [
        ("https://id.example.com/realms/main", "'self' https://id.example.com"),
        ("https://id.example.com:8443", "'self' https://id.example.com:8443"),
        ("http://[::1]:9000/x", "'self' http://[::1]:9000"),
        ("https://user:word@id.example.com/", "'self'"),
        ("https://id.example.com; script-src *", "'self'"),
        ("javascript:alert(1)", "'self'"),
        ("", "'self'"),
    ],
)
def test_a_form_may_lead_to_the_provider(url, targets):
    assert form_targets(provider(url)) == targets


def test_without_a_provider_forms_stay_here():
    assert form_targets(None) == "'self'"
