"""Says of a call to one of our own servers who makes it, so that the server can decide what it shows."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.snapshot import Server, Tool
from gateway.surface import Caller
from kernel.errors import Unavailable
from kernel.ids import new_uid_text
from registry.assertions import HEADER, Assertion, sign
from registry.assertions import Caller as Named
from tenants.decisions import sensitivity_ceiling

Vouch = Callable[[bytes], tuple[bytes, bytes]]
"""Returns the header that vouches for a body."""


@dataclass(slots=True)
class Voucher:
    """Holds the key that assertions are signed with. Without the key nothing is said, so no internal server is called."""

    key_path: Path | None
    _key: Ed25519PrivateKey | None = field(default=None, repr=False)

    def for_call(self, caller: Caller, tool: Tool, call: str) -> Vouch | None:
        """Returns what vouches for one call; None for a server that is told nothing of its callers."""
        if not tool.server.internal:
            return None
        if caller.person is None or caller.agent is None or caller.delegation is None:
            raise Unavailable("A call without both identities is not made.", code="assertion_key_missing")
        named = Named(
            sub=caller.person.uid,
            act=caller.agent.uid,
            dlg=caller.delegation.uid,
            team=caller.team.slug,
            cap=sensitivity_ceiling(caller.person, caller.agent, caller.delegation),
            tool=tool.name,
        )
        return self._vouch(tool.server, call, named)

    def for_look(self, server: Server) -> Vouch | None:
        """Returns what vouches for a probe, which names nobody."""
        return self._vouch(server, new_uid_text(), None) if server.internal else None

    def _vouch(self, server: Server, call: str, named: Named | None) -> Vouch:
        key = self._private_key()

        def vouch(body: bytes) -> tuple[bytes, bytes]:
            said = Assertion(call=call, server=server.uid, issued=time.time(), caller=named)
            return HEADER, sign(key, said, body)

        return vouch

    def _private_key(self) -> Ed25519PrivateKey:
        if self._key is None:
            try:
                key = load_pem_private_key(self.key_path.read_bytes() if self.key_path else b"", password=None)
            except (OSError, ValueError, TypeError):
                key = None
            if not isinstance(key, Ed25519PrivateKey):
                raise Unavailable("The gateway has no key to vouch for its callers.", code="assertion_key_missing")
            self._key = key
        return self._key
