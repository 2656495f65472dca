"""Signing in at an OpenID Connect provider, the whole way: to the provider, back with a code, and in with one's groups.

The provider is a small server on the loopback interface that answers what a test told it to.
"""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.test import override_settings as overridden

from portal.config import Oidc
from portal.provider import providers
from tenants.identity.sign_in_groups import add_sign_in_group
from tenants.models import Membership, Person
from tenants.principals import SYSTEM, principal_of
from tenants.rules import Role
from tests.pages.conftest import client_as_app

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/oidc/sso/login/"
CALLBACK = "/accounts/oidc/sso/login/callback/"


@dataclass
class Provider:
    """What the provider says of whoever comes."""

    url: str = ""
    user: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)

    def says(self, email: str, *, verified: bool = True, token: dict[str, Any] | None = None, **claims: Any) -> None:
        self.user = {"sub": email, "email": email, "email_verified": verified, **claims}
        self.token = {"sub": email, **(token or {})}

    def answer(self, path: str) -> dict[str, Any]:
        if path == "/.well-known/openid-configuration":
            places = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
            ends = {f"{name}_endpoint": f"{self.url}/{place}" for name, place in places.items()}
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **ends}
        if path == "/token":
            claims = {"iss": self.url, "aud": "hanse", "exp": int(time.time()) + 60, **self.token}
            return {"access_token": "opaque", "token_type": "Bearer", "id_token": _unsigned(claims)}
        return self.user


def _unsigned(claims: dict[str, Any]) -> str:
    """The token comes straight from the provider to Hanse, over its own connection, so its signature is not looked at."""
    parts = ({"alg": "RS256", "kid": "one"}, claims)
    return ".".join([*(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "AAAA"])


@pytest.fixture
def provider(installation) -> Iterator[Provider]:
    said = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(said.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    said.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    scope = ("openid", "email", "profile", "groups")
    oidc = Oidc(name="Example login", client_id="hanse", server_url=said.url, client_secret="s", scope=scope)
    with overridden(HANSE=replace(installation, oidc=oidc), SOCIALACCOUNT_PROVIDERS=providers(oidc)):
        yield said
    server.shutdown()
    server.server_close()
    thread.join()


def sign_in(client: Client, provider: Provider, **asked: str) -> Any:
    """Returns the answer at the end of the way: away to the provider, and back with its code."""
    away = client.post(LOGIN, asked)
    assert away.status_code == 302
    assert away["Location"].startswith(f"{provider.url}/authorize?")
    said = parse_qs(urlsplit(away["Location"]).query)
    assert set(said["scope"][0].split()) == {"openid", "email", "profile", "groups"}
    assert "code_challenge" in said
    return client.get(CALLBACK, {"code": "one", "state": said["state"][0]})


def who(client: Client) -> str | None:
    return client.session.get("_auth_user_id")


@pytest.fixture
def guest(as_role, cast) -> Client:
    """Returns somebody's browser before they sign in; requests run as the application's role."""
    add_sign_in_group(actor=SYSTEM, tenant=cast.team, name="crew", role=Role.MEMBER)
    return client_as_app(as_role)


def test_who_signs_in_with_a_group_is_in(guest, provider, cast):
    provider.says("stranger@example.test", groups=["crew", "other"])
    assert sign_in(guest, provider).status_code == 302
    assert who(guest) == str(cast.stranger.person.pk)
    assert guest.get(f"/teams/{cast.team.slug}/").status_code == 200
    assert principal_of(cast.stranger.person).access.has_role(cast.team.pk, Role.MEMBER)


def test_who_comes_back_without_the_group_is_out(guest, provider, cast):
    provider.says("stranger@example.test", groups=["crew"])
    sign_in(guest, provider)
    guest.post("/accounts/logout/")
    provider.says("stranger@example.test")
    sign_in(guest, provider)
    assert who(guest) == str(cast.stranger.person.pk)
    assert guest.get(f"/teams/{cast.team.slug}/").status_code == 404


@pytest.mark.parametrize("claim", ["crew", {"crew": 1}, ["crew", None], ["crew"] * 5001, None])
def test_a_claim_that_is_malformed_gives_nothing_and_lets_in(guest, provider, cast, claim):
    provider.says("stranger@example.test", groups=claim)
    sign_in(guest, provider)
    assert who(guest) == str(cast.stranger.person.pk)
    assert not Membership.objects.filter(person=cast.stranger.person).exists()


def test_groups_may_stand_in_the_id_token(guest, provider, cast):
    provider.says("stranger@example.test", token={"groups": ["crew"]})
    sign_in(guest, provider)
    assert Membership.objects.filter(person=cast.stranger.person).count() == 1


def test_an_id_token_about_somebody_else_gives_nothing(guest, provider, cast):
    provider.says("stranger@example.test", token={"sub": "another", "groups": ["crew"]})
    sign_in(guest, provider)
    assert not Membership.objects.filter(person=cast.stranger.person).exists()


@pytest.mark.parametrize(("email", "verified"), [("unknown@example.test", True), ("stranger@example.test", False)])
def test_an_address_that_is_unknown_or_unverified_makes_nobody_and_gives_nothing(guest, provider, email, verified):
    before = (Person.objects.count(), Membership.objects.count())
    provider.says(email, verified=verified, groups=["crew"])
    sign_in(guest, provider)
    assert who(guest) is None
    assert (Person.objects.count(), Membership.objects.count()) == before


def test_who_is_switched_off_gets_nothing(guest, provider, cast):
    Person.objects.filter(pk=cast.stranger.person.pk).update(is_active=False)
    provider.says("stranger@example.test", groups=["crew"])
    sign_in(guest, provider)
    assert who(guest) is None
    assert not Membership.objects.filter(person=cast.stranger.person).exists()


def test_a_local_sign_in_changes_nothing(guest, provider, cast):
    provider.says("stranger@example.test", groups=["crew"])
    sign_in(guest, provider)
    guest.post("/accounts/logout/")
    held = list(Membership.objects.filter(person=cast.stranger.person).values_list("tenant", "role", "groups"))
    person = Person.objects.get(pk=cast.stranger.person.pk)
    person.set_password("correct horse battery")
    person.save()
    guest.post("/accounts/login/", {"login": person.email, "password": "correct horse battery"})
    assert who(guest) == str(person.pk)
    assert list(Membership.objects.filter(person=person).values_list("tenant", "role", "groups")) == held != []


def test_nobody_links_another_account_to_themselves(browse, provider, cast):
    client = browse("member")
    provider.says("unknown@example.test", groups=["crew"])
    assert sign_in(client, provider, process="connect").status_code == 404
    client.post("/accounts/logout/")
    sign_in(client, provider)
    assert who(client) is None


def test_a_sign_in_whose_roles_cannot_be_settled_is_none(guest, provider, monkeypatch):
    def fails(**_: object) -> None:
        raise RuntimeError("The database is away.")

    monkeypatch.setattr("portal.signin.settle_groups", fails)
    guest.raise_request_exception = False
    provider.says("stranger@example.test", groups=["crew"])
    assert sign_in(guest, provider).status_code == 500
    assert guest.get("/teams/").status_code == 302
