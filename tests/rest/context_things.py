"""What each team has of context: a source that was read, one that is being read, an inbox, and a question in vain."""

from dataclasses import dataclass

from kernel.ids import new_uid
from registry.asking import Asking
from registry.context.memories import Gap, Memory
from registry.context.models import Document, Import, Source
from registry.context.services.gaps import note_gap
from registry.context.services.memories import propose_memory
from tenants.models import Delegation, Tenant
from tenants.principals import Principal, principal_of
from tenants.queries import reach_of
from tenants.rules import Sensitivity
from tests.apps.context import bringing

SECRET = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"
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
    reading: Import
    memory: Memory
    gap: Gap


def make_context(team: Tenant, delegation: Delegation) -> Context:
    source = bringing.source(team, f"{team.slug}-runbooks")
    read = bringing.read(source, {"restart.md": TEXT.format(team.name), "photo.png": b"x"})
    source.refresh_from_db()
    busy = bringing.source(team, f"{team.slug}-wiki")
    reading = bringing.begin(busy, {f"page{n}.md": f"# Page {n}\n\nIt waits to be read.\n" for n in range(3)})
    asking = asking_of(delegation)
    memory, _ = propose_memory(
        asking=asking, statement=f"The queue of {team.name} drains slowly.", evidence="Seen twice."
    )
    note_gap(asking=asking, question=f"How is {team.name} paid?")
    document = Document.objects.get(source=source)
    return Context(source, read, document, busy, reading, memory, Gap.objects.get(owner=team))


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
