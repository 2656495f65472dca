"""What can be done to API keys, as the audit log names it."""

from typing import Final

from audit import verbs

KEY_CREATED: Final = "rest.key.created"
KEY_REVOKED: Final = "rest.key.revoked"

LABELS: Final = {KEY_CREATED: "Made an API key", KEY_REVOKED: "Revoked an API key"}


def register() -> None:
    """Makes the audit log accept these acts."""
    verbs.register("rest", LABELS)
