"""The client against peers and callers that are hostile: injection, addresses, streams, TLS."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import connection
from gateway.egress import (
    AddressRefused,
    ConnectFailed,
    Egress,
    ProtocolBroken,
    RequestRefused,
    Target,
    TimedOut,
    TooLarge,
    UpstreamError,
    UpstreamFailed,
)
from registry.addresses import AddressPolicy
from tests.gateway_transport.asking import GZIP, chunked, drain, gzipped, post, run, until
from tests.gateway_transport.peer import always, answering, closing, message


@pytest.mark.parametrize(
    ("value", "seconds"), [(b"timeout=5", 4), (b"max=9, timeout=1", 0), (b"x", 0), (b"timeout=9999999", 0)]
)
def test_what_a_peer_says_about_its_patience_is_believed(value, seconds):
    assert connection._advertised(value) == seconds


BAD = st.sampled_from([b"\r", b"\n", b"\0", b"\r\n", b"\r\nx-evil: 1", b"\n x"])


@settings(max_examples=200, deadline=None)
@given(before=st.binary(max_size=5), bad=BAD, after=st.binary(max_size=5), in_name=st.booleans())
def test_a_header_cannot_inject(before, bad, after, in_name):
    async def main():
        egress = Egress(policy=AddressPolicy())
        header = (b"x" + before + bad + after, b"v") if in_name else (b"x-key", before + bad + after)
        with pytest.raises(RequestRefused) as caught:
            await post(egress, Target("http://x", "127.0.0.1", 1, "/", False), headers=[header])
        assert not caught.value.sent

    asyncio.run(main())


@pytest.mark.parametrize(
    "name", [b"", b"a b", b"a:", b"Host", b"content-length", b"Transfer-Encoding", b"connection", b"\xe4"]
)
def test_a_header_that_is_ours_or_no_token_is_refused(name):
    test_target = Target("http://x", "127.0.0.1", 1, "/", False)
    with pytest.raises(RequestRefused):
        asyncio.run(post(Egress(policy=AddressPolicy()), test_target, headers=[(name, b"v")]))


@pytest.mark.parametrize(
    ("host", "path"),
    [("h", "/a b"), ("h", "/a\r\nx: y"), ("h", "a"), ("h", "/ä"), ("h\r\n", "/"), ("h\0", "/"), ("", "/")],
)
def test_a_path_or_host_cannot_inject(host, path):
    async def main():
        target = Target("http://x", host, 80, path, False)
        if host:
            with pytest.raises(RequestRefused):
                await post(Egress(policy=AddressPolicy()), target)

    asyncio.run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1"])
def test_an_address_that_is_closed_is_never_connected_to(host):
    async def scenario(peer, egress, target):
        closed = Egress(policy=AddressPolicy())
        with pytest.raises(AddressRefused) as caught:
            await post(closed, Target("http://x", host, target.port, "/", False))
        assert not caught.value.sent
        assert peer.connections == 0

    run(always(message()), scenario)


def test_a_name_is_resolved_once_and_the_checked_address_connected_to(monkeypatch):
    """The second answer of a rebinding name server is never asked for."""
    asked = []
    original = socket.getaddrinfo

    def rebinding(host, port, *args, **kwargs):
        if host != "rebind.example":
            return original(host, port, *args, **kwargs)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)

    async def scenario(peer, egress, target):
        opened = Egress(policy=AddressPolicy([f"127.0.0.1:{target.port}"]))
        await post(opened, Target("http://rebind.example", "rebind.example", target.port, "/", False))
        assert len(asked) == 1
        assert b"host: rebind.example" in peer.requests[0]
        await opened.close()

    run(always(message()), scenario)


def test_a_refused_connection_is_unsent():
    async def scenario(peer, egress, target):
        for uds in (None, "/nonexistent/socket"):
            other = Target("http://x", "127.0.0.1", 1, "/", False, uds)
            with pytest.raises(ConnectFailed) as caught:
                await post(Egress(policy=AddressPolicy(["127.0.0.1:1"])), other)
            assert not caught.value.sent

    run(always(message()), scenario)


def test_a_stream_gives_pieces_as_they_come_and_keeps_the_connection():
    async def script(peer, reader, writer):
        while True:
            await peer.read(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            for number in range(3):
                writer.write(b"7\r\ndata: %d\r\n" % number)
                await got.wait()
                got.clear()
            writer.write(b"0\r\n\r\n")

    async def scenario(peer, egress, target):
        nonlocal got
        got = asyncio.Event()
        for _ in range(2):
            pieces = []
            async with egress.stream(target, (), b"{}", timeout=5, max_bytes=1000) as reply:
                assert reply.header(b"content-type") == b"text/event-stream"
                async for piece in reply.chunks():
                    pieces.append(piece)
                    got.set()
            assert pieces == [b"data: 0", b"data: 1", b"data: 2"]
        assert peer.connections == 1

    got = None
    run(script, scenario)


def test_a_stream_that_is_left_early_closes_its_connection():
    async def scenario(peer, egress, target):
        async with egress.stream(target, (), b"{}", timeout=5, max_bytes=1000) as reply:
            assert reply.status == 200
        await until(lambda: peer.closed == 1)
        assert egress.open_connections == 0

    run(answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"), scenario)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (chunked(*[b"x" * 100] * 20), TooLarge),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", UpstreamFailed),
        (chunked(gzipped(b"\0" * 100000), headers=GZIP + b"\r\n"), TooLarge),
        (chunked(gzipped(b"abc" * 100)[:-9], headers=GZIP + b"\r\n"), ProtocolBroken),
        (message(b"abc", b"200 OK", b"content-encoding: br"), ProtocolBroken),
        (b"", UpstreamFailed),
    ],
)
def test_a_stream_holds_the_same_limits(reply, error):
    async def scenario(peer, egress, target):
        with pytest.raises(error):
            await drain(egress, target, timeout=5)
        await until(lambda: egress.open_connections == 0)

    run(closing(reply), scenario)


def test_a_stream_ends_with_its_deadline():
    async def scenario(peer, egress, target):
        with pytest.raises(TimedOut):
            await drain(egress, target, timeout=0.1)

    run(answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"), scenario)


def test_a_slow_reader_slows_the_peer_down():
    async def script(peer, reader, writer):
        await peer.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 20000000\r\n\r\n")
        for _ in range(200):
            writer.write(b"x" * 100_000)
            await writer.drain()
            peer.sent = getattr(peer, "sent", 0) + 100_000

    async def scenario(peer, egress, target):
        total = 0
        async with egress.stream(target, (), b"{}", timeout=20, max_bytes=1 << 26) as stream:
            chunks = stream.chunks()
            total += len(await anext(chunks))
            last = -1
            while last != peer.sent:
                last = peer.sent
                await asyncio.sleep(0.1)
            assert peer.sent < 19_000_000
            async for piece in chunks:
                total += len(piece)
        assert total == 20_000_000

    run(script, scenario)


def certificate(name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


def tls_server(tmp_path, name):
    public, private = certificate(name)
    (tmp_path / "both.pem").write_bytes(public + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    return context, public.decode()


def test_tls_is_checked_against_the_host_name(tmp_path):
    server, public = tls_server(tmp_path, "localhost")
    client = ssl.create_default_context(cadata=public)

    async def scenario(peer, egress, target):
        for _ in range(2):
            assert (await post(egress, target)).body == b"private"
        assert peer.connections == 1

    run(always(message(b"private")), scenario, tls=server, client_tls=client)


@pytest.mark.parametrize("name", ["other.example", "localhost"])
def test_a_wrong_certificate_sends_nothing(tmp_path, name):
    server, public = tls_server(tmp_path, name)
    client = ssl.create_default_context(cadata=public) if name != "localhost" else None

    async def scenario(peer, egress, target):
        with pytest.raises(ConnectFailed) as caught:
            await post(egress, target)
        assert not caught.value.sent
        assert peer.requests == []

    run(always(message(b"private")), scenario, tls=server, client_tls=client)


def test_closing_fails_what_is_under_way_and_refuses_what_comes():
    async def script(peer, reader, writer):
        await peer.read(reader)
        await reader.read()

    async def scenario(peer, egress, target):
        waiting = asyncio.create_task(post(egress, target))
        await until(lambda: len(peer.requests) == 1)
        await egress.close()
        with pytest.raises(UpstreamFailed):
            await waiting
        with pytest.raises(ConnectFailed):
            await post(egress, target)

    run(script, scenario)


def test_an_error_never_quotes_the_request():
    async def scenario(peer, egress, target):
        with pytest.raises(UpstreamError) as caught:
            await post(egress, target, headers=[(b"authorization", b"Bearer hunter2")])
        assert "hunter2" not in repr(caught.value) + str(caught.value) + repr(caught.value.facts)

    run(closing(b"nonsense hunter2"), scenario)
