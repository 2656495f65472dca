"""One governed call as an upstream sees it: a request built from nothing, an answer believed only as far as it is checked."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.credentials import Opened
from gateway.egress import Egress, Target, UpstreamError
from gateway.envelope import LEGACY_VERSIONS, META_CAPABILITIES, META_CLIENT, META_VERSION, MODERN_VERSION
from gateway.legacy import SERVER_INFO, downgrade
from gateway.rewrite import last_event, open_response, write_json
from gateway.session import LegacySessions
from gateway.snapshot import Server
from gateway.surface import Route
from gateway.vouching import Vouch
from gateway.wire import UPSTREAM, Era, Limits
from gateway.wrapped.answer import read_result
from gateway.wrapped.request import Request
from registry.scrub import Patterns, scrub

_META: Final = orjson.dumps(
    {
        META_VERSION: MODERN_VERSION,
        META_CLIENT: {"name": SERVER_INFO["name"], "version": SERVER_INFO["version"]},
        META_CAPABILITIES: {},
    }
)
_TAIL: Final = b',"_meta":' + _META + b"}}"

# What an upstream says about the envelope is about our request, not the caller's, so it is not passed on.
_ENVELOPE_ERRORS: Final = frozenset({-32700, -32600, -32601, -32020, -32021, -32022})
_MAX_ERROR_TEXT: Final = 2_000


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended. `kind` is its class for the record; exactly one of `result` and `error` is there."""

    kind: str
    result: Mapping[str, Any] | None = field(default=None, repr=False)
    raw: bytes | None = field(default=None, repr=False)
    error: Mapping[str, Any] | None = field(default=None, repr=False)

    def as_json(self) -> bytes:
        """Returns the result or the error as the upstream wrote it, or in our writing where it was not kept."""
        if self.raw is not None:
            return self.raw
        return write_json(self.result if self.error is None else self.error, exact=True)

    def result_for(self, era: Era) -> bytes:
        """Returns the result as JSON in the caller's era."""
        result = self.result or {}
        if era is Era.LEGACY:
            return self.as_json() if "resultType" not in result else write_json(downgrade(result), exact=True)
        return (
            self.as_json() if "resultType" in result else write_json({**result, "resultType": "complete"}, exact=True)
        )

    def scrubbed(self, patterns: Patterns) -> tuple["Answer", int]:
        """Returns the answer without the secrets, and how many places were cut out."""
        clean, hits = scrub(self.as_json(), patterns)
        if not hits:
            return self, 0
        try:
            value = orjson.loads(clean)
        except orjson.JSONDecodeError:
            return failed("not_readable", "What the server answered held a secret and was dropped."), hits
        if self.error is not None:
            return Answer(self.kind, error=value), hits
        return Answer(self.kind, value, clean), hits


def failed(code: str, message: str) -> Answer:
    """Returns the answer for an upstream that gave none that can be used."""
    return Answer(code, error={"code": UPSTREAM, "message": message, "data": {"code": f"upstream_{code}"}})


def error_answer(error: UpstreamError) -> Answer:
    """Returns the answer for a request that failed on its way; it also says whether the tool may have acted."""
    data = {"code": f"upstream_{error.error_code}", "sent": error.sent}
    return Answer(error.error_code, error={"code": UPSTREAM, "message": error.message, "data": data})


@dataclass(slots=True)
class Upstream:
    """Makes the calls of one worker."""

    egress: Egress
    sessions: LegacySessions
    limits: Limits
    stdio_socket: str
    internal_socket: str = ""
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _targets: dict[str, tuple[Server, Target]] = field(default_factory=dict)

    async def call(
        self,
        route: Route,
        call: str,
        arguments: bytes,
        opened: Opened,
        mirrored: tuple[tuple[bytes, bytes], ...],
        *,
        party: str,
        vouch: Vouch | None = None,
    ) -> Answer:
        """Returns what the tool answered. Raises `UpstreamError` when there was no HTTP answer.

        `party` names person and agent: a server that keeps state in sessions keeps it apart for each. `vouch` says who
        calls, to one of our own servers and to nobody else.
        """
        sent_id = b"%d" % next(self._ids)
        server = route.tool.server
        if server.origin and server.protocol in LEGACY_VERSIONS:
            return await self._call_legacy(route, arguments, opened, party, sent_id)
        body = b'{"jsonrpc":"2.0","id":' + sent_id + route.head + arguments + _TAIL
        # The trace is ours: its id is the call's, so an upstream's own log can be laid beside the audit record.
        trace = call.replace("-", "")
        headers = [(b"traceparent", f"00-{trace}-{trace[16:]}-01".encode()), *mirrored]
        headers += [(name, value.reveal()) for name, value in opened.headers]
        headers += [vouch(body)] if vouch is not None else []
        reply = await self.egress.post(
            self.target(server),
            headers,
            body,
            timeout=self.limits.deadline,
            max_bytes=self.limits.upstream_bytes,
            partition=server.uid,
            same=route.headers,
        )
        return _read_answer(reply.status, reply.header(b"content-type"), reply.body, sent_id)

    async def send(self, route: Route, call: str, request: Request, opened: Opened) -> Answer:
        """Returns what an operation of a wrapped API answered. Raises `UpstreamError` when there was no HTTP answer."""
        server = route.tool.server
        injected = [(name, value.reveal()) for name, value in opened.headers]
        taken = {name for name, _ in injected}
        trace = call.replace("-", "")
        reply = await self.egress.post(
            self.target(server),
            # Where the credential stands, no argument stands beside it.
            [
                (b"traceparent", f"00-{trace}-{trace[16:]}-01".encode()),
                *((name, value) for name, value in request.headers if name not in taken),
                *injected,
            ],
            request.body,
            timeout=self.limits.deadline,
            max_bytes=self.limits.upstream_bytes,
            partition=server.uid,
            verb=request.verb,
            path=request.path,
        )
        return Answer(*read_result(reply, opened))

    async def _call_legacy(self, route: Route, arguments: bytes, opened: Opened, party: str, sent_id: bytes) -> Answer:
        server = route.tool.server
        # A credential that was replaced is another caller to the server; its ciphertext tells it apart.
        bound = hashlib.sha256(b"".join(item.sealed for item in server.credentials)).hexdigest()
        body = await self.sessions.call(
            self.target(server),
            [(name, value.reveal()) for name, value in opened.headers],
            "tools/call",
            {"name": route.tool.name, "arguments": json.loads(arguments)},
            request_id=sent_id,
            protocol=server.protocol,
            timeout=self.limits.deadline,
            max_bytes=self.limits.upstream_bytes,
            partition=f"{server.uid} {bound} {party}",
            exact=True,
        )
        return _read_answer(200, b"application/json", body, sent_id)

    def target(self, server: Server) -> Target:
        """Returns where a server's messages go: its own address, or the socket of who runs it on this host."""
        held = self._targets.get(server.uid)
        if held is None or held[0] is not server:
            uds = None if server.origin else self.internal_socket if server.internal else self.stdio_socket
            held = (server, Target(server.origin, server.host, server.port, server.path, server.tls, uds))
            self._targets[server.uid] = held
        return held[1]


def _read_answer(status: int, content_type: bytes, body: bytes, sent_id: bytes) -> Answer:
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == b"text/event-stream":
        body = last_event(body, sent_id)
    elif kind != b"application/json":
        return _bad_status(status) if status >= 300 else failed("not_json", "The server's answer is not JSON.")
    try:
        response, raw = open_response(body, sent_id)
    except ValueError:
        if status >= 300:
            return _bad_status(status)
        return failed("not_an_answer", "The server's answer is not the answer to this call.")
    if "error" in response:
        return _error(response["error"], status)
    return _bad_status(status) if status >= 300 else _result(response["result"], raw)


def _bad_status(status: int) -> Answer:
    if status in {401, 403}:
        return failed("refused", f"The server refused the gateway's credential (HTTP {status}).")
    return failed("status", f"The server answered with HTTP {status}.")


def _error(error: Any, status: int) -> Answer:
    if (
        not isinstance(error, dict)
        or not isinstance(error.get("code"), int)
        or not isinstance(error.get("message"), str)
    ):
        return failed("not_an_answer", "The server's answer is not the answer to this call.")
    if error["code"] in _ENVELOPE_ERRORS:
        return failed("protocol", f"The server did not accept the gateway's request ({error['code']}, HTTP {status}).")
    kept = {"code": error["code"], "message": error["message"][:_MAX_ERROR_TEXT]}
    return Answer("error", error=kept | ({"data": error["data"]} if "data" in error else {}))


def _result(result: Any, raw: bytes | None) -> Answer:
    if not isinstance(result, dict):
        return failed("not_an_answer", "The server's answer is not the answer to this call.")
    if result.get("resultType", "complete") != "complete":
        return failed("unsupported", "The server asked for more input, which the gateway does not pass on.")
    return Answer("tool_error" if result.get("isError") is True else "ok", result, raw)
