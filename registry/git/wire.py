"""A repository over HTTP: dulwich speaks git, and every connection goes to the address that was checked, and no further.

There are no proxies, no cookies, no redirects and no dumb servers; nothing is read of the environment or of anybody's git
configuration. A credential is shown when one was given for this very origin, and to nobody else. Protocol versions 0 and 1 only: version 2 lets a server name further addresses.
"""

import re
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Final
from urllib.parse import urlsplit

from dulwich.client import AbstractHttpGitClient, default_user_agent_string
from dulwich.errors import GitProtocolError, NotGitRepository

from kernel.errors import Invalid
from registry.addresses import AddressPolicy, ParsedUrl, resolve
from registry.git.access import NOBODY, UNOPENED, Login
from registry.git.bounds import Bounds, Watch, in_one_line, refused, unreachable

CONNECT_SECONDS: Final = 10.0
_PIECE: Final = 65_536
_ID: Final = re.compile(rb"[0-9a-f]{40}")
_GIT: Final = "application/x-git-"
_REASONS: Final = {
    (401, False): "The repository asks for credentials, and there is none for it here: add one, and try again.",
    (
        401,
        True,
    ): "The server refused the credential of this repository: it may be wrong, ended or revoked. Replace it, and try again.",
    (403, False): "The server does not let everybody read this repository: add a credential that may, and try again.",
    (
        403,
        True,
    ): "The server does not let the credential of this repository read it: give it that right there, or replace it.",
    (404, False): "The server knows no repository at this address, or shows it only to who has a credential.",
    (
        404,
        True,
    ): "The server knows no repository at this address, or does not show it to the credential that is kept here.",
}
_CODES: Final = {
    (401, False): "credential_wanted",
    (401, True): "credential_refused",
    (403, True): "credential_refused",
}


def is_about_credentials(fault: str) -> bool:
    """Tells whether a fetch ended for want of a credential, or because the one that is kept opens nothing."""
    return fault == UNOPENED or fault in {_REASONS[key] for key in _REASONS if key[0] != 404}


@dataclass(slots=True)
class Reply:
    """What dulwich asks of a response."""

    content_type: str
    redirect_location: str
    close: Callable[[], None]


def pinned_addresses(target: ParsedUrl, policy: AddressPolicy) -> tuple[str, ...]:
    """Returns the checked addresses of a host. Without TLS, only those that the administrator listed."""
    addresses = resolve(target.host, target.port, policy)
    if not target.tls and not all(policy.lists(target.host, target.port, address) for address in addresses):
        raise refused("not_https", "Give an https address; without TLS only what an administrator listed is reached.")
    return addresses


class PinnedClient(AbstractHttpGitClient):
    """One fetch from one host whose addresses were checked. What arrives is counted, over all its requests."""

    def __init__(
        self,
        target: ParsedUrl,
        addresses: tuple[str, ...],
        *,
        bounds: Bounds,
        watch: Watch,
        tls: ssl.SSLContext | None = None,
        login: Login = NOBODY,
    ) -> None:
        super().__init__(target.url, quiet=True)
        if login.is_shown and login.origin != target.origin:
            raise refused("credential_origin", "The credential is bound to another address, so it was not shown.")
        self._login = login
        self._target = target
        self._addresses = addresses
        self._bounds = bounds
        self._watch = watch
        self._tls = tls or (ssl.create_default_context() if target.tls else None)
        self._received = 0

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: FBT001, FBT002 - dulwich's own signature
    ) -> tuple[Any, Callable[[int], bytes]]:
        """Returns a response of git's own kind and how to read it; anything else is refused here."""
        parts = urlsplit(url)
        connection = HTTPConnection(self._target.host, self._target.port)
        connection.auto_open = 0  # it would look the name up again
        connection.sock = self._connected()
        body = data if data is None or isinstance(data, bytes) else b"".join(data)
        connection.request("GET" if body is None else "POST", _path_of(parts), body, self._headers(headers or {}))
        response = connection.getresponse()
        self._check(response, whole=body is not None)
        most = self._bounds.received if body is not None else self._bounds.named
        content_type = response.headers.get("Content-Type", "")
        return Reply(content_type, "", connection.close), self._reader(response, most)

    def clean_text(self, text: str) -> str:
        """Returns words of the server without the credential that it was shown."""
        return self._login.clean_text(text)

    def _headers(self, given: dict[str, str]) -> dict[str, str]:
        port = "" if self._target.port == (443 if self._target.tls else 80) else f":{self._target.port}"
        host = f"[{self._target.host}]" if ":" in self._target.host else self._target.host
        own = {"Host": f"{host}{port}", "Accept-Encoding": "identity", "Connection": "close"}
        shown = {"Authorization": self._login.header.reveal().decode("ascii")} if self._login.is_shown else {}
        return {**given, **own, "User-Agent": default_user_agent_string(), **shown}

    def _connected(self) -> socket.socket:
        """Returns a connection to one of the checked addresses; TLS is verified for the name."""
        fault: Exception = OSError("no address")
        for address in self._addresses:
            self._watch.check()
            try:
                return self._connect_to(address)
            except OSError as error:  # of which ssl.SSLError is one
                fault = error
        raise unreachable(f"{self._target.host} cannot be reached: {in_one_line(_words_of(fault))}.")

    def _connect_to(self, address: str) -> socket.socket:
        raw = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            raw.settimeout(min(CONNECT_SECONDS, self._watch.left))
            raw.connect((address, self._target.port))
            raw.settimeout(self._watch.left)  # a large repository is prepared before its first byte comes
            if self._tls is None or not self._target.tls:
                self._watch.guard(raw)
                return raw
            secured = self._tls.wrap_socket(raw, server_hostname=self._target.host, do_handshake_on_connect=False)
            self._watch.guard(secured)
            secured.do_handshake()
        except BaseException:
            raw.close()
            raise
        return secured

    def _check(self, response: HTTPResponse, *, whole: bool) -> None:
        if response.status in {301, 302, 303, 307, 308}:
            place = in_one_line(self._login.clean_text(response.headers.get("Location", "nowhere")))
            raise refused(
                "redirect", f"The server sends on to {place}, which is not followed. Name the address that it is at."
            )
        if response.status != 200:
            key = (response.status, self._login.is_shown)
            sentence = _REASONS.get(key, f"The server answered with status {response.status}.")
            raise refused(_CODES.get(key, "no_answer"), sentence)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise refused("no_answer", "The server packed its answer, which it was not asked to.")
        if not response.headers.get("Content-Type", "").startswith(_GIT):
            raise refused("no_repository", "At this address is no git repository that speaks git's smart protocol.")
        said = response.length or 0
        if whole and said > self._bounds.received:
            raise _too_much(self._bounds.received)

    def _reader(self, response: HTTPResponse, most: int) -> Callable[[int], bytes]:
        """Returns a function that gives exactly as many bytes as are asked for, and fewer only at the end."""
        left = most

        def read(size: int) -> bytes:
            nonlocal left
            pieces: list[bytes] = []
            while size > 0:
                self._watch.check()
                piece = response.read1(min(size, _PIECE))
                if not piece:
                    break
                pieces.append(piece)
                size -= len(piece)
                left -= len(piece)
                self._received += len(piece)
                if left < 0 or self._received > self._bounds.received:
                    raise _too_much(most)
            return b"".join(pieces)

        return read


def _too_much(most: int) -> Invalid:
    return refused("too_large", f"The server sends more than {most:,} bytes.")


def _path_of(parts: Any) -> str:
    return f"{parts.path}?{parts.query}" if parts.query else str(parts.path)


def _words_of(fault: Exception) -> str:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its certificate does not hold ({fault.verify_message})"
    if isinstance(fault, TimeoutError):
        return "no answer in time"
    return str(getattr(fault, "strerror", None) or fault)


class KnowsNothing:
    """What a fetch into an empty store can name already: no commit."""

    def __next__(self) -> None:
        """Returns that there is no commit to name."""

    def ack(self, _sha: bytes) -> None:
        """Takes note that the server knows a commit that nobody named."""

    def nak(self) -> None:
        """Takes note that nothing is in common."""


def receive(
    client: PinnedClient, branch: bytes | None, commits: int, write: Callable[[bytes], object]
) -> tuple[bytes, bytes, Iterable[bytes]]:
    """Writes the pack of a branch (None: the server's own choice). Returns commit, branch, and where history ends."""
    wanted: list[bytes] = []

    def choose(refs: dict[Any, Any], depth: int | None = None) -> list[Any]:
        name = b"HEAD" if branch is None else b"refs/heads/" + branch
        wanted.extend(found for found in (refs.get(name),) if found)
        if not all(_ID.fullmatch(found) for found in wanted):
            raise refused("unknown_format", "Only repositories whose ids are SHA-1 are taken in.")
        if not wanted and branch is not None:
            shown = in_one_line(branch.decode("utf-8", "replace"))
            raise refused("no_branch", f"The repository has no branch {shown}.")
        return list(wanted)

    def count(data: bytes) -> int:
        write(data)
        return len(data)

    client_any: Any = client  # dulwich's types name its own graph walkers
    try:
        found = client_any.fetch_pack(b"", choose, KnowsNothing(), count, depth=commits, protocol_version=1)
    except NotGitRepository:
        raise refused("no_repository", "At this address is no git repository.") from None
    except GitProtocolError as error:
        words = in_one_line(client.clean_text(str(error))) or "it hung up"
        raise refused("broken", f"The server does not keep to git's protocol: {words}.") from error
    if not wanted:
        raise refused("empty", "The repository has no commit yet.")
    own = found.symrefs.get(b"HEAD", b"").removeprefix(b"refs/heads/")
    return wanted[0], branch or own, found.new_shallow or ()
