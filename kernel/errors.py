"""One error tree. Raised on every floor, rendered by exactly three adapters: page, problem+json, MCP."""

from collections.abc import Mapping
from typing import ClassVar


class DomainError(Exception):
    """Something a caller can understand and act on: a stable `code`, one sentence, and facts.

    Facts are shown to the caller, so they never carry a secret or the name of something the caller may not see.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = code or self.code
        self.facts: Mapping[str, object] = facts

    def __str__(self) -> str:
        return self.message


class Invalid(DomainError):
    """The input breaks a rule. `errors` maps a field (or JSON pointer) to its sentences."""

    code = "invalid"

    def __init__(
        self,
        message: str = "The input is not valid.",
        *,
        errors: Mapping[str, list[str]] | None = None,
        code: str | None = None,
        **facts: object,
    ) -> None:
        super().__init__(message, code=code, **facts)
        self.errors: Mapping[str, list[str]] = errors or {}


class NotFound(DomainError):
    """There is no such thing, or the caller may not know that there is: the two answers are the same."""

    code = "not_found"


class Unauthenticated(DomainError):
    """Nobody has signed in, or the token does not hold."""

    code = "unauthenticated"


class Forbidden(DomainError):
    """The caller sees the thing but may not do this. Says which grant is missing and who can give it."""

    code = "forbidden"

    def __init__(
        self, message: str, *, missing: str = "", given_by: str = "", code: str | None = None, **facts: object
    ) -> None:
        super().__init__(message, code=code, missing=missing, given_by=given_by, **facts)
        self.missing = missing
        self.given_by = given_by


class Conflict(DomainError):
    """The thing is not in a state that allows this, or somebody else was first."""

    code = "conflict"


class PreconditionFailed(DomainError):
    """The caller's version of the object is not the current one (RFC 9110, If-Match)."""

    code = "precondition_failed"


class TooLarge(DomainError):
    """A stated limit on size, depth or count was passed."""

    code = "too_large"


class RateLimited(DomainError):
    """Too many of these from this caller; `retry_after` is in seconds."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int = 1, code: str | None = None, **facts: object) -> None:
        super().__init__(message, code=code, retry_after=retry_after, **facts)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """A part we need did not answer. Nothing was done; the caller may try again."""

    code = "unavailable"
