"""The gateway as an application of its own, made from the configuration. Nothing of Django is imported here."""

import os
from typing import Final

from gateway.app import Gateway, Settings
from portal.config import Config, load
from portal.keys import sealing_key_path

STDIO_SOCKET: Final = "stdio.sock"


def gateway_settings(config: Config) -> Settings:
    """Returns what the gateway needs to know of the configuration."""
    return Settings(
        base_url=config.gateway_url,
        issuer=config.url,
        dsn=config.dsn("gateway"),
        token_keys=config.public_dir / "token.jwks.json",
        credential_key=sealing_key_path(config),
        stdio_socket=config.run_dir / STDIO_SOCKET,
        allowed_hosts=config.allowed_hosts,
        upstream_allow=config.upstream_allow,
    )


app = Gateway(gateway_settings(load(os.environ)))
