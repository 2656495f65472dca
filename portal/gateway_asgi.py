"""The gateway as a process of its own. Nothing of Django is imported here."""

import os

from gateway.app import Gateway, Settings
from portal.config import Config, load
from portal.keys import assertion_key_path, sealing_key_path, token_jwks_path


def make_gateway(config: Config) -> Gateway:
    """Returns the gateway of this installation. It connects when its lifespan starts."""
    return Gateway(
        Settings(
            base_url=config.gateway_url,
            issuer=config.url,
            dsn=config.dsn("gateway"),
            token_keys=token_jwks_path(config),
            credential_key=sealing_key_path(config),
            stdio_socket=config.run_dir / "stdio.sock",
            allowed_hosts=config.allowed_hosts,
            upstream_allow=config.upstream_allow,
            assertion_key=assertion_key_path(config),
            internal_socket=config.internal_socket,
        )
    )


app = make_gateway(load(os.environ))
