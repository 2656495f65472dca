"""Where repositories may be fetched from, as the operator has set it."""

from django.conf import settings

from registry.addresses import AddressPolicy
from registry.git.fetching import Sources


def repository_sources() -> Sources:
    """Returns public hosts over TLS, and what the operator listed: addresses, and directories of this host."""
    config = settings.HANSE
    return Sources(AddressPolicy(config.upstream_allow), config.repository_roots)
