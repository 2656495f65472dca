"""A name that leads elsewhere later: what was checked is what is connected to, at registration and at each call."""

import asyncio
import contextlib
import socket

import pytest

from gateway import egress
from gateway.egress import AddressRefused, Egress, Target
from registry.addresses import AddressPolicy, resolve

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Names:
    """A resolver whose answer changes as its owner likes."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, *_args: object, **_kw: object) -> list[tuple[object, ...]]:
        found = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]


@contextlib.asynccontextmanager
async def listening():
    """Yields the port of a server on this host and the list of the requests that it got."""
    got: list[bytes] = []

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                got.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(ANSWER)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], got
    finally:
        server.close()


def run(policy_for, work):
    async def inner():
        async with listening() as (port, got):
            client = Egress(policy=policy_for(port))
            try:
                target = Target(f"http://rebind.example:{port}", "rebind.example", port, "/", tls=False)
                return await work(client, target), got
            finally:
                await client.close()

    return asyncio.run(inner())


async def post(client, target, partition=""):
    return await client.post(target, [], b"", timeout=5, max_bytes=100, partition=partition)


@pytest.mark.parametrize(
    "later", [("127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("169.254.169.254",), ("::ffff:127.0.0.1",)]
)
def test_a_name_that_was_public_at_registration_is_looked_at_again(monkeypatch, later):
    names = Names(("8.8.8.8",), later)
    monkeypatch.setattr(socket, "getaddrinfo", names)
    assert resolve("rebind.example", 80, AddressPolicy()) == ("8.8.8.8",)

    async def work(client, target):
        with pytest.raises(AddressRefused) as caught:
            await post(client, target)
        return caught.value

    error, got = run(lambda _port: AddressPolicy(), work)
    assert got == []
    assert error.sent is False
    assert names.asked == 2


def test_between_the_check_and_the_connection_nobody_asks_again(monkeypatch):
    """The first answer is the only one: what would come next leads to a place that is closed."""
    names = Names(("127.0.0.1",), ("127.0.0.2",))
    monkeypatch.setattr(socket, "getaddrinfo", names)

    async def work(client, target):
        return [(await post(client, target, partition=f"p{number}")).body for number in range(3)]

    bodies, got = run(lambda port: AddressPolicy([f"127.0.0.1:{port}"]), work)
    assert (bodies, len(got), names.asked) == ([b"ok"] * 3, 3, 1)


def test_what_was_allowed_once_is_not_allowed_for_ever(monkeypatch):
    monkeypatch.setattr(egress, "ADDRESS_SECONDS", 0.0)
    monkeypatch.setattr(socket, "getaddrinfo", Names(("127.0.0.1",), ("127.0.0.2",)))

    async def work(client, target):
        await post(client, target, partition="a")
        with pytest.raises(AddressRefused):
            await post(client, target, partition="b")

    _, got = run(lambda port: AddressPolicy([f"127.0.0.1:{port}"]), work)
    assert len(got) == 1
