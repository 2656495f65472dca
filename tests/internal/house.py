"""Two teams with documents of their own, a real gateway, and the real process that searches for their agents."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from gateway.app import Settings
from gateway.wire import Limits
from kernel import clock
from kernel.ids import new_uid
from portal.config import Config
from portal.keys import assertion_key_path, sealing_key_path, token_jwks_path, token_key_path
from registry.context.entries import Entry
from registry.context.services.imports import begin_import
from registry.context.services.sources import add_source
from registry.context.working import work_on
from tenants.models import Delegation, Tenant
from tenants.rules import Sensitivity
from tests.actors import Cast

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class House:
    """What a test needs to ask as an agent. `rows` is a context manager: inside, Django writes to this house."""

    config: Config
    dsn: Callable[[str], str]
    rows: Callable[[], AbstractContextManager[None]]
    cast: Cast
    delegations: dict[str, Delegation]
    environment: dict[str, str] = field(default_factory=dict)
    url: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Starts the process and returns when it answers."""
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "internal_servers"], env=self.environment
        )
        until = time.monotonic() + 120
        while not self._answers():
            assert self.process.poll() is None, "the process ended"
            assert time.monotonic() < until, "the process did not answer in time"
            time.sleep(0.02)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Ends the process. Returns its exit code."""
        assert self.process is not None
        os.kill(self.process.pid, number)
        return self.process.wait(20)

    def _answers(self) -> bool:
        transport = httpx2.HTTPTransport(uds=str(self.config.internal_socket))
        try:
            with httpx2.Client(transport=transport) as client:
                return client.get("http://internal/readyz").status_code == 200
        except httpx2.HTTPError:
            return False

    def token(self, delegation: Delegation, *, path: str = "", **changes: Any) -> str:
        """Returns what the portal would mint for this delegation, for the address of its team."""
        key = OKPKey.import_key(token_key_path(self.config).read_text(encoding="ascii"))
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": str(delegation.person.uid),
            "act": {"sub": str(delegation.agent.uid)},
            "aud": f"{self.url}/mcp/{path or delegation.team.slug}",
            "dlg": str(delegation.uid),
            "jti": str(new_uid()),
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            **changes,
        }
        header = {"alg": "Ed25519", "typ": "at+jwt", "kid": key.thumbprint()}
        return jwt.encode(header, claims, key, algorithms=["Ed25519"])

    def with_client(
        self, who: str, work: Callable[[Client], Any], *, path: str = "", mode: str = "2026-07-28", seconds: float = 60
    ) -> Any:
        """Returns what `work` returns for an SDK client that is signed in by one of the delegations."""
        delegation = self.delegations[who]

        async def run() -> Any:
            headers = {"Authorization": f"Bearer {self.token(delegation)}"}
            url = f"{self.url}/mcp/{path or delegation.team.slug}"
            async with (
                httpx2.AsyncClient(headers=headers, timeout=30) as http,
                Client(streamable_http_client(url, http_client=http), mode=mode) as client,
            ):
                return await work(client)

        return asyncio.run(asyncio.wait_for(run(), seconds))

    def call(self, who: str, tool: str, *, path: str = "", **arguments: Any) -> Any:
        """Returns the SDK's result of one call."""
        return self.with_client(who, lambda client: client.call_tool(tool, arguments), path=path)

    def refused(self, who: str, tool: str, *, path: str = "", **arguments: Any) -> MCPError:
        """Returns the protocol error of a call that is answered with one."""

        async def work(client: Client) -> Any:
            with pytest.raises(MCPError) as caught:
                await client.call_tool(tool, arguments)
            return caught.value

        return self.with_client(who, work, path=path)

    def search(self, who: str, query: str, *, path: str = "", **arguments: Any) -> dict[str, Any]:
        """Returns the structured answer of one search that went well."""
        result = self.call(who, "context.search", path=path, query=query, **arguments)
        assert not result.is_error, result.content
        return result.structured_content

    def settings(self, port: int) -> Settings:
        """Returns the settings of this house's gateway."""
        self.url = f"http://127.0.0.1:{port}"
        return Settings(
            base_url=self.url,
            issuer=self.url,
            dsn=self.dsn("gateway"),
            token_keys=token_jwks_path(self.config),
            credential_key=sealing_key_path(self.config),
            stdio_socket=self.config.run_dir / "stdio.sock",
            allowed_hosts=("127.0.0.1",),
            assertion_key=assertion_key_path(self.config),
            internal_socket=self.config.internal_socket,
            limits=Limits(deadline=20.0),
        )


def bring(
    cast: Cast, owner: Tenant, slug: str, *, sensitivity: Sensitivity = Sensitivity.INTERNAL, **texts: str
) -> None:
    """Puts Markdown documents into a source of an owner, read and ready to be found by their words."""
    source = add_source(actor=cast.admin, owner=owner, slug=slug, name=slug, sensitivity=sensitivity)
    entries = [
        Entry(path=f"{name}.md", content=text.encode(), changed_at=clock.now(), commit="c0ffee")
        for name, text in texts.items()
    ]
    row = begin_import(actor=cast.admin, source=source, entries=entries)
    assert not work_on(row.pk, seconds=60)


@contextmanager
def settled(what: Callable[[], bool], seconds: float = 10.0) -> Iterator[None]:
    """Waits on leaving until the gateway has read what was written inside."""
    yield
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "the gateway does not know it"
        time.sleep(0.02)
