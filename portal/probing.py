"""The way of a probe to a server: through the gateway, with a token that lists tools and can call none."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx2
from django.conf import settings
from joserfc import jwt
from mcp.client import Transport
from mcp.client.streamable_http import streamable_http_client

from portal.keyring import token_issuer
from registry.models import Server

PROBE_SECONDS: Final = 60


def probe_token(server: Server) -> str:
    """Returns a token for looking at exactly this server. It names nobody, so the gateway lets it call nothing."""
    issuer = token_issuer()
    now = int(time.time())
    claims = {
        "iss": issuer.base_url,
        "aud": f"{issuer.base_url}/-/upstream/{server.uid}",
        "iat": now,
        "nbf": now,
        "exp": now + PROBE_SECONDS,
    }
    header = {"alg": "Ed25519", "typ": "probe+jwt", "kid": issuer.key.kid}
    return jwt.encode(header, claims, issuer.key, algorithms=["Ed25519"])


@asynccontextmanager
async def open_route(server: Server, *, bare: bool = False) -> AsyncIterator[Transport]:
    """Yields a transport of the official SDK to the server, by way of the gateway on this host; a bare one without key."""
    config = settings.HANSE
    url = f"{config.gateway_url}/-/upstream/{server.uid}"
    headers = {"authorization": f"Bearer {probe_token(server)}"} | ({"hanse-bare": "1"} if bare else {})
    async with httpx2.AsyncClient(headers=headers, timeout=PROBE_SECONDS, trust_env=False) as client:
        yield streamable_http_client(url, http_client=client)
