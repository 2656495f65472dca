"""Where repositories may be fetched from, as the operator has set it, and with which key their credentials open."""

from django.conf import settings

from portal.keys import repository_key_path
from registry.addresses import AddressPolicy
from registry.git.access import Vault
from registry.git.fetching import Sources


def repository_sources() -> Sources:
    """Returns public hosts over TLS, and what the operator listed: addresses, and directories of this host.

    The vault names a file. With `--split` only the worker can read it; whoever else asks is told that there is no key.
    """
    config = settings.HANSE
    vault = Vault(repository_key_path(config))
    return Sources(AddressPolicy(config.upstream_allow), config.repository_roots, vault=vault)
