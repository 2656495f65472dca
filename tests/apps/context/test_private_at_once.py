"""Two who set the credential of a source at once, and one who moves the source meanwhile."""

from copy import deepcopy

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kernel.secrets import Secret
from registry.context.models import SourceCredential
from registry.context.services.credentials import set_source_credential
from registry.context.services.sources import add_source, change_source, remove_source
from tenants.principals import SYSTEM
from tests.actors import make_cast
from tests.apps.blueprints.test_concurrency import overlap
from tests.git.serving import listed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SOURCES, ADDRESS = listed(9), "http://127.0.0.1:9/r"


@pytest.fixture
def acts():
    cast, key = make_cast(), X25519PrivateKey.generate()
    facts = {"slug": "ledger", "name": "Ledger", "kind": "git", "location": ADDRESS}
    source = add_source(actor=SYSTEM, owner=cast.team, sources=SOURCES, **facts)

    def give(name):
        return lambda: set_source_credential(
            actor=cast.member, source=deepcopy(source), kind="basic", secret=Secret(b"a-token-of-" + name.encode()),
            public_key=key.public_key(), key_id=name,
        )  # fmt: skip

    return {
        "ana": give("ana"),
        "ben": give("ben"),
        "move": lambda: change_source(actor=SYSTEM, source=deepcopy(source), location=f"{ADDRESS}2", sources=SOURCES),
        "remove": lambda: remove_source(actor=SYSTEM, source=deepcopy(source), reason="Old."),
    }


@pytest.mark.parametrize("order", [("ana", "ben"), ("ben", "ana")])
def test_of_two_who_set_it_the_last_counts(acts, order):
    overlap(*(acts[name] for name in order))
    assert SourceCredential.objects.get().key_id == order[1]


@pytest.mark.parametrize(("order", "address"), [(("ana", "move"), None), (("move", "ana"), f"{ADDRESS}2")])
def test_what_is_set_while_a_source_moves_is_for_where_it_is(acts, order, address):
    overlap(*(acts[name] for name in order))
    assert SourceCredential.objects.values_list("address", flat=True).first() == address


def test_what_is_set_while_a_source_goes_goes_too(acts):
    overlap(acts["ana"], acts["remove"])
    assert not SourceCredential.objects.exists()
