"""Where a request may go: the URL grammar and the address policy, used at registration and again at egress.

Pure: nothing is resolved at import, and only the two functions at the end ask the resolver.
"""

import asyncio
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Never
from urllib.parse import SplitResult, urlsplit

from kernel.errors import Invalid, Unavailable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL: Final = 2048
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH: Final = re.compile(r"/[\x21\x24-\x3b=\x3f-\x5b\x5d\x5f\x61-\x7a~%!]*")
_DOT_SEGMENT: Final = re.compile(r"(^|/)(\.|%2e){1,2}(/|$)", re.IGNORECASE)
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\\]")

# Cloud metadata services hand out credentials to whoever asks, so a name or a wide range never opens them.
METADATA: Final = frozenset(
    {
        ip_address("169.254.169.254"),
        ip_address("169.254.170.2"),
        ip_address("169.254.170.23"),
        ip_address("100.100.100.200"),
        ip_address("168.63.129.16"),
        ip_address("192.0.0.192"),
        ip_address("fd00:ec2::254"),
        ip_address("fd00:ec2::23"),
        ip_address("fd20:ce::254"),
    }
)
_KINDS: Final[tuple[tuple[str, tuple[Network, ...]], ...]] = (
    ("unspecified", (ip_network("0.0.0.0/8"), ip_network("::/128"))),
    ("loopback", (ip_network("127.0.0.0/8"), ip_network("::1/128"))),
    ("link-local", (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))),
    ("multicast", (ip_network("224.0.0.0/4"), ip_network("ff00::/8"))),
    ("carrier-grade NAT", (ip_network("100.64.0.0/10"),)),
    (
        "private",
        (
            ip_network("10.0.0.0/8"),
            ip_network("172.16.0.0/12"),
            ip_network("192.168.0.0/16"),
            ip_network("fc00::/7"),
            ip_network("fec0::/10"),
        ),
    ),
    (
        "reserved",
        (
            ip_network("192.0.0.0/24"),
            ip_network("192.0.2.0/24"),
            ip_network("192.88.99.0/24"),
            ip_network("198.18.0.0/15"),
            ip_network("198.51.100.0/24"),
            ip_network("203.0.113.0/24"),
            ip_network("240.0.0.0/4"),
            ip_network("64:ff9b:1::/48"),
            ip_network("100::/64"),
            ip_network("2001::/23"),
            ip_network("2001:db8::/32"),
            ip_network("2002::/16"),  # 6to4, given up (RFC 7526); newer interpreters close it, older ones do not
            ip_network("3fff::/20"),
            ip_network("5f00::/16"),
        ),
    ),
)
_ONLY_BY_EXACT_ENTRY: Final = frozenset({"metadata", "unspecified", "multicast"})
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


@dataclass(frozen=True, slots=True)
class ParsedUrl:
    """A URL that passed the grammar. `host` is lower-case ASCII without brackets; `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def origin(self) -> str:
        """Returns scheme://host[:port] in one spelling, so equal origins are equal strings."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}")

    @property
    def url(self) -> str:
        return self.origin + self.path


def check_url(url: str) -> ParsedUrl:
    """Returns the parts of an http(s) URL in one canonical spelling, or raises Invalid with a `url_*` code."""
    if not isinstance(url, str) or not url or len(url) > MAX_URL:
        _refuse("url_length", f"Give a URL of 1 to {MAX_URL} characters.")
    if _FORBIDDEN.search(url):
        _refuse("url_characters", "A URL has no spaces, control characters or backslashes.")
    if "#" in url:
        _refuse("url_fragment", "Leave out the fragment (#...): it is never sent to a server.")
    try:
        parts = urlsplit(url)
    except ValueError:
        _refuse("url_host", "The host of this URL cannot be read.")
    if parts.scheme not in DEFAULT_PORTS:
        _refuse("url_scheme", "Only http and https URLs are allowed.")
    if "@" in parts.netloc:
        _refuse("url_credentials", "A URL must not carry a user name or password: use a credential.")
    return ParsedUrl(parts.scheme, _check_host(parts), _check_port(parts), _check_path(parts))


def _refuse(code: str, sentence: str) -> Never:
    raise Invalid(sentence, errors={"url": [sentence]}, code=code)


def _check_port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        _refuse("url_port", "The port must be a number from 1 to 65535.")
    return port or DEFAULT_PORTS[parts.scheme]


def _check_path(parts: SplitResult) -> str:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _PATH.fullmatch(path):
        _refuse("url_path", "The path must be plain ASCII; percent-encode everything else.")
    if _DOT_SEGMENT.search(parts.path):
        _refuse("url_path", "The path must not contain '.' or '..' segments.")
    return path


def _check_host(parts: SplitResult) -> str:
    netloc = parts.netloc
    if netloc.startswith("["):
        literal, _, rest = netloc[1:].partition("]")
        if rest and not rest.startswith(":"):
            _refuse("url_host", "The host is not a valid name.")
        return _check_ipv6(literal)
    host = netloc.partition(":")[0].lower()
    if "%" in host:
        _refuse("url_host", "The host must not be percent-encoded.")
    return check_host(host)


def _check_ipv6(text: str) -> str:
    address = None if "%" in text else _literal_ipv6(text)
    if address is None:
        _refuse("url_host", "The IPv6 address in this URL cannot be read; zone identifiers are not allowed.")
    return address.compressed


def _literal_ipv6(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text)
    except ValueError:
        return None


def check_host(host: str) -> str:
    """Returns a host name or dotted IPv4 address in ASCII, or raises Invalid(url_host).

    Anything that some resolver reads as a number (2130706433, 0x7f.1, 0177.0.0.1) is refused, because two parsers
    that disagree about a host are how a check is walked around.
    """
    ascii_host = host if host.isascii() else _encode_idna(host)
    labels = ascii_host.split(".")
    if len(ascii_host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        _refuse("url_host", "The host is not a valid name.")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(ascii_host))
        except ValueError:
            _refuse("url_host", "Write an IPv4 address as four decimal numbers without leading zeros.")
    return ascii_host


def _encode_idna(host: str) -> str:
    """Only names that IDNA 2003 and 2008 read alike pass: decoding must give back what was written."""
    try:
        encoded = host.encode("idna").decode("ascii").lower()
        if encoded.encode("ascii").decode("idna") == host:
            return encoded
    except UnicodeError:
        pass
    _refuse("url_host", "This international host name is ambiguous: write it in its xn-- form.")


class AddressPolicy:
    """Says which addresses may be connected to: public ones, and what the administrator listed.

    Entries: "host:port", "ip:port", "[ipv6]:port", an address, or a CIDR range.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._ranges: list[Network] = []
        self._addresses: set[tuple[Address, int]] = set()
        self._names: set[tuple[str, int]] = set()
        for entry in allow:
            self._add(entry.strip())

    def _add(self, entry: str) -> None:
        network = _network(entry)
        if network is not None:
            self._ranges.append(network)
            return
        host, _, port = entry.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise Invalid(f"Not host:port, an address or a range: {entry!r}", code="allow_entry")
        literal = _literal(host.removeprefix("[").removesuffix("]"))
        if literal is not None:
            self._addresses.add((literal, int(port)))
        else:
            self._names.add((check_host(host.lower()), int(port)))

    def check_address(self, host: str, port: int, ip: str | Address) -> str:
        """Returns the address to connect to, or raises Invalid(address_refused) saying which kind of address it is."""
        address = _unmap(ip_address(ip))
        kind = kind_of(address)
        if kind is None or self._allows(host, port, address, kind):
            return str(address)
        sentence = f"{host} leads to a {kind} address, which only an administrator can allow."
        raise Invalid(sentence, errors={"url": [sentence]}, code="address_refused", host=host, port=port, kind=kind)

    def _allows(self, host: str, port: int, address: Address, kind: str) -> bool:
        if (address, port) in self._addresses:
            return True
        if kind in _ONLY_BY_EXACT_ENTRY:
            return False
        return (host, port) in self._names or any(address in network for network in self._ranges)

    def lists(self, host: str, port: int, ip: str | Address) -> bool:
        """Tells whether the administrator listed this address, public or not: what goes without TLS goes there alone."""
        address = _unmap(ip_address(ip))
        return self._allows(host, port, address, kind_of(address) or "public")

    @cached_property
    def is_open(self) -> bool:
        """Whether the administrator listed anything at all."""
        return bool(self._ranges or self._addresses or self._names)


def kind_of(address: Address) -> str | None:
    """Returns why an address is not public ("loopback", "metadata" ...), or None. Looks inside every embedding."""
    for inner in (*_embedded(address), address):
        if inner in METADATA:
            return "metadata"
        for kind, networks in _KINDS:
            if any(inner in network for network in networks):
                return kind
        # The interpreter's own table is the net below ours: what it does not call global stays closed.
        if not inner.is_global:
            return "reserved"
    return None


def _embedded(address: Address) -> list[IPv4Address]:
    """IPv4 addresses that a translator or tunnel would reach through this IPv6 address."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64 or address in _COMPATIBLE or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(low)
    return [inner for inner in found if inner is not None]


def _unmap(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _network(text: str) -> Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def _literal(host: str) -> Address | None:
    try:
        return _unmap(ip_address(host))
    except ValueError:
        return None


def resolve(host: str, port: int, policy: AddressPolicy) -> tuple[str, ...]:
    """Returns the pinned addresses of a host; one refused address refuses them all. Connect to these, never to a name."""
    if _literal(host) is not None:
        return (policy.check_address(host, port, host),)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _unresolved(host) from None
    return _check_all(host, port, policy, [str(entry[4][0]) for entry in found])


async def resolve_async(host: str, port: int, policy: AddressPolicy) -> tuple[str, ...]:
    """The same as `resolve`, without blocking the loop."""
    if _literal(host) is not None:
        return (policy.check_address(host, port, host),)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _unresolved(host) from None
    return _check_all(host, port, policy, [str(entry[4][0]) for entry in found])


def _unresolved(host: str) -> Unavailable:
    return Unavailable(f"The name {host} does not resolve.", code="name_not_resolved", host=host)


def _check_all(host: str, port: int, policy: AddressPolicy, found: list[str]) -> tuple[str, ...]:
    if not found:
        raise _unresolved(host)
    return tuple(dict.fromkeys(policy.check_address(host, port, ip) for ip in found))
