"""Imports: a document that fails blocks nothing, a worker that dies loses nothing, and only the holder writes."""

from datetime import timedelta

import pytest
import time_machine

from kernel import clock
from kernel.errors import Conflict, Forbidden, PreconditionFailed
from registry.context import keeping, queries, working
from registry.context.models import Chunk, Document, Import, ImportItem
from registry.context.services.imports import begin_import, cancel_import, pause_import, resume_import, retry_import
from registry.context.working import claim, waiting_imports, work_on
from tenants.principals import SYSTEM
from tests.apps.context.bringing import begin, entry, read, source

pytestmark = pytest.mark.django_db

GOOD = {
    f"{name}.md": f"# {name}\n\nWhat {name} does is written down here, in full.\n" for name in ("one", "two", "three")
}


def states(row):
    return dict(row.items.values_list("path", "state"))


def test_a_document_that_cannot_be_read_says_why_and_the_others_are_read(cast):
    row = read(source(cast.team), {**GOOD, "bad.md": b"\x00\x01\x02\x03" * 50, "picture.png": b"x", "empty.md": ""})
    assert states(row) == dict.fromkeys(GOOD, "done") | {
        "bad.md": "failed",
        "picture.png": "failed",
        "empty.md": "failed",
    }
    faults = dict(row.items.filter(state="failed").values_list("path", "fault"))
    assert "not text" in faults["bad.md"]
    assert "format" in faults["picture.png"]
    assert "no text" in faults["empty.md"]
    assert row.state == "done"
    progress = queries.progress_of(SYSTEM, [row])[row.pk]
    assert (progress["done"], progress["failed"], progress["waiting"], progress["total"]) == (3, 3, 0, 6)


def test_bytes_are_dropped_as_soon_as_they_were_read(cast):
    row = read(source(cast.team), {**GOOD, "bad.md": b"\x00\x01" * 99})
    assert set(row.items.filter(content__isnull=False).values_list("path", flat=True)) == {"bad.md"}
    read(row.source, GOOD)
    assert not row.items.filter(content__isnull=False).exists()


def test_what_is_as_it_was_is_not_read_again(cast):
    place = source(cast.team)
    read(place, GOOD)
    before = dict(Chunk.objects.values_list("uid", "digest"))
    row = read(
        place, {**GOOD, "two.md": "# two\n\nIt is another text now, and says so at some length.\n"}, is_whole=True
    )
    assert (row.unchanged, states(row)) == (2, {"two.md": "done"})
    after = dict(Chunk.objects.values_list("uid", "digest"))
    assert len(before.items() & after.items()) == 2


def test_a_source_is_at_a_commit_only_when_everything_of_it_was_read(cast):
    place = source(cast.team)
    read(place, {**GOOD, "bad.md": b"\x00\x01" * 99}, commit="a" * 40)
    place.refresh_from_db()
    assert place.commit == ""
    read(place, {"bad.md": "# Good\n\nIt can be read now, in full.\n"}, commit="b" * 40)
    place.refresh_from_db()
    assert place.commit == "b" * 40


def test_what_is_missing_from_a_whole_reading_is_gone_and_from_a_part_is_not(cast):
    place = source(cast.team)
    read(place, GOOD)
    read(place, {"one.md": GOOD["one.md"]})
    assert Document.objects.filter(source=place).count() == 3
    read(place, {"one.md": GOOD["one.md"]}, is_whole=True)
    assert [document.path for document in Document.objects.filter(source=place)] == ["one.md"]
    assert Chunk.objects.filter(source=place).count() == 1


def test_a_source_is_read_by_one_import_at_a_time(cast):
    place = source(cast.team)
    begin(place, GOOD)
    with pytest.raises(Conflict, match="being read already"):
        begin(place, GOOD)
    begin(source(cast.team, "other"), GOOD)


def test_paused_is_left_alone_resumed_goes_on_and_cancelled_drops_what_waited(cast):
    row = begin(source(cast.team), GOOD)
    row = pause_import(actor=cast.member, row=row)
    assert row.pk not in waiting_imports()
    assert not work_on(row.pk, seconds=9)
    assert set(states(row).values()) == {"waiting"}
    row = resume_import(actor=cast.member, row=row)
    assert row.pk in waiting_imports()
    row = cancel_import(actor=cast.member, row=row)
    assert set(states(row).values()) == {"cancelled"}
    assert not row.items.filter(content__isnull=False).exists()
    assert not work_on(row.pk, seconds=9)
    for act in (pause_import, resume_import, cancel_import):
        with pytest.raises(Conflict):
            act(actor=cast.member, row=row)


def test_what_failed_can_be_tried_again_and_what_was_refused_cannot(cast, monkeypatch):
    def fail(path, content):
        raise keeping.Unreadable("The disk is full.")

    place = source(cast.team)
    with monkeypatch.context() as patched:
        patched.setattr(working, "read_document", fail)
        row = read(place, GOOD)
    assert set(states(row).values()) == {"failed"}
    row = retry_import(actor=cast.member, row=row)
    assert not work_on(row.pk, seconds=60)
    assert set(states(row).values()) == {"done"}
    refused = begin_import(actor=SYSTEM, source=place, entries=[entry("../up.md", "# up\n\nout of it")])
    work_on(refused.pk, seconds=9)
    with pytest.raises(Conflict, match="bring the documents anew"):
        retry_import(actor=cast.member, row=refused)


def test_who_may_import(cast):
    place = source(cast.team)
    for actor in (cast.reviewer, cast.outsider, cast.stranger):
        with pytest.raises(Forbidden):
            begin_import(actor=actor, source=place, entries=[])
    row = begin(place, GOOD)
    for act in (pause_import, cancel_import, retry_import):
        with pytest.raises(Forbidden):
            act(actor=cast.outsider, row=row)
    with pytest.raises(PreconditionFailed):
        pause_import(actor=cast.member, row=row, expected_version=7)


def test_a_worker_that_lost_its_import_writes_nothing(cast, monkeypatch):
    row = begin(source(cast.team), GOOD)
    original = working.read_document

    def lose(path, content):
        Import.objects.filter(pk=row.pk).update(fence=99)
        return original(path, content)

    monkeypatch.setattr(working, "read_document", lose)
    assert not work_on(row.pk, seconds=60)
    assert not Document.objects.exists()
    assert set(states(row).values()) == {"waiting"}


def test_a_worker_that_died_is_followed_by_another_when_its_time_is_over(cast):
    row = begin(source(cast.team), GOOD)
    assert claim(row.pk) == 1
    assert claim(row.pk) is None
    assert row.pk not in waiting_imports()
    with time_machine.travel(clock.now() + working.LEASE + timedelta(seconds=1), tick=True):
        assert row.pk in waiting_imports()
        assert not work_on(row.pk, seconds=60)
    assert set(states(row).values()) == {"done"}
    row.refresh_from_db()
    assert (row.state, row.fence) == ("done", 2)


def test_a_document_that_ends_its_worker_again_and_again_is_left_out(cast):
    row = begin(source(cast.team), GOOD)
    ImportItem.objects.filter(of=row, path="two.md").update(attempts=working.MAX_ATTEMPTS)
    assert not work_on(row.pk, seconds=60)
    assert states(row) == dict.fromkeys(GOOD, "done") | {"two.md": "failed"}
    assert "ended the worker" in row.items.get(path="two.md").fault


def test_an_import_without_time_gives_itself_back(cast):
    row = begin(source(cast.team), GOOD)
    assert work_on(row.pk, seconds=0)
    row.refresh_from_db()
    assert (row.state, row.leased_until) == ("queued", None)


def test_one_message_names_what_an_archive_has_that_is_no_path(cast):
    place = source(cast.team)
    bad = ["../../etc/passwd.md", "/abs.md", "a//b.md", "c\\d.md", "./e.md", "x" * 600 + ".md"]
    row = begin_import(actor=SYSTEM, source=place, entries=[entry(path, "# a\n\ntext of it") for path in bad])
    work_on(row.pk, seconds=9)
    assert row.items.count() == len(bad)
    assert not Document.objects.exists()
    assert all("path" in fault for fault in row.items.values_list("fault", flat=True))
