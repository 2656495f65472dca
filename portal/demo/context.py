"""Reads the estate's documents into its context, lets one agent learn something, and lets it ask something in vain."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from kernel import clock
from kernel.ids import new_uid
from portal.demo.documents import LEARNED, SOURCES, LearnedPlan, SourcePlan
from registry.asking import Asking
from registry.context.entries import Entry
from registry.context.services.gaps import note_gap
from registry.context.services.imports import begin_import
from registry.context.services.memories import propose_memory
from registry.context.services.sources import add_source
from registry.context.working import work_on
from tenants.models import Person, Tenant
from tenants.principals import SYSTEM, principal_of
from tenants.queries import delegations, one_of, reach_of

_SECONDS: Final = 60
_AGED: Final = timedelta(days=11)
"""How much older each document is than the one before it, so that freshness has something to show."""


def load_context(tenants: Mapping[str, Tenant], people: Mapping[str, Person]) -> None:
    """Reads every source whole, as a worker would, and leaves a fact and a question waiting in one team."""
    for plan in SOURCES:
        _read(plan, tenants[plan.owner], people[plan.by])
    _learn(LEARNED)


def _read(plan: SourcePlan, owner: Tenant, person: Person) -> None:
    actor, now = principal_of(person), clock.now()
    source = add_source(
        actor=actor,
        owner=owner,
        slug=plan.slug,
        name=plan.name,
        location=plan.location,
        sensitivity=plan.sensitivity,
    )
    entries = [
        Entry(path=path, content=text.encode(), changed_at=now - place * _AGED)
        for place, (path, text) in enumerate(plan.documents.items())
    ]
    row = begin_import(actor=actor, source=source, entries=entries)
    while work_on(row.pk, seconds=_SECONDS):
        pass


def _learn(plan: LearnedPlan) -> None:
    held = delegations(SYSTEM).filter(agent__slug=plan.agent)
    delegation = one_of(held, "delegation", person__handle=plan.person)
    reach = reach_of(delegation.team)
    asking = Asking(
        call=str(new_uid()),
        person=delegation.person,
        agent=delegation.agent,
        delegation=delegation,
        team=delegation.team,
        owners=reach,
        ceiling=delegation.sensitivity_ceiling,
        viewer=principal_of(delegation.person),
    )
    note_gap(asking=asking, question=plan.asked)
    propose_memory(asking=asking, statement=plan.statement, evidence=plan.evidence, tags=plan.tags)
