"""The smallest honest MCP server: answers `tools/call` of 2026-07-28 and checks the injected credential, nothing more.

A plain ASGI callable under uvicorn, as a fast Python server of somebody else would be; with any framework in it, it
would be slower and the gateway beside it look better. Run as `python -m portal.bench.upstream PORT HEADER`; the
credential's value comes from the environment.
"""

import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import orjson
import uvicorn

CREDENTIAL: Final = "HANSE_BENCH_CREDENTIAL"
_VERSION: Final = b"2026-07-28"

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Server:
    """Whatever is not a well-formed, credentialed call is refused, so that a bench cannot pass by luck."""

    def __init__(self, header: bytes, credential: bytes) -> None:
        self._expected = (header, credential)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request."""
        headers = dict(scope["headers"])
        message = await receive()
        body: bytes = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        status, answer = self._answer(headers, body)
        length = (b"content-length", b"%d" % len(answer))
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", b"application/json"), length],
            }
        )
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, headers: dict[bytes, bytes], body: bytes) -> tuple[int, bytes]:
        problem = self._problem(headers)
        if problem:
            return 400, problem
        message = orjson.loads(body)
        params = message["params"]
        if params["name"].encode() != headers.get(b"mcp-name"):
            return 400, b'{"problem":"names disagree"}'
        text = orjson.dumps(params["arguments"]["text"])
        result = b'{"resultType":"complete","content":[{"type":"text","text":' + text + b"}]}"
        return 200, b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (message["id"], result)

    def _problem(self, headers: dict[bytes, bytes]) -> bytes:
        header, credential = self._expected
        if headers.get(header) != credential:
            return b'{"problem":"no credential"}'
        if b"authorization" in headers:
            return b'{"problem":"the caller\'s token came through"}'
        if headers.get(b"mcp-protocol-version") != _VERSION or headers.get(b"mcp-method") != b"tools/call":
            return b'{"problem":"not a call of this revision"}'
        return b""


def main(port: int, header: str) -> None:
    """Serves until the process is ended."""
    app = Server(header.lower().encode(), os.environ[CREDENTIAL].encode())
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        ws="none",
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
