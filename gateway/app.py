"""The gateway as an ASGI application: addresses, challenges, metadata, and the life of its parts."""

import asyncio
import contextlib
import gc
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import orjson

from gateway import metrics, probing
from gateway.auditor import Auditor
from gateway.authn import Keys, Verifier
from gateway.credentials import Vault
from gateway.egress import Egress
from gateway.envelope import fold_headers
from gateway.flow import Address, Gone, Parts, serve
from gateway.listen import Keeper
from gateway.local import LocalServers
from gateway.session import LegacySessions
from gateway.snapshot import Snapshot
from gateway.upstream import Upstream
from gateway.vouching import Voucher
from gateway.wire import JSON_TYPE, Limits, Receive, Refusal, Reply, Scope, Send, render_error, write_reply
from kernel.errors import DomainError, NotFound, Unauthenticated, Unavailable
from kernel.ids import is_slug
from registry.addresses import AddressPolicy

_MCP: Final = "/mcp"
_METADATA: Final = "/.well-known/oauth-protected-resource"
_TOKEN_NAMES: Final = frozenset({"access_token", "token", "bearer", "authorization", "api_key", "apikey"})
_PROBES: Final = frozenset({"/livez", "/readyz"})
_DRAIN: Final = 8.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the gateway is told from outside. `base_url` is byte for byte the start of every audience."""

    base_url: str
    issuer: str
    dsn: str = field(repr=False)
    token_keys: Path
    credential_key: Path
    stdio_socket: Path
    allowed_hosts: tuple[str, ...]
    upstream_allow: tuple[str, ...] = ()
    assertion_key: Path | None = None
    internal_socket: Path | None = None
    limits: Limits = field(default_factory=Limits)


def wants(path: str) -> bool:
    """Tells whether the gateway answers this path; everything else is the portal's."""
    return path in {_MCP, metrics.PATH} or path.startswith(("/mcp/", _METADATA, probing.PREFIX))


class Gateway:
    """One per worker. Serves nothing before its first snapshot and nothing while it cannot record."""

    def __init__(self, settings: Settings) -> None:
        limits = settings.limits
        self._settings = settings
        self._vault = Vault(settings.credential_key)
        self._egress: Egress | None = None
        self._sessions: LegacySessions | None = None
        self._local: LocalServers | None = None
        self._parts: Parts | None = None
        self._keeper = Keeper(settings.dsn, limits, on_swap=self._take)
        self._auditor = Auditor(settings.dsn, limits)
        self._addresses: dict[str, Address] = {}
        self._busy = 0
        self._idle = asyncio.Event()
        base = urlsplit(settings.base_url)
        self._origin = f"{base.scheme}://{base.netloc}".encode()
        self._hosts = frozenset(host.lower().encode() for host in settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; also speaks the lifespan protocol when it is served alone."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        self._busy += 1
        try:
            await write_reply(send, await self._answer(scope, receive))
        except Gone:
            pass
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    async def start(self) -> None:
        """Makes the parts that need an event loop and begins to connect."""
        _calm_collector()
        settings, limits = self._settings, self._settings.limits
        self._egress = Egress(policy=AddressPolicy(settings.upstream_allow), max_in_flight=limits.in_flight_per_server)
        self._sessions = LegacySessions(self._egress)
        self._parts = Parts(
            limits=limits,
            verifier=Verifier(settings.issuer, Keys(settings.token_keys), limits),
            keeper=self._keeper,
            auditor=self._auditor,
            vault=self._vault,
            upstream=Upstream(
                self._egress, self._sessions, limits, str(settings.stdio_socket), str(settings.internal_socket or "")
            ),
            voucher=Voucher(settings.assertion_key),
        )
        self._local = LocalServers(self._egress, str(settings.stdio_socket))
        await self._local.start()
        await self._keeper.start()
        await self._auditor.start()

    async def stop(self) -> None:
        """Lets calls in flight finish within a few seconds, then closes everything."""
        self._idle.clear()
        if self._busy:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _DRAIN)
        await self._keeper.stop()
        await self._auditor.stop()
        if self._local is not None:
            await self._local.stop()
        if self._sessions is not None:
            await self._sessions.close()
        if self._egress is not None:
            await self._egress.close()

    def ready(self) -> bool:
        """Tells whether a call made now could be decided and recorded."""
        try:
            self._keeper.current()
        except DomainError:
            return False
        return self._auditor.ready

    def counts(self) -> dict[str, int]:
        """Returns what happened since the start, by name."""
        parts = self._parts
        return {
            **(dict(parts.counts) if parts else {}),
            "in_flight": self._busy,
            "audit.batches": self._auditor.batches,
            "audit.rows": self._auditor.rows,
            "audit.failures": self._auditor.failures,
            "policy.failures": self._keeper.failures,
        }

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        path: str = scope["path"]
        if path in _PROBES:
            return self._probe(path)
        try:
            headers = fold_headers(scope["headers"], self._settings.limits)
            self._check_host(headers)
            if path.startswith(_METADATA):
                return self._metadata(scope["method"], path[len(_METADATA) :])
            if path == metrics.PATH:
                return metrics.answer_metrics(scope, self.counts())
            return await self._take_message(scope, path, headers, receive)
        except Gone:
            raise
        except Unauthenticated as error:
            return self._challenge(error, path)
        except Exception as error:  # noqa: BLE001 - the last line: whatever it is, its text stays inside
            return render_error(error, None)

    async def _take_message(self, scope: Scope, path: str, headers: Mapping[bytes, bytes], receive: Receive) -> Reply:
        if path.startswith(probing.PREFIX):
            _check_request(scope, headers)
            audience, uid = self._settings.issuer + path, path.removeprefix(probing.PREFIX)
            return await probing.answer_probe(self._started(), audience, uid, headers, receive)
        address = self._address(path)
        _check_request(scope, headers)
        return await serve(self._started(), address, headers, receive)

    def _probe(self, path: str) -> Reply:
        """For a gateway that runs alone; behind the portal's path switch these paths are the portal's."""
        good = path == "/livez" or self.ready()
        body = b'{"status":"ok"}' if good else b'{"status":"unavailable"}'
        return Reply(200 if good else 503, body, (JSON_TYPE, (b"cache-control", b"no-store")))

    def _take(self, snapshot: Snapshot) -> None:
        self._vault.forget_all_but(snapshot)
        if self._local is not None:
            self._local.take(snapshot)

    def _started(self) -> Parts:
        if self._parts is None:
            raise Unavailable("The gateway has not started.", code="not_started")
        return self._parts

    def _check_host(self, headers: Mapping[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").lower()
        name = host if host.endswith(b"]") else host.rpartition(b":")[0] or host
        if name not in self._hosts and b"*" not in self._hosts:
            raise Refusal("This host name is not served here.", status=421, code="host_refused")
        origin = headers.get(b"origin")
        if origin is not None and origin != self._origin:
            raise Refusal("Pages of this origin may not call the gateway.", status=403, code="origin_refused")

    def _address(self, path: str) -> Address:
        found = self._addresses.get(path)
        if found is None:
            team, server = _parse_path(path)
            base = self._settings.base_url
            audiences = frozenset({f"{base}{_MCP}/{team}", *([f"{base}{_MCP}/{team}/{server}"] if server else [])})
            found = Address(team, server, audiences)
            if len(self._addresses) < self._settings.limits.surfaces_cached:
                self._addresses[path] = found
        return found

    def _metadata(self, method: str, path: str) -> Reply:
        """The same for every well-formed address, so that it does not tell which teams exist (RFC 9728)."""
        allow = (b"access-control-allow-origin", b"*")
        if method not in {"GET", "HEAD", "OPTIONS"}:
            raise Refusal("Read it with GET.", status=405, code="method_not_allowed", headers=((b"allow", b"GET"),))
        _parse_path(path)
        base = self._settings.base_url
        body = orjson.dumps(
            {
                "resource": base + path,
                "authorization_servers": [self._settings.issuer],
                "bearer_methods_supported": ["header"],
                "resource_name": "Hanse",
            }
        )
        cache = (b"cache-control", b"public, max-age=300")
        return Reply(200, b"" if method == "OPTIONS" else body, ((b"content-type", b"application/json"), allow, cache))

    def _challenge(self, error: Unauthenticated, path: str) -> Reply:
        """RFC 6750 and 9728: where to learn how to get a token; `error` only for those who showed one."""
        # Any other path is a stranger's own words, which belong into no header.
        known = path.startswith("/mcp/")
        words = [f'resource_metadata="{self._settings.base_url}{_METADATA}{path}"'] if known else []
        if error.error_code != "token_missing":
            words = ['error="invalid_token"', f'error_description="{error.message}"', *words]
        reply = render_error(error, None)
        challenge = f"Bearer {', '.join(words)}".strip().encode()
        return Reply(401, reply.body, (*reply.headers, (b"www-authenticate", challenge)))


def _calm_collector() -> None:
    """Spares the cycle collector what lives as long as the process; a call's own objects die by their count."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _parse_path(path: str) -> tuple[str, str]:
    parts = path.split("/")
    if parts[:2] != ["", "mcp"] or not 3 <= len(parts) <= 4 or not all(is_slug(part) for part in parts[2:]):
        raise NotFound("There is no such address: use /mcp/<team> or /mcp/<team>/<server>.", code="address_unknown")
    return parts[2], parts[3] if len(parts) == 4 else ""


def _check_request(scope: Scope, headers: Mapping[bytes, bytes]) -> None:
    if scope["method"] != "POST":
        raise Refusal("Send messages with POST.", status=405, code="method_not_allowed", headers=((b"allow", b"POST"),))
    query: bytes = scope.get("query_string", b"")
    if query and any(name.lower() in _TOKEN_NAMES for name, _ in parse_qsl(query.decode("latin-1"), True)):
        raise Refusal("A token in the address is never accepted: send it in a header.", code="token_in_query")
    kind = headers.get(b"content-type", b"")
    if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
        raise Refusal("The body must be application/json.", status=415, code="content_type_refused")
    if b"content-encoding" in headers and headers[b"content-encoding"].strip().lower() != b"identity":
        raise Refusal("The body must not be compressed.", status=415, code="content_encoding_refused")
    accept = headers.get(b"accept")
    if accept and b"application/json" not in accept and b"*/*" not in accept and b"application/*" not in accept:
        raise Refusal("The answer is application/json.", status=406, code="not_acceptable")
