"""Who a person is: added by an administrator, changed by nobody through the pages of sign-in."""

import pytest

from tenants.models import Person

pytestmark = pytest.mark.django_db


def test_nobody_gives_themselves_another_address(browse, cast):
    me = cast.member.person
    client = browse("member")
    for said in (
        {"action_add": "", "email": "somebody.else@example.org"},
        {"action_primary": "", "email": "somebody.else@example.org"},
    ):
        client.post("/accounts/email/", said)
    assert Person.objects.get(pk=me.pk).email == me.email
    assert client.get("/accounts/email/").status_code == 404


@pytest.mark.parametrize("place", ["/accounts/email/", "/accounts/3rdparty/", "/accounts/social/connections/"])
def test_the_pages_that_change_who_one_is_are_not_there(browse, place):
    assert browse("member").get(place, follow=True).status_code == 404


@pytest.mark.parametrize("place", ["/accounts/login/", "/accounts/password/reset/"])
def test_the_ways_in_are_there(client, place):
    assert client.get(place).status_code == 200


def test_ones_password_can_be_changed(browse):
    assert browse("member").get("/accounts/password/change/").status_code == 200
