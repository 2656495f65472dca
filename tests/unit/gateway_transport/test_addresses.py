import socket
from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Invalid, Unavailable
from registry.addresses import METADATA, AddressPolicy, check_url, kind_of, resolve, resolve_async

INSIDE = [
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "2002:808:808::1",
    "64:ff9b:1::1",
    "fec0::1",
]
OUTSIDE = ["8.8.8.8", "93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"]


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTP://EXAMPLE.com:80/x", "http://example.com/x"),
        ("https://example.com:443/mcp?team=a", "https://example.com/mcp?team=a"),
        ("https://[2001:DB8:0::1]:8443/", "https://[2001:db8::1]:8443/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://host_name.internal:9000/a%20b", "http://host_name.internal:9000/a%20b"),
    ],
)
def test_an_ordinary_url_gets_one_spelling(url, canonical):
    parsed = check_url(url)
    assert parsed.url == canonical
    assert check_url(canonical) == parsed


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "url_length"),
        ("http://h/" + "a" * 2048, "url_length"),
        ("ftp://h/", "url_scheme"),
        ("file:///etc/passwd", "url_scheme"),
        ("javascript:alert(1)", "url_scheme"),
        ("//h/", "url_scheme"),
        ("http://u:p@h/", "url_credentials"),
        ("http://good.example@evil.example/", "url_credentials"),
        ("http://h/#f", "url_fragment"),
        ("http://h#@evil/", "url_fragment"),
        ("http://h:0/", "url_port"),
        ("http://h:/", "url_port"),
        ("http://h:65536/", "url_port"),
        ("http://h:-1/", "url_port"),
        ("http://h:8a/", "url_port"),
        ("http:///x", "url_host"),
        ("http://.h/", "url_host"),
        ("http://h../", "url_host"),
        ("http://127.0.0.1./", "url_host"),
        ("http://-h/", "url_host"),
        ("http://2130706433/", "url_host"),
        ("http://017700000001/", "url_host"),
        ("http://0x7f000001/", "url_host"),
        ("http://0x7f.0.0.1/", "url_host"),
        ("http://0177.0.0.1/", "url_host"),
        ("http://127.1/", "url_host"),
        ("http://1.2.3.256/", "url_host"),
        ("http://%31%32%37.0.0.1/", "url_host"),
        ("http://faß.example/", "url_host"),
        ("http://\uff11\uff12\uff17.0.0.1/", "url_host"),
        ("http://a\u3002b/", "url_host"),
        ("http://[fe80::1%25eth0]/", "url_host"),
        ("http://[::1]x/", "url_host"),
        ("http://[::g]/", "url_host"),
        ("http://[::1/", "url_host"),
        ("http://h\\@evil/", "url_characters"),
        ("http://h/a b", "url_characters"),
        ("http://h/\r\nx: y", "url_characters"),
        ("http://h\x00/", "url_characters"),
        ("http://h/../x", "url_path"),
        ("http://h/%2e%2E/x", "url_path"),
        ("http://h/ü", "url_path"),
    ],
)
def test_a_doubtful_url_is_refused_with_a_stable_code(url, code):
    with pytest.raises(Invalid) as caught:
        check_url(url)
    assert caught.value.error_code == code
    assert caught.value.errors["url"]


@given(st.text(max_size=60))
def test_any_text_is_either_canonical_or_invalid(text):
    try:
        parsed = check_url("http://" + text)
    except Invalid:
        return
    assert check_url(parsed.url) == parsed
    assert parsed.url.isascii()
    assert not set(parsed.host) & set("@/%#?\\ ")


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_public_is_refused(address):
    with pytest.raises(Invalid) as caught:
        AddressPolicy().check_address("h.example", 443, address)
    assert caught.value.error_code == "address_refused"


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_public_passes(address):
    assert AddressPolicy().check_address("h.example", 443, address) == str(ip_address(address))


@pytest.mark.parametrize("address", [a for a in INSIDE if ":" not in a])
@pytest.mark.parametrize("form", ["::ffff:{}", "64:ff9b::{}", "::{}", "2606:4700::5efe:{}"])
def test_an_ipv4_address_inside_an_ipv6_address_is_seen(address, form):
    with pytest.raises(Invalid):
        AddressPolicy().check_address("h.example", 443, form.format(address))


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_embedding_opens_what_is_closed(inner):
    closed = kind_of(inner) is not None
    number = int(inner)
    for outer in (
        ip_address(f"::ffff:{inner}"),
        ip_address((0x2002 << 112) | (number << 80)),
        ip_address((0x20010000 << 96) | (0x08080808 << 64) | (number ^ 0xFFFFFFFF)),
        ip_address((0x0064FF9B << 96) | number),
    ):
        if closed:
            assert kind_of(outer) is not None


def test_a_mapped_address_is_connected_to_as_what_it_is():
    assert AddressPolicy().check_address("h", 80, "::ffff:8.8.8.8") == "8.8.8.8"
    assert AddressPolicy(["10.0.0.0/8"]).check_address("h", 80, "::ffff:10.1.2.3") == "10.1.2.3"


def test_an_entry_opens_exactly_what_it_names():
    policy = AddressPolicy(["127.0.0.1:9000", "10.0.0.0/8", "host.internal:443", "[::1]:7000"])
    assert policy.check_address("any", 9000, "127.0.0.1")
    assert policy.check_address("any", 1, "10.9.9.9")
    assert policy.check_address("host.internal", 443, "192.168.5.5")
    assert policy.check_address("any", 7000, "::1")
    for host, port, ip in [
        ("any", 9001, "127.0.0.1"),
        ("other.internal", 443, "192.168.5.5"),
        ("host.internal", 80, "192.168.5.5"),
        ("any", 9000, "::1"),
        ("host.internal", 443, "169.254.169.254"),
    ]:
        with pytest.raises(Invalid):
            policy.check_address(host, port, ip)


@pytest.mark.parametrize("address", sorted(map(str, METADATA)))
def test_metadata_opens_only_by_its_exact_entry(address):
    wide = AddressPolicy(["0.0.0.0/0", "::/0", "h.example:80"])
    with pytest.raises(Invalid):
        wide.check_address("h.example", 80, address)
    exact = f"[{address}]:80" if ":" in address else f"{address}:80"
    assert AddressPolicy([exact]).check_address("h.example", 80, address) == address


@pytest.mark.parametrize("entry", ["host", "host:", ":80", "host:0", "host:x", "10.0.0.1/8", "0x7f.1:80"])
def test_an_unreadable_entry_fails_at_start(entry):
    with pytest.raises(Invalid):
        AddressPolicy([entry])


def answers(*addresses):
    return lambda *_args, **_kw: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 0)) for a in addresses]


def test_one_refused_address_refuses_the_host(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", answers("8.8.8.8", "127.0.0.1"))
    with pytest.raises(Invalid):
        resolve("rebind.example", 80, AddressPolicy())
    monkeypatch.setattr(socket, "getaddrinfo", answers("8.8.8.8", "1.1.1.1", "8.8.8.8"))
    assert resolve("fine.example", 80, AddressPolicy()) == ("8.8.8.8", "1.1.1.1")


@pytest.mark.parametrize("found", [socket.gaierror(), UnicodeError()])
def test_a_name_without_address_is_unavailable(monkeypatch, found):
    def fail(*_args, **_kw):
        raise found

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Unavailable):
        resolve("gone.example", 80, AddressPolicy())


async def ask(host, policy):
    return await resolve_async(host, 80, policy)


def test_the_asynchronous_twin_agrees(monkeypatch):
    import asyncio

    monkeypatch.setattr(socket, "getaddrinfo", answers("8.8.8.8"))
    assert asyncio.run(ask("fine.example", AddressPolicy())) == ("8.8.8.8",)
    assert asyncio.run(ask("8.8.4.4", AddressPolicy())) == ("8.8.4.4",)
    monkeypatch.setattr(socket, "getaddrinfo", answers("8.8.8.8", "10.0.0.1"))
    for host in ("rebind.example", "127.0.0.1", "::1"):
        with pytest.raises(Invalid):
            asyncio.run(ask(host, AddressPolicy()))
