"""Documents out of git repositories: fetched by a worker, by commit, and never from inside the network."""

from datetime import timedelta

import pytest

from kernel import clock
from kernel.errors import Conflict, Forbidden, Invalid
from registry.addresses import AddressPolicy
from registry.context import fetching
from registry.context.fetching import fetch
from registry.context.models import Document, Import, ImportItem, Source
from registry.context.services.imports import (
    begin_fetch,
    begin_import,
    cancel_import,
    pause_import,
    resume_import,
    retry_import,
)
from registry.context.services.sources import add_source, change_source
from registry.context.tasks import refresh_sources
from registry.context.working import claim, waiting_imports, work_on
from registry.git.fetching import Sources
from tenants.principals import SYSTEM
from tests.apps.classification.repositories import PERSON, make_repository, run_git
from tests.git.serving import listed, serving

DOCUMENTS = {
    "README.md": "# Ledger\n\nHow the ledger is kept.\n",
    "docs/adr/0001-queue.md": "# Queue\n\nWe chose a queue for the entries.\n",
    "src/app.py": '"""The application."""\n\n# Entries are never removed, because auditors ask for them.\n',
    "data.json": '{"not": "an API"}\n',
    "logo.png": "not text",
}


@pytest.fixture
def place(tmp_path):
    return make_repository(tmp_path / "ledger", DOCUMENTS)


@pytest.fixture
def sources(tmp_path):
    return Sources(AddressPolicy(), (tmp_path,))


@pytest.fixture
def source(cast, place, sources):
    return add_source(
        actor=SYSTEM,
        owner=cast.team,
        slug="ledger",
        name="Ledger",
        kind="git",
        location=place.as_uri(),
        sources=sources,
    )


def read(source, sources):
    row = begin_fetch(actor=SYSTEM, source=source, sources=sources)
    fetch(row.pk, sources)
    while work_on(row.pk, seconds=60):
        pass
    row.refresh_from_db()
    source.refresh_from_db()
    return row


def paths(source):
    return set(Document.objects.filter(source=source).values_list("path", flat=True))


def test_a_repository_is_read_as_a_whole_and_then_by_what_changed(source, sources, place):
    first = read(source, sources)
    head = run_git(place, "rev-parse", "HEAD")
    assert (first.state, first.fault, source.commit, first.commit) == ("done", "", head, head)
    assert paths(source) == {"README.md", "docs/adr/0001-queue.md", "src/app.py"}
    assert {row.commit for row in Document.objects.filter(source=source)} == {head}

    (place / "docs/adr/0001-queue.md").unlink()
    make_repository(place, {"README.md": "# Ledger\n\nIt is kept otherwise.\n", "docs/new.md": "# New\n\nNew.\n"})
    second = read(source, sources)
    assert set(second.items.values_list("path", "is_removal")) == {
        ("README.md", False),
        ("docs/new.md", False),
        ("docs/adr/0001-queue.md", True),
    }
    assert paths(source) == {"README.md", "docs/new.md", "src/app.py"}
    assert source.commit == run_git(place, "rev-parse", "HEAD") != head

    third = read(source, sources)
    assert (third.state, third.items.count()) == ("done", 0)


def test_a_document_is_as_fresh_as_its_last_change_and_not_as_the_repository(source, sources, place, monkeypatch):
    for day, files in (("03", {"a/old.md": "# Old\n\nOld.\n"}), ("05", {"a/new.md": "# New\n\nNew.\n"})):
        monkeypatch.setitem(PERSON, "DATE", f"2024-02-{day}T10:00:00Z")
        make_repository(place, files)
    read(source, sources)
    days = dict(Document.objects.filter(source=source, path__startswith="a/").values_list("path", "changed_at"))
    assert {path: at.date().isoformat() for path, at in days.items()} == {
        "a/old.md": "2024-02-03",
        "a/new.md": "2024-02-05",
    }


def test_a_rewritten_history_is_read_as_a_whole(source, sources, place):
    read(source, sources)
    run_git(place, "checkout", "-q", "--orphan", "anew")
    run_git(place, "rm", "-q", "-r", "--cached", "docs")
    run_git(place, "commit", "-q", "-m", "anew")
    run_git(place, "branch", "-q", "-M", "anew", "main")
    row = read(source, sources)
    assert row.state == "done"
    assert paths(source) == {"README.md", "src/app.py"}


def test_what_was_read_by_an_older_reading_is_read_again(source, sources):
    read(source, sources)
    Document.objects.filter(source=source, path="README.md").update(reading=0)
    row = read(source, sources)
    assert [item.path for item in row.items.all()] == ["README.md"]


def test_it_is_fetched_over_http_from_what_the_operator_listed(cast, place):
    with serving({"/ledger.git": place}) as port:
        sources = listed(port)
        url = f"http://127.0.0.1:{port}/ledger.git"
        source = add_source(
            actor=SYSTEM, owner=cast.team, slug="web", name="Web", kind="git", location=url, sources=sources
        )
        assert read(source, sources).state == "done"
    assert "README.md" in paths(source)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x.git",
        "https://169.254.169.254/latest",
        "https://[::1]/x.git",
        "file:///etc",
        "ssh://git@127.0.0.1/x",
        "https://10.0.0.1/x.git",
        "",
    ],
)
def test_an_address_inside_the_network_is_refused_at_its_field(cast, url, sources):
    with pytest.raises(Invalid) as refused:
        add_source(actor=SYSTEM, owner=cast.team, slug="in", name="In", kind="git", location=url, sources=sources)
    assert list(refused.value.errors) == ["location"]
    assert not Source.objects.filter(slug="in").exists()


def test_what_led_elsewhere_later_is_refused_when_it_is_fetched(source, sources, place):
    outside = Sources(AddressPolicy(), ())
    row = begin_fetch(actor=SYSTEM, source=source, sources=sources)
    assert fetch(row.pk, outside) is False
    row.refresh_from_db()
    assert row.state == "failed"
    assert row.fault
    with pytest.raises(Invalid):
        begin_fetch(actor=SYSTEM, source=source, sources=outside)


def test_a_repository_that_is_gone_ends_its_import_and_can_be_tried_again(source, sources, place):
    row = begin_fetch(actor=SYSTEM, source=source, sources=sources)
    hidden = place.rename(place.with_name("moved"))
    assert fetch(row.pk, sources) is False
    row.refresh_from_db()
    assert (row.state, row.fault != "", row.ended_at is not None) == ("failed", True, True)
    hidden.rename(place)
    row = retry_import(actor=SYSTEM, row=row)
    assert (row.state, row.fault) == ("queued", "")
    assert waiting_imports(is_staged=False) == [row.pk]
    assert fetch(row.pk, sources) is True
    while work_on(row.pk, seconds=60):
        pass
    row.refresh_from_db()
    assert row.state == "done"


def test_an_import_that_waits_for_its_repository_is_nobody_elses(source, sources):
    row = begin_fetch(actor=SYSTEM, source=source, sources=sources)
    assert waiting_imports() == []
    assert work_on(row.pk, seconds=1) is False
    assert claim(row.pk) is None
    with pytest.raises(Conflict):
        begin_fetch(actor=SYSTEM, source=source, sources=sources)
    with pytest.raises(Conflict):
        begin_import(actor=SYSTEM, source=source, entries=[])


def test_a_fetch_that_was_paused_or_cancelled_meanwhile_writes_nothing(source, sources, monkeypatch):
    row = begin_fetch(actor=SYSTEM, source=source, sources=sources)
    row = pause_import(actor=SYSTEM, row=row)
    assert fetch(row.pk, sources) is False
    row = resume_import(actor=SYSTEM, row=row)

    def stop(*given, **named):
        cancel_import(actor=SYSTEM, row=Import.objects.get(pk=row.pk))
        return real(*given, **named)

    real = fetching.from_clone
    monkeypatch.setattr(fetching, "from_clone", stop)
    assert fetch(row.pk, sources) is False
    row.refresh_from_db()
    assert (row.state, ImportItem.objects.filter(of=row).count()) == ("cancelled", 0)


def test_a_repository_that_ends_its_worker_again_and_again_is_given_up(source, sources):
    row = begin_fetch(actor=SYSTEM, source=source, sources=sources)
    Import.objects.filter(pk=row.pk).update(attempts=3)
    assert fetch(row.pk, sources) is False
    row.refresh_from_db()
    assert row.state == "failed"
    assert "3 times" in row.fault


def test_a_repository_that_moved_is_read_as_a_whole(source, sources, tmp_path):
    read(source, sources)
    other = make_repository(tmp_path / "other", {"OTHER.md": "# Other\n\nOther.\n"})
    moved = change_source(actor=SYSTEM, source=source, location=other.as_uri(), sources=sources)
    assert moved.commit == ""
    read(moved, sources)
    assert paths(source) == {"OTHER.md"}


def test_only_a_repository_is_fetched_and_only_by_who_contributes(cast, source, sources):
    files = add_source(actor=SYSTEM, owner=cast.team, slug="files", name="Files")
    with pytest.raises(Conflict):
        begin_fetch(actor=SYSTEM, source=files, sources=sources)
    with pytest.raises(Forbidden):
        begin_fetch(actor=cast.outsider, source=source, sources=sources)
    with pytest.raises(Invalid):
        add_source(actor=SYSTEM, owner=cast.team, slug="branchy", name="Branchy", branch="main")


def test_a_link_is_not_followed(source, sources, place):
    (place / "leak.md").symlink_to("/etc/passwd")
    run_git(place, "add", ".")
    run_git(place, "commit", "-q", "-m", "a link")
    read(source, sources)
    assert "leak.md" not in paths(source)


def test_a_repository_is_looked_at_again_every_day(source, sources, place, settings, monkeypatch, time_machine):
    monkeypatch.setattr("portal.sources.repository_sources", lambda: sources)
    refresh_sources()
    assert source.imports.count() == 0  # nobody has read it yet
    read(source, sources)
    refresh_sources()
    assert source.imports.count() == 1
    later = clock.now() + timedelta(days=1, seconds=1)
    time_machine.move_to(later, tick=False)
    refresh_sources()
    assert [(row.state, row.is_staged) for row in source.imports.all()] == [("queued", False), ("done", True)]
    refresh_sources()
    assert source.imports.count() == 2
    cancel_import(actor=SYSTEM, row=source.imports.first())
    place.rename(place.with_name("gone"))
    time_machine.move_to(later + timedelta(days=2), tick=False)
    refresh_sources()
    assert source.imports.count() == 2
