"""Ports that stay free until they are used."""

import secrets
import socket
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
_LOWEST: Final = 10_000
_GIVEN: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL: Final = 32_768


def free_ports(count: int = 1) -> int:
    """Returns the first of `count` neighbouring ports of loopback that nobody has.

    They lie below those that the system gives to connections: of these, one that is free now may be the near end of
    somebody's connection by the time that a process which had to be prepared wants to listen there.
    """
    end = _first_given() - count
    while True:
        first = _LOWEST + secrets.randbelow(end - _LOWEST)
        if all(_is_free(first + more) for more in range(count)):
            return first


def _first_given() -> int:
    try:
        return max(int(_GIVEN.read_text(encoding="ascii").split()[0]), _LOWEST + 1_000)
    except (OSError, ValueError, IndexError):
        return _USUAL


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
