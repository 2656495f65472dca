"""A governed tool call in nine steps. Each is one function below, in the order in which a call passes them.

1 read the call      2 resolve the token   3 find the surface   4 decide
5 record the intent  6 forward             7 scrub              8 record the outcome   9 write the result
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Final

from audit import records
from gateway import legacy, resources
from gateway.arguments import Shapes
from gateway.auditor import Auditor
from gateway.authn import Grant, TokenRefused, Verifier
from gateway.credentials import Opened, Vault
from gateway.envelope import Answerable, read_call
from gateway.forms import VERB
from gateway.listen import Keeper
from gateway.places import Place
from gateway.rewrite import decode_header, encode_header, header_value, write_json
from gateway.snapshot import Snapshot
from gateway.surface import Route, Surface, find_surface, named_by_token
from gateway.upstream import Answer, Upstream, error_answer
from gateway.upstream_errors import UpstreamError
from gateway.vouching import Vouch, Voucher
from gateway.wire import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    JSON_HEADERS,
    METHOD_NOT_FOUND,
    UPSTREAM,
    Call,
    Era,
    Limits,
    Receive,
    Refusal,
    Reply,
    read_body,
    render_error,
    result_reply,
)
from gateway.wrapped.request import Request, Unfit, build_request
from kernel.errors import DomainError, Unauthenticated, Unavailable
from kernel.ids import new_uid_text
from registry.schemas import Unusable
from tenants.rules import Effect

_OBJECT: Final = (dict, NoneType)
_JUST_ISSUED: Final = 10.0
"""Seconds within which a token may be newer than the snapshot, so that an unknown delegation is worth another look."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL names: a team's merged surface, or one server as that team reaches it."""

    team: str
    server: str
    audiences: frozenset[str]


@dataclass(slots=True)
class Parts:
    """What the steps work with; one per worker."""

    limits: Limits
    verifier: Verifier
    keeper: Keeper
    auditor: Auditor
    vault: Vault
    upstream: Upstream
    voucher: Voucher
    shapes: Shapes = field(default_factory=Shapes)
    counts: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Passage:
    """One tool call on its way: what is fixed when it was read and needed until its outcome is recorded."""

    call: Call
    uid: str
    surface: Surface
    arguments: bytes
    receive: Receive
    began: float
    request: Request | None = None
    """Set by the check of the arguments, for a call of a wrapped API."""


class Gone(Exception):
    """The caller hung up. In the modern era that is the cancellation of its call."""


class _Watch:
    """Cancels the call's own task when its caller hangs up, while the upstream is being waited for and never later.

    Costs a timer; only a call that takes a while gets a task that listens.
    """

    __slots__ = ("_receive", "_task", "_timer", "_watcher")

    def __init__(self, receive: Receive, after: float) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(after, self._start)

    def _start(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task is not None:
            self._task.cancel()

    def stop(self) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()


async def serve(parts: Parts, address: Address, headers: Mapping[bytes, bytes], receive: Receive) -> Reply:
    """Returns the answer to one POST. Raises `Unauthenticated`, which only the caller's address can be answered with."""
    call_id: bytes | None = None
    era = Era.MODERN
    try:
        grant = authenticate(parts, address, headers)
        call = read_call(headers, await read_body(headers, receive, parts.limits.body_bytes), parts.limits)
        call_id, era = call.id, call.era
        surface = await resolve(parts, address, grant)
        return await _METHODS.get(call.method, _unknown_method)(parts, call, surface, receive)
    except Unauthenticated as error:
        parts.counts[error.error_code] += 1
        if isinstance(error, TokenRefused):
            await record_refused(parts, address, error)
        raise
    except Answerable as refused:
        return render_error(refused.refusal, refused.call_id)
    except DomainError as error:
        parts.counts[error.error_code] += 1
        return _in_era(render_error(error, call_id), era, error)


def _in_era(reply: Reply, era: Era, error: DomainError) -> Reply:
    # The handshake revisions say what went wrong in the body; their clients take a status of 400 for a broken server.
    if era is Era.LEGACY and isinstance(error, Refusal) and error.status in {400, 404}:
        return Reply(200, reply.body, reply.headers)
    return reply


def authenticate(parts: Parts, address: Address, headers: Mapping[bytes, bytes]) -> Grant:
    """Step 2: returns what the bearer token says, when it is signed, in time, and for this very address."""
    grant = parts.verifier.verify(headers.get(b"authorization"), time.time())
    if grant.audience not in address.audiences:
        raise TokenRefused("The token is for another address.", code="token_audience", grant=grant)
    return grant


async def record_refused(parts: Parts, address: Address, error: TokenRefused) -> None:
    """Step 2, refused: makes it durable, in the log of the team at whose door it was, that this token was shown there."""
    snapshot, grant = parts.keeper.snapshot, error.grant
    team = snapshot.tenants.teams.get(address.team) if snapshot is not None else None
    if team is None:
        return
    row = records.denied(
        team.log,
        records.Actor(grant.person, grant.agent, grant.delegation),
        call=new_uid_text(),
        verb=VERB,
        object=f"token/{grant.jti}",
        arguments=b"{}",
        reasons=(error.error_code,),
    )
    # Who is refused anyway is refused without a log, too; there is nothing to withhold.
    with contextlib.suppress(Unavailable):
        await parts.auditor.append(row)


async def resolve(parts: Parts, address: Address, grant: Grant) -> Surface:
    """Step 3: returns the surface of the person and agent behind a token, as the present snapshot knows them."""
    snapshot = parts.keeper.current()
    surface = _surface(parts, snapshot, address, grant)
    if surface is None and grant.issued > time.time() - _JUST_ISSUED:
        # Minted a moment ago, perhaps before the news of its delegation arrived here.
        snapshot = await parts.keeper.read_again("tenants", newer_than=parts.keeper.read_at("tenants"))
        surface = _surface(parts, snapshot, address, grant)
    if surface is None:
        raise TokenRefused("What the token was issued for is no longer there.", code="token_unknown", grant=grant)
    return surface


def _surface(parts: Parts, snapshot: Snapshot, address: Address, grant: Grant) -> Surface | None:
    team = snapshot.tenants.teams.get(address.team)
    return None if team is None else find_surface(snapshot, grant, team, address.server, parts.limits)


async def call_tool(parts: Parts, call: Call, surface: Surface, receive: Receive) -> Reply:
    """Returns the answer to `tools/call`. Nothing goes upstream before its record is accepted; nothing returns unrecorded."""
    name, arguments = _arguments(parts, call)
    route = surface.route(name)
    passage = Passage(call, new_uid_text(), surface, arguments, receive, time.monotonic())
    if route is None:
        await deny_unknown(parts, passage, name)
        raise _unknown_tool(passage, name)
    if reasons := decide(surface, route):
        await deny(parts, passage, route, reasons)
        raise _unknown_tool(passage, name)
    mirrored = _check_mirrored(call, route)
    fault = await check_arguments(parts, passage, route)
    if fault:
        return refuse_arguments(passage, fault)
    try:
        opened = parts.vault.open_for(route.tool.server)
        vouch = parts.voucher.for_call(surface.caller, route.tool, passage.uid)
        place = Place(parts.in_flight, parts.limits, route.tool.server.uid, surface.caller.grant.agent)
    except DomainError as error:
        await deny(parts, passage, route, (error.error_code,))
        raise
    with place:
        recorded = record_intent(parts, passage, route)
        if route.tool.facts.effect != Effect.READ:
            await recorded
        answer = await forward(parts, passage, route, opened, mirrored, vouch)
        answer = scrub_answer(parts, answer, opened)
        await record_outcome(parts, passage, route, answer, recorded)
    return write_result(passage, answer)


def _arguments(parts: Parts, call: Call) -> tuple[str, bytes]:
    name, arguments = call.params.get("name"), call.params.get("arguments")
    if not isinstance(name, str) or len(name) > parts.limits.name_chars or not isinstance(arguments, _OBJECT):
        raise Refusal(
            "tools/call needs a name and an object of arguments.", number=INVALID_PARAMS, code="params_malformed"
        )
    if call.id is None:
        raise Refusal("A tool is called by a request, not by a notification.", code="message_malformed")
    return name, write_json(arguments, exact=call.exact) if arguments else b"{}"


def _unknown_tool(passage: Passage, name: str) -> Refusal:
    """The same for a tool that is forbidden and for one that does not exist."""
    named = (_named(passage),)
    return Refusal(f"Unknown tool: {name}", number=INVALID_PARAMS, code="tool_unknown", headers=named)


def decide(surface: Surface, route: Route) -> tuple[str, ...]:
    """Step 4: returns every reason against the call, none when it is allowed at this moment."""
    if not named_by_token(surface.caller.grant, route.tool):
        return ("token.tool_not_named",)
    return surface.reasons(route.tool, time.time())


async def deny(parts: Parts, passage: Passage, route: Route, reasons: tuple[str, ...]) -> None:
    """Step 4, refused: makes the refusal durable with its reasons, which the caller never learns."""
    parts.counts["denied"] += 1
    said = passage.arguments
    keep = len(said) <= parts.limits.payload_bytes
    await parts.auditor.append(route.forms.denied(reasons).fill(call=passage.uid, body=said, keep=keep))


async def deny_unknown(parts: Parts, passage: Passage, name: str) -> None:
    """Step 4, refused: the same for a name that leads nowhere from this caller's address."""
    parts.counts["denied"] += 1
    row = records.denied(
        passage.surface.caller.team.log,
        passage.surface.actor,
        call=passage.uid,
        verb=VERB,
        object=f"?/{name}",
        arguments=passage.arguments,
        reasons=("tool.unknown",),
        snapshot=passage.surface.number,
        keep=len(passage.arguments) <= parts.limits.payload_bytes,
    )
    await parts.auditor.append(row)


async def check_arguments(parts: Parts, passage: Passage, route: Route) -> str:
    """Step 4, the last of it: returns what is wrong with the arguments, recorded as refused; "" when nothing is."""
    arguments = passage.call.params.get("arguments") or {}
    try:
        fault = parts.shapes.find(route.tool).fault(arguments)
    except Unusable:
        await deny(parts, passage, route, ("arguments.schema_unusable",))
        raise Unavailable(
            "The tool's approved input schema cannot be used, so its arguments cannot be checked.",
            code="schema_unusable",
        ) from None
    if not fault and route.pattern is not None:
        try:
            passage.request = build_request(route.pattern, arguments, exact=passage.call.exact)
        except Unfit as error:
            fault = str(error)
    if fault:
        await deny(parts, passage, route, ("arguments.invalid",))
    return fault or ""


def refuse_arguments(passage: Passage, fault: str) -> Reply:
    """Returns a failure of the tool, as MCP wants for bad arguments: a model reads it and can do better."""
    text = f"The arguments do not fit the tool's input schema: {fault}"
    result = {"content": [{"type": "text", "text": text}], "isError": True}
    return write_result(passage, Answer("tool_error", result=result))


def record_intent(parts: Parts, passage: Passage, route: Route) -> asyncio.Future[None]:
    """Step 5: returns what is done when the intent is durable. Raises `Unavailable` at once where nothing can be recorded."""
    said = passage.arguments
    keep = len(said) <= parts.limits.payload_bytes
    return parts.auditor.append(route.forms.intent.fill(call=passage.uid, body=said, keep=keep))


async def forward(
    parts: Parts,
    passage: Passage,
    route: Route,
    opened: Opened,
    mirrored: tuple[tuple[bytes, bytes], ...],
    vouch: Vouch | None = None,
) -> Answer:
    """Step 6: returns what the upstream said, or what went wrong there: a call that was made always has an answer."""
    # In the handshake revisions a closed connection is not a cancellation.
    modern = passage.call.era is Era.MODERN
    watch = _Watch(passage.receive, parts.limits.disconnect_watch_after) if modern else None
    try:
        if passage.request is not None:
            return await parts.upstream.send(route, passage.uid, passage.request, opened)
        grant = passage.surface.caller.grant
        party = f"{grant.person} {grant.agent}"
        return await parts.upstream.call(
            route, passage.uid, passage.arguments, opened, mirrored, party=party, vouch=vouch
        )
    except UpstreamError as error:
        return error_answer(error)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            task.uncancel()
        return Answer("cancelled", error={"code": UPSTREAM, "message": "Cancelled.", "data": {"code": "cancelled"}})
    finally:
        if watch is not None:
            watch.stop()


def scrub_answer(parts: Parts, answer: Answer, opened: Opened) -> Answer:
    """Step 7: returns the answer without any secret that went out with this call."""
    if not opened.headers:
        return answer
    clean, hits = answer.scrubbed(opened.patterns)
    if hits:
        parts.counts["secrets_scrubbed"] += hits
    return clean


async def record_outcome(
    parts: Parts, passage: Passage, route: Route, answer: Answer, recorded: asyncio.Future[None]
) -> None:
    """Step 8: returns when intent and outcome are both durable. Otherwise the result is withheld."""
    body = answer.as_json()
    row = route.forms.outcome.fill(
        call=passage.uid,
        body=body,
        keep=len(body) <= parts.limits.payload_bytes,
        result=answer.kind,
        ms=round((time.monotonic() - passage.began) * 1000),
    )
    parts.counts[f"calls.{answer.kind}"] += 1
    try:
        last = parts.auditor.append(row)
        await recorded
        await last
    except Unavailable:
        raise Unavailable(
            "The call was made, but its outcome could not be recorded, so the result is withheld.",
            code="outcome_not_recorded",
        ) from None


def write_result(passage: Passage, answer: Answer) -> Reply:
    """Step 9: returns the answer under the caller's own id, in the caller's era, with the call's name in the log."""
    if answer.kind == "cancelled":
        raise Gone
    call_id = passage.call.id or b"null"
    if passage.call.method == resources.READ:
        uri = passage.call.params["arguments"]["uri"]
        answer = resources.as_contents(answer, uri, passage.surface.ttl_ms)
    if answer.error is not None:
        return result_error(call_id, answer.error, _named(passage))
    return result_reply(call_id, answer.result_for(passage.call.era), _named(passage))


def _named(passage: Passage) -> tuple[bytes, bytes]:
    """What a caller quotes when it asks about a call: everything about it is in the log under this name."""
    return (b"hanse-call", passage.uid.encode())


def result_error(call_id: bytes, error: Mapping[str, Any], *headers: tuple[bytes, bytes]) -> Reply:
    """Returns a JSON-RPC error that came from beyond the gateway: HTTP itself went well."""
    body = b'{"jsonrpc":"2.0","id":' + call_id + b',"error":' + write_json(error, exact=True) + b"}"
    return Reply(200, body, (*JSON_HEADERS, *headers))


def _check_mirrored(call: Call, route: Route) -> tuple[tuple[bytes, bytes], ...]:
    """Returns the `Mcp-Param-*` headers for the upstream; the caller's own must say what the body says."""
    if not route.mirrored:
        return ()
    arguments = call.params.get("arguments") or {}
    found = []
    for path, header in route.mirrored:
        value = header_value(arguments, path)
        if call.era is Era.MODERN and _given(call, header) != value:
            raise Refusal(
                f"Headers and body disagree: {header.decode()} is not the argument {'.'.join(path)}.",
                number=HEADER_MISMATCH,
                code="header_mismatch",
            )
        if value is not None:
            found.append((header, encode_header(value)))
    return tuple(found)


def _given(call: Call, header: bytes) -> str | None:
    value = call.headers.get(header)
    return None if value is None else decode_header(value)


async def _discover(_parts: Parts, call: Call, _surface: Surface, _receive: Receive) -> Reply:
    return result_reply(_required_id(call), legacy.DISCOVERED) if call.era is Era.MODERN else _no_method(call)


def _check_first_page(call: Call) -> None:
    if call.params.get("cursor") is not None:
        raise Refusal("The list has one page: there is no such cursor.", number=INVALID_PARAMS, code="cursor_unknown")


async def _list_tools(_parts: Parts, call: Call, surface: Surface, _receive: Receive) -> Reply:
    _check_first_page(call)
    return result_reply(_required_id(call), surface.listing(call.era))


async def _read_resource(parts: Parts, call: Call, surface: Surface, receive: Receive) -> Reply:
    return await call_tool(parts, resources.as_call(call, surface), surface, receive)


async def _list_resources(_parts: Parts, call: Call, surface: Surface, _receive: Receive) -> Reply:
    _check_first_page(call)
    return result_reply(_required_id(call), resources.listing(call, surface))


async def _initialize(_parts: Parts, call: Call, _surface: Surface, _receive: Receive) -> Reply:
    return result_reply(_required_id(call), legacy.initialize(call)) if call.era is Era.LEGACY else _no_method(call)


async def _ping(_parts: Parts, call: Call, _surface: Surface, _receive: Receive) -> Reply:
    return result_reply(_required_id(call), legacy.EMPTY) if call.era is Era.LEGACY else _no_method(call)


async def _unknown_method(_parts: Parts, call: Call, _surface: Surface, _receive: Receive) -> Reply:
    return Reply(202) if call.id is None else _no_method(call)


def _no_method(call: Call) -> Reply:
    raise Refusal("Method not found", status=404, number=METHOD_NOT_FOUND, code="method_not_found")


def _required_id(call: Call) -> bytes:
    if call.id is None:
        raise Refusal("This method is a request: it needs an id.", code="message_malformed")
    return call.id


_METHODS: Final = {
    "tools/call": call_tool,
    "tools/list": _list_tools,
    "resources/read": _read_resource,
    "resources/list": _list_resources,
    "resources/templates/list": _list_resources,
    "server/discover": _discover,
    "initialize": _initialize,
    "ping": _ping,
}
