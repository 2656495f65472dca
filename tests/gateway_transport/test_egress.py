"""The client against peers that are slow, broken or greedy: framing, deadlines, connections."""

import asyncio
import socket
import zlib

import pytest

from gateway import connection
from gateway.egress import (
    Egress,
    ProtocolBroken,
    Target,
    TimedOut,
    TooLarge,
    UpstreamFailed,
)
from registry.addresses import AddressPolicy
from tests.gateway_transport.asking import GZIP, chunked, gzipped, post, run, until
from tests.gateway_transport.peer import always, answering, closing, message


def test_a_request_is_what_was_asked_for_and_no_more():
    async def scenario(peer, egress, target):
        reply = await post(egress, target, b'{"a":1}', headers=[(b"X-Key", b"v"), (b"accept", b"application/json")])
        assert (reply.status, reply.body, reply.header(b"x-two")) == (200, b"hello", b"padded")
        assert peer.requests == [
            b"POST /mcp?a=1 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept-encoding: identity\r\n"
            b'x-key: v\r\naccept: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}' % target.port
        ]

    run(always(message(b"hello", b"200 OK", b"X-Two:   padded  ")), scenario)


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (message(b"abc"), b"abc"),
        (message(), b""),
        (chunked(b"ab", b"c" * 1000), b"ab" + b"c" * 1000),
        (chunked(b"ab", trailer=b"x-end: 1\r\n"), b"ab"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + message(b"abc"), b"abc"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + message(b"abc"), b"abc"),
        (message(gzipped(b"abc" * 100), b"200 OK", GZIP), b"abc" * 100),
        (message(zlib.compress(b"abc" * 100), b"200 OK", b"content-encoding: deflate"), b"abc" * 100),
        (message(zlib.compress(b"abc" * 100, wbits=-15), b"200 OK", b"content-encoding: deflate"), b"abc" * 100),
        (message(b"abc", b"200 OK", b"content-encoding: identity"), b"abc"),
        (chunked(gzipped(b"abc"), headers=GZIP + b"\r\n"), b"abc"),
        (message(b"abc", b"500 Oops"), b"abc"),
        (message(b"abc", b"302 Found", b"location: http://127.0.0.1:1/"), b"abc"),
    ],
)
def test_every_framing_is_read_and_the_connection_kept(reply, body):
    async def scenario(peer, egress, target):
        for _ in range(3):
            answer = await post(egress, target)
            assert answer.body == body
            assert not answer.header(b"content-encoding").startswith((b"gzip", b"deflate"))
        assert (peer.connections, len(peer.requests)) == (1, 3)

    run(always(reply), scenario)


def test_replies_in_single_bytes_are_read():
    async def script(peer, reader, writer):
        while True:
            await peer.read(reader)
            for byte in chunked(b"abc", b"defg"):
                writer.write(bytes([byte]))
                await asyncio.sleep(0)

    async def scenario(peer, egress, target):
        assert (await post(egress, target)).body == b"abcdefg"
        assert (await post(egress, target)).body == b"abcdefg"

    run(script, scenario)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_a_body_may_end_with_its_connection(head):
    async def scenario(peer, egress, target):
        assert (await post(egress, target)).body == b"until the end"
        assert (await post(egress, target)).body == b"until the end"
        assert peer.connections == 2

    run(closing(head + b"until the end"), scenario)


def test_a_peer_that_wants_to_close_is_not_used_again():
    async def scenario(peer, egress, target):
        for _ in range(2):
            await post(egress, target)
        assert peer.connections == 2

    run(always(message(b"abc", b"200 OK", b"connection: close")), scenario)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", UpstreamFailed),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", UpstreamFailed),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", UpstreamFailed),
        (b"HTTP/1.1 200 OK\r\nx: y", UpstreamFailed),
        (b"SSH-2.0-OpenSSH\r\n", ProtocolBroken),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", ProtocolBroken),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc", ProtocolBroken),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", ProtocolBroken),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", ProtocolBroken),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", ProtocolBroken),
        (message(b"abc", b"200 OK", b"content-encoding: br"), ProtocolBroken),
        (message(b"abc", b"200 OK", b"content-encoding: gzip, gzip"), ProtocolBroken),
        (message(b"not gzip", b"200 OK", GZIP), ProtocolBroken),
        (message(gzipped(b"abc" * 99)[:-9], b"200 OK", GZIP), ProtocolBroken),
        (message(gzipped(b"abc") + b"more", b"200 OK", GZIP), ProtocolBroken),
        (message(gzipped(b"\0" * (1 << 21)), b"200 OK", GZIP), TooLarge),
        (message(b"x" * ((1 << 20) + 1)), TooLarge),
        (chunked(*[b"x" * 65536] * 17), TooLarge),
        (b"HTTP/1.1 200 OK\r\nx-big: " + b"y" * connection.MAX_HEAD + b"\r\n\r\n", TooLarge),
        (b"HTTP/1.1 200 OK\r\nx-big: " + b"y" * (2 * connection.MAX_HEAD), TooLarge),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (connection.MAX_HEADERS + 1) + b"\r\n", TooLarge),
        (chunked(b"x", trailer=b"a: b\r\n" * 20000), TooLarge),
    ],
)
def test_a_reply_that_cannot_be_trusted_fails_and_closes(reply, error):
    async def scenario(peer, egress, target):
        with pytest.raises(error) as caught:
            await post(egress, target)
        assert caught.value.sent
        await until(lambda: egress.open_connections == 0)

    run(closing(reply), scenario)


def test_a_second_reply_poisons_the_connection():
    """Bytes that nobody asked for would be the answer to the next caller's question."""

    async def scenario(peer, egress, target):
        for _ in range(2):
            assert (await post(egress, target)).body == b"mine"
        assert peer.connections == 2

    run(always(message(b"mine") + message(b"stolen")), scenario)


def test_a_late_second_reply_poisons_the_connection():
    async def script(peer, reader, writer):
        await peer.read(reader)
        writer.write(message(b"mine"))
        await writer.drain()
        await go.wait()
        writer.write(message(b"stolen"))
        await reader.read()

    async def scenario(peer, egress, target):
        nonlocal go
        go = asyncio.Event()
        assert (await post(egress, target)).body == b"mine"
        go.set()
        await until(lambda: egress.open_connections == 0)
        assert (await post(egress, target)).body == b"mine"

    go = None
    run(script, scenario)


@pytest.mark.parametrize("silence", [b"", b"HTTP/1.1 200 OK\r\n", message(b"abc")[:-1]])
def test_the_deadline_covers_every_part(silence):
    async def scenario(peer, egress, target):
        with pytest.raises(TimedOut) as caught:
            await post(egress, target, timeout=0.1)
        assert caught.value.sent
        await until(lambda: peer.closed == 1)

    run(answering(silence), scenario)


def test_a_connection_that_nobody_accepts_times_out_unsent():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))

    async def main():
        egress = Egress(policy=AddressPolicy([f"127.0.0.1:{port}"]), connect_timeout=0.2)
        with pytest.raises(TimedOut) as caught:
            await post(egress, Target("http://x", "127.0.0.1", port, "/", False))
        assert not caught.value.sent
        await egress.close()

    try:
        asyncio.run(main())
    finally:
        for each in (*fillers, listener):
            each.close()


def test_a_connection_that_was_dropped_while_idle_is_not_used():
    async def scenario(peer, egress, target):
        for _ in range(3):
            assert (await post(egress, target)).status == 200
            peer.drop()
            await until(lambda: egress.open_connections == 0)
        assert (peer.connections, len(peer.requests)) == (3, 3)

    run(always(message()), scenario)


def test_a_goodbye_that_the_loop_has_not_read_yet_is_noticed(monkeypatch):
    monkeypatch.setattr("gateway.egress.ASK_AFTER_SECONDS", 0.0)

    async def scenario(peer, egress, target):
        await post(egress, target)
        (idle,) = egress._connections
        idle._transport.pause_reading()
        peer.drop()
        await until(idle._is_readable)
        assert (await post(egress, target)).status == 200
        assert len(peer.requests) == 2

    run(always(message()), scenario)


def test_a_request_is_never_sent_twice():
    async def script(peer, reader, writer):
        await peer.read(reader)
        if peer.connections == 1 and len(peer.requests) == 1:
            writer.write(message())
            await peer.read(reader)
        writer.close()

    async def scenario(peer, egress, target):
        await post(egress, target)
        with pytest.raises(UpstreamFailed) as caught:
            await post(egress, target, b"second")
        assert caught.value.sent
        assert len(peer.requests) == 2

    run(script, scenario)


def test_cancelling_closes_the_connection():
    async def scenario(peer, egress, target):
        waiting = asyncio.create_task(post(egress, target))
        await until(lambda: len(peer.requests) == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: peer.closed == 1)
        assert egress.open_connections == 0

    run(answering(b""), scenario)


def test_partitions_never_share_a_connection():
    async def scenario(peer, egress, target):
        for partition in ("a", "b", b"a", "a", "b", b"a"):
            await post(egress, target, partition=partition)
        assert peer.connections == 3

    run(always(message()), scenario)


def test_the_last_connection_used_is_used_first():
    async def scenario(peer, egress, target):
        await asyncio.gather(*(post(egress, target) for _ in range(5)))
        assert peer.connections == 5
        for _ in range(20):
            await post(egress, target)
        assert peer.connections == 5

    run(always(message()), scenario)


def test_no_more_than_the_limit_are_in_flight():
    async def script(peer, reader, writer):
        while True:
            await peer.read(reader)
            peer.now = getattr(peer, "now", 0) + 1
            peer.most = max(getattr(peer, "most", 0), peer.now)
            await asyncio.sleep(0.001)
            peer.now -= 1
            writer.write(message())

    async def scenario(peer, egress, target):
        await asyncio.gather(*(post(egress, target, partition=str(n % 3)) for n in range(40)))
        assert peer.most <= 4
        assert len(peer.requests) == 40

    run(script, scenario, max_in_flight=4)


def test_waiting_for_a_place_ends_with_the_deadline_and_leaks_none():
    async def script(peer, reader, writer):
        while True:
            await peer.read(reader)
            await go.wait()
            writer.write(message())

    async def scenario(peer, egress, target):
        nonlocal go
        go = asyncio.Event()
        first = asyncio.create_task(post(egress, target))
        await until(lambda: len(peer.requests) == 1)
        with pytest.raises(TimedOut) as caught:
            await post(egress, target, timeout=0.05)
        assert not caught.value.sent
        gone = asyncio.create_task(post(egress, target))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        go.set()
        await first
        assert (await post(egress, target)).status == 200
        assert [origin.in_flight for origin in egress._origins.values()] == [0]

    go = None
    run(script, scenario, max_in_flight=1)


def test_unused_pools_go_away(monkeypatch):
    monkeypatch.setattr("gateway.egress.SWEEP_SECONDS", 0.01)

    async def scenario(peer, egress, target):
        for number in range(10):
            await post(egress, target, partition=str(number))
        await until(lambda: not egress._pools and not egress._origins)
        await until(lambda: peer.closed == 10)

    run(always(message()), scenario, idle_seconds=0.01)
