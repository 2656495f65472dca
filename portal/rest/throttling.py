"""How fast one principal may ask: a steady rate with room for a burst, per process."""

import time
from typing import Any, Final

from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from tenants.models import Person

_SECONDS: Final = {"sec": 1, "min": 60, "hour": 3600}
_BURST: Final = 0.25
"""The share of a period's requests that may come at once."""


class PrincipalThrottle(BaseThrottle):
    """GCRA: one number per principal says when its next request is due at the steady rate."""

    rate = "principal"

    def __init__(self) -> None:
        self.seconds = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        """Tells whether the request may pass, and counts it when it may."""
        count, period = _parse(str(api_settings.DEFAULT_THROTTLE_RATES[self.rate]))
        step, room = period / count, period * _BURST
        name, present = f"rest:{self.rate}:{self._who(request)}", time.time()
        due = max(present, cache.get(name, present))
        if due + step - present > max(room, step):
            self.seconds = due + step - present - max(room, step)
            return False
        cache.set(name, due + step, timeout=2 * period)
        return True

    def wait(self) -> float:
        """Returns after how many seconds the next request passes."""
        return self.seconds

    def _who(self, request: Request) -> str:
        return f"p{request.user.pk}" if isinstance(request.user, Person) else f"a{self.get_ident(request)}"


class HeavyThrottle(PrincipalThrottle):
    """For what reads a whole log."""

    rate = "heavy"


def _parse(rate: str) -> tuple[int, int]:
    count, _, period = rate.partition("/")
    return int(count), _SECONDS[period]
