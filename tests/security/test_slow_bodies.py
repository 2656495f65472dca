"""A body that comes drop by drop is not waited for, however many drops come."""

import asyncio
import itertools

import pytest

from gateway.wire import Refusal, read_body


def read(pieces, seconds):
    async def receive():
        piece = next(pieces, None)
        if piece is None:
            await asyncio.Event().wait()
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": piece, "more_body": True}

    return asyncio.run(read_body({}, receive, 1_000_000, seconds=seconds))


@pytest.mark.parametrize("pieces", [[], [b"{"], itertools.repeat(b" ")], ids=["nothing", "a beginning", "drop by drop"])
def test_a_body_has_an_end(pieces):
    with pytest.raises(Refusal) as caught:
        read(iter(pieces), 0.05)
    assert (caught.value.status, caught.value.error_code) == (408, "request_slow")
    assert (b"connection", b"close") in caught.value.headers
