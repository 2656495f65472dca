"""What each team has of context: a source that was read, one that is being read, an inbox, and a question in vain."""

from dataclasses import dataclass

from kernel.ids import new_uid
from kernel.secrets import Secret
from portal.keyring import repository_key
from registry.addresses import AddressPolicy
from registry.asking import Asking
from registry.context.memories import Gap, Memory
from registry.context.models import Document, Import, Source
from registry.context.services.credentials import set_source_credential
from registry.context.services.gaps import note_gap
from registry.context.services.memories import propose_memory
from registry.context.services.sources import add_source
from registry.git.fetching import Sources
from tenants.models import Delegation, Tenant
from tenants.principals import SYSTEM, Principal, principal_of
from tenants.queries import reach_of
from tenants.rules import Sensitivity
from tests.apps.context import bringing

SECRET = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"
UPSTREAM = "127.0.0.1:9"
REPOSITORY_SECRET = "swordfish-of-a-repository"
STEPS = "\n\n".join(f"Step {n} of the restart looks after machine number {n} and its neighbours." for n in range(14))
TEXT = f"# Restarting\n\nThe queue of {{0}} is drained before the restart.\n\n{STEPS}\n\n# Key\n\n{SECRET}\n"
"""Long enough for three chunks: two to be found, and one that is withheld."""


@dataclass
class Context:
    """What one team has written down, and what waits for it."""

    source: Source
    read: Import
    document: Document
    busy: Source
    private: Source
    reading: Import
    memory: Memory
    gap: Gap


def make_context(team: Tenant, delegation: Delegation) -> Context:
    source = bringing.source(team, f"{team.slug}-runbooks")
    read = bringing.read(source, {"restart.md": TEXT.format(team.name), "photo.png": b"x"})
    source.refresh_from_db()
    busy = bringing.source(team, f"{team.slug}-wiki")
    reading = bringing.begin(busy, {f"page{n}.md": f"# Page {n}\n\nIt waits to be read.\n" for n in range(3)})
    private = make_private(team)
    asking = asking_of(delegation)
    memory, _ = propose_memory(
        asking=asking, statement=f"The queue of {team.name} drains slowly.", evidence="Seen twice."
    )
    note_gap(asking=asking, question=f"How is {team.name} paid?")
    document = Document.objects.get(source=source)
    return Context(source, read, document, busy, private, reading, memory, Gap.objects.get(owner=team))


def make_private(team: Tenant) -> Source:
    """Returns a source whose repository asks for credentials, with one."""
    source = add_source(
        actor=SYSTEM,
        owner=team,
        slug=f"{team.slug}-private",
        name="Private",
        kind="git",
        location=f"http://{UPSTREAM}/private",
        sources=Sources(AddressPolicy((UPSTREAM,))),
    )
    key, secret = repository_key(), Secret(REPOSITORY_SECRET.encode())
    set_source_credential(
        actor=SYSTEM, source=source, kind="basic", secret=secret, public_key=key.public, key_id=key.key_id
    )
    return source


def asking_of(delegation: Delegation) -> Asking:
    viewer: Principal = principal_of(delegation.person)
    return Asking(
        call=str(new_uid()),
        person=delegation.person,
        agent=delegation.agent,
        delegation=delegation,
        team=delegation.team,
        owners=reach_of(delegation.team),
        ceiling=Sensitivity.CONFIDENTIAL,
        viewer=viewer,
    )
