"""What slows down guessing cannot be walked around by what a stranger writes into a header."""

import pytest
from django.conf import settings
from django.core.cache import cache
from rest_framework.settings import api_settings

from portal.rest.throttling import PrincipalThrottle

pytestmark = pytest.mark.django_db


def test_a_made_up_address_gets_no_room_of_its_own(rf, monkeypatch):
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "principal", "4/min")
    cache.clear()
    allowed = 0
    for number in range(20):
        request = rf.get("/api/v1/openapi.json", headers={"X-Forwarded-For": f"198.51.100.{number}"})
        request.user = None
        allowed += PrincipalThrottle().allow_request(request, None)
    assert allowed == 1


def test_strangers_do_not_push_the_counters_of_others_out():
    cache.clear()
    cache.set("counter", 5)
    for number in range(2_000):
        cache.set(f"noise{number}", 1)
    assert cache.get("counter") == 5
    assert settings.CACHES["default"]["OPTIONS"]["MAX_ENTRIES"] > 2_000
    cache.clear()
