"""The handshake revisions (2025-03-26, 2025-06-18, 2025-11-25), served without any session: each request stands alone."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.envelope import LEGACY_VERSIONS, MODERN_VERSION, NEWEST_LEGACY
from gateway.wire import INVALID_PARAMS, Call, Refusal

SERVER_INFO: Final[Mapping[str, str]] = {"name": "hanse", "title": "Hanse", "version": "0.1.0"}
_CAPABILITIES: Final[Mapping[str, Any]] = {"tools": {"listChanged": False}, "resources": {"subscribe": False}}

EMPTY: Final = b"{}"

DISCOVERED: Final = orjson.dumps(
    {
        "resultType": "complete",
        "supportedVersions": [MODERN_VERSION],
        "capabilities": {"tools": {}, "resources": {}},
        "ttlMs": 60_000,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": SERVER_INFO},
    }
)
"""The result of `server/discover`: the same for every caller, because it says nothing about any server behind."""


def initialize(call: Call) -> bytes:
    """Returns the result of `initialize`: the version asked for when we speak it, else the newest of that era."""
    requested = call.params.get("protocolVersion")
    if not isinstance(requested, str):
        raise Refusal("initialize needs a protocolVersion.", number=INVALID_PARAMS, code="params_malformed")
    version = requested if requested in LEGACY_VERSIONS else NEWEST_LEGACY
    info = SERVER_INFO if version == NEWEST_LEGACY else {key: SERVER_INFO[key] for key in ("name", "version")}
    return orjson.dumps({"protocolVersion": version, "capabilities": _CAPABILITIES, "serverInfo": info})


def downgrade(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a tool's result without what the handshake revisions do not know."""
    return {key: value for key, value in result.items() if key not in {"resultType", "ttlMs", "cacheScope"}}
