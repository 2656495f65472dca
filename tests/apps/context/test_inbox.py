"""The services and reads of the inbox and of what was asked in vain: who may, what follows, what stays bounded."""

from copy import deepcopy
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from audit.models import Event
from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid, PreconditionFailed, RateLimited
from kernel.ids import new_uid
from registry.asking import Asking
from registry.context import inbox
from registry.context.memories import Gap, Memory
from registry.context.models import Chunk, Document, Source
from registry.context.services import gaps, memories
from registry.context.services.sources import change_source
from tenants.queries import reach_of
from tenants.rules import Sensitivity
from tests.actors import make_cast, make_delegation

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made(module_rows):
    cast = make_cast()
    return cast, make_delegation(cast.member, cast.agent, "context")


@pytest.fixture
def cast(made, db):
    return deepcopy(made[0])


@pytest.fixture
def asking(made, cast):
    return Asking(
        call=str(new_uid()),
        person=cast.member.person,
        agent=cast.agent,
        delegation=deepcopy(made[1]),
        team=cast.team,
        owners=reach_of(cast.team),
        ceiling=Sensitivity.CONFIDENTIAL,
        viewer=cast.member,
    )


def propose(asking, text="The queue drains slowly.", **more):
    return memories.propose_memory(asking=asking, statement=text, **more)[0]


@pytest.mark.parametrize("role", ["admin", "lead", "reviewer"])
def test_who_reviews_for_the_team_decides(cast, asking, role):
    memory = memories.accept_memory(actor=getattr(cast, role), memory=propose(asking))
    assert (memory.state, memory.decided_by) == ("accepted", getattr(cast, role).person)
    assert memories.reject_memory(actor=getattr(cast, role), memory=propose(asking, "B."), reason="no").reason == "no"


@pytest.mark.parametrize("role", ["member", "steward", "outsider", "stranger"])
def test_nobody_else_decides(cast, asking, role):
    memory = propose(asking)
    for act in (
        lambda: memories.accept_memory(actor=getattr(cast, role), memory=memory),
        lambda: memories.reject_memory(actor=getattr(cast, role), memory=memory, reason="no"),
        lambda: memories.erase_memory(actor=getattr(cast, role), memory=memory, reason="no"),
    ):
        with pytest.raises(Forbidden):
            act()


def test_an_edited_statement_is_what_is_kept(cast, asking):
    memory = memories.accept_memory(actor=cast.reviewer, memory=propose(asking), text="The queue drains in an hour.")
    assert memory.document.chunks.get().text == "The queue drains in an hour."
    with pytest.raises(Invalid):
        memories.accept_memory(actor=cast.reviewer, memory=propose(asking, "C."), text="token = ghp_" + "a1B2" * 10)


def test_it_is_decided_once(cast, asking):
    memory = propose(asking)
    stale = deepcopy(memory)
    memories.accept_memory(actor=cast.reviewer, memory=memory, expected_version=1)
    with pytest.raises(PreconditionFailed):
        memories.reject_memory(actor=cast.lead, memory=stale, reason="no", expected_version=1)
    with pytest.raises(Conflict):
        memories.reject_memory(actor=cast.lead, memory=stale, reason="no")


def test_the_reviewer_says_how_sensitive_it_is(cast, asking):
    memory = memories.accept_memory(actor=cast.lead, memory=propose(asking), sensitivity=Sensitivity.CONFIDENTIAL)
    assert (memory.document.source.slug, memory.document.sensitivity) == ("remembered-confidential", 2)
    change_source(actor=cast.lead, source=memory.document.source, sensitivity=Sensitivity.PUBLIC)
    with pytest.raises(Conflict):
        memories.accept_memory(actor=cast.lead, memory=propose(asking, "D."), sensitivity=Sensitivity.CONFIDENTIAL)


def test_erasing_leaves_neither_statement_nor_document(cast, asking):
    memory = memories.accept_memory(actor=cast.lead, memory=propose(asking))
    memories.erase_memory(actor=cast.lead, memory=memory, reason="a person's name is in it")
    assert not Memory.objects.exists()
    assert not Document.objects.exists()
    assert not Chunk.objects.exists()


def test_every_decision_is_in_the_log_without_the_words(cast, asking):
    memories.accept_memory(actor=cast.lead, memory=propose(asking))
    found = Event.objects.filter(verb="registry.memory.accepted")
    assert len(found) == 1
    assert "drains" not in found[0].leaf


def test_the_inbox_has_a_bound(asking, monkeypatch):
    monkeypatch.setattr(memories, "MOST_WAITING", 2)
    propose(asking, "1")
    propose(asking, "2")
    with pytest.raises(RateLimited):
        propose(asking, "3")
    propose(asking, "2")  # what waits already takes no room


def test_a_statement_cannot_wait_twice_whoever_writes_it(asking):
    memory = propose(asking)
    memory.pk, memory.uid = None, new_uid()
    with pytest.raises(IntegrityError), transaction.atomic():
        memory.save(force_insert=True)


@pytest.mark.parametrize(
    "bad",
    [
        {"statement": " "},
        {"statement": "x" * 2001},
        {"statement": "a\0"},
        {"statement": "x", "tags": ["t"] * 9},
        {"statement": "x", "tags": [""]},
        {"statement": "x", "evidence": "x" * 2001},
    ],
)
def test_what_does_not_fit_is_refused(asking, bad):
    with pytest.raises(Invalid):
        memories.propose_memory(asking=asking, **bad)


def test_questions_are_bounded_expire_and_can_be_erased(cast, asking, monkeypatch):
    monkeypatch.setattr(gaps, "MOST_KEPT", 3)
    for n in range(6):
        gaps.note_gap(asking=asking, question=f"question {n}")
    assert {row.text for row in inbox.gaps(cast.member)} == {"question 3", "question 4", "question 5"}
    Gap.objects.filter(text="question 3").update(last_at=clock.now() - timedelta(days=91))
    assert gaps.expire_gaps() == 1
    with pytest.raises(Forbidden):
        gaps.forget_gap(actor=cast.outsider, gap=Gap.objects.first())
    gaps.forget_gap(actor=cast.member, gap=Gap.objects.first())
    assert gaps.forget_gaps(actor=cast.lead, owner=cast.team) == 1


def test_coverage_counts_what_is_there_and_shows_it_to_who_sees_the_tenant(cast, asking, django_assert_num_queries):
    memories.accept_memory(actor=cast.lead, memory=propose(asking))
    propose(asking, "Another.")
    gaps.note_gap(asking=asking, question="where is it")
    gaps.note_gap(asking=asking, question="where is it")
    with django_assert_num_queries(1):
        found = inbox.coverage(cast.member, [cast.team, cast.domain])
    assert found[cast.domain.pk] == inbox.Coverage()
    row = found[cast.team.pk]
    assert (row.sources, row.documents, row.chunks, row.waiting, row.remembered) == (1, 1, 1, 1, 1)
    assert (row.gaps, row.asked_in_vain, row.stale_documents) == (1, 2, 0)
    assert (row.read_at, row.changed_at) == (Source.objects.get().read_at, Document.objects.get().changed_at)
    assert inbox.coverage(cast.outsider, [cast.team]) == {}
    assert Source.objects.get().slug == "remembered"
