"""What can go wrong between the gateway and an upstream. `sent` is the question that matters: may it have acted?"""

from typing import ClassVar

from kernel.errors import DomainError


class UpstreamError(DomainError):
    """A call that brought no usable reply. With `sent=False` the upstream cannot have acted on it.

    The message is safe to show: it never quotes the request or the reply.
    """

    code: ClassVar[str] = "upstream"

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class AddressRefused(UpstreamError):
    """The host leads to an address that the policy closes."""

    code = "address_refused"


class ConnectFailed(UpstreamError):
    """No connection, so nothing was sent."""

    code = "connect_failed"


class RequestRefused(UpstreamError):
    """The request itself cannot be written as HTTP; nothing was sent."""

    code = "request_refused"


class TimedOut(UpstreamError):
    """The deadline passed."""

    code = "timeout"


class UpstreamFailed(UpstreamError):
    """The upstream closed the connection before its reply was complete."""

    code = "closed"


class TooLarge(UpstreamError):
    """The reply passed a size limit."""

    code = "too_large"


class ProtocolBroken(UpstreamError):
    """The reply is not HTTP/1.1 as we accept it."""

    code = "protocol"


class BadStatus(UpstreamError):
    """The upstream answered with an HTTP status that carries no JSON-RPC response."""

    code = "status"

    def __init__(self, message: str, *, status: int, sent: bool = True) -> None:
        super().__init__(message, sent=sent)
        self.status = status
