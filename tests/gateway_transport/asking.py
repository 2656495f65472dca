"""How the tests ask through the client."""

import asyncio
import gzip

from tests.gateway_transport.peer import talking_to

GZIP = b"content-encoding: gzip"


def post(egress, target, body=b"{}", *, headers=(), timeout=5.0, max_bytes=1 << 20, partition=""):
    return egress.post(target, headers, body, timeout=timeout, max_bytes=max_bytes, partition=partition)


def gzipped(data):
    """Returns the same bytes at every second: they become names of tests, which two workers must agree on."""
    return gzip.compress(data, mtime=0)


def chunked(*chunks, trailer=b"", headers=b""):
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return (
        b"HTTP/1.1 200 OK\r\n" + headers + b"transfer-encoding: chunked\r\n\r\n" + body + b"0\r\n" + trailer + b"\r\n"
    )


def run(script, scenario, **options):
    async def main():
        async with talking_to(script, **options) as (peer, egress, target):
            await scenario(peer, egress, target)

    asyncio.run(main())


async def drain(egress, target, **options):
    async with egress.stream(target, (), b"{}", max_bytes=1000, **options) as stream:
        async for _ in stream.chunks():
            pass


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is a socket of the other side
            await asyncio.sleep(0.001)
