"""Whether what one looks at is invented: the demo estate says so on every page."""

from typing import Final

from django.db import connection

from tenants import queries as tenants
from tenants.principals import Principal
from tenants.rules import Tier

# Said once when the platform is made, and never changed: one question for the life of a process and its database.
_ANSWERS: Final[dict[str, bool]] = {}


def is_invented(principal: Principal) -> bool:
    """Tells whether the platform that the principal sees is part of the demo estate."""
    database = str(connection.settings_dict["NAME"])
    if database not in _ANSWERS:
        platform = tenants.tenants(principal).filter(tier=Tier.PLATFORM).first()
        if platform is None:
            return False
        _ANSWERS[database] = platform.invented
    return _ANSWERS[database]


def forget() -> None:
    """Asks again at the next page: the tests make one estate after the other."""
    _ANSWERS.clear()
