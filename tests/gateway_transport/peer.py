"""A bare TCP server that answers exactly the bytes that a test gives it, and remembers what it was sent."""

import asyncio
from contextlib import asynccontextmanager

from gateway.egress import Egress, Target
from registry.addresses import AddressPolicy


class Peer:
    """`script` is called with each connection's reader, writer and number."""

    def __init__(self, script):
        self._script = script
        self._tasks = set()
        self._writers = set()
        self.connections = 0
        self.closed = 0
        self.requests = []

    async def serve(self, reader, writer):
        self.connections += 1
        self._tasks.add(asyncio.current_task())
        self._writers.add(writer)
        try:
            await self._script(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed += 1
            self._writers.discard(writer)
            self._tasks.discard(asyncio.current_task())
            writer.close()

    async def read(self, reader):
        """Returns head and body of one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request

    def drop(self):
        for writer in list(self._writers):
            writer.transport.abort()

    def stop(self):
        for task in self._tasks:
            task.cancel()


def answering(*replies):
    """Each reply answers one request; then the connection stays open and silent."""

    async def script(peer, reader, writer):
        for reply in replies:
            await peer.read(reader)
            writer.write(reply)
        await reader.read()

    return script


def always(reply):
    async def script(peer, reader, writer):
        while True:
            await peer.read(reader)
            writer.write(reply)

    return script


def closing(reply):
    async def script(peer, reader, writer):
        await peer.read(reader)
        writer.write(reply)
        await writer.drain()

    return script


def message(body=b"", status=b"200 OK", *headers):
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@asynccontextmanager
async def talking_to(script, *, tls=None, client_tls=None, **options):
    """Yields the peer, a client that may reach it, and its target."""
    peer = Peer(script)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    egress = Egress(policy=AddressPolicy([f"127.0.0.1:{port}", f"localhost:{port}"]), tls=client_tls, **options)
    scheme, host = ("https", "localhost") if tls else ("http", "127.0.0.1")
    try:
        yield peer, egress, Target(f"{scheme}://{host}:{port}", host, port, "/mcp?a=1", bool(tls))
    finally:
        await egress.close()
        peer.stop()
        server.close()
