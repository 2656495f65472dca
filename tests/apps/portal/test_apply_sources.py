"""`./manage.py apply` and context: a file's documents are all there is, are read once, and a plan names each of them."""

import io
import zipfile
from dataclasses import replace

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from dulwich import porcelain

from audit.models import Event
from portal.sources import repository_sources
from registry.context.fetching import fetch
from registry.context.models import Document, Import, ImportItem, Source
from registry.context.working import waiting_imports, work_on
from tests.actors import make_cast
from tests.apps.classification.repositories import make_repository

pytestmark = pytest.mark.django_db(transaction=True)

HEAD = "apply: 1\nsources:\n  - slug: runbooks\n    owner: ledger\n    name: Runbooks\n"
PAY = '      - {path: pay.md, text: "# Paying\\n\\nInvoices are paid on Fridays."}\n'
REST = '      - {path: rest.md, text: "# Rest\\n\\nNobody works on Sundays here."}\n'
INLINE = f"{HEAD}    documents:\n{PAY}{REST}"
FROM = f"{HEAD}    from: ../notes\n"
NOTE = "# Note\n\nThis note stands in a folder beside the catalog.\n"


@pytest.fixture
def cast(installation):
    return make_cast()


@pytest.fixture
def top(tmp_path):
    """Returns the directory that is applied, with a folder for the catalog and one for notes."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "notes").mkdir()
    return tmp_path


@pytest.fixture
def apply(top, capsys):
    """Returns a function: what the file says, options -> the lines of the report."""

    def run(text, *options):
        (top / "catalog" / "sources.yaml").write_text(text, encoding="utf-8")
        call_command("apply", str(top), *options)
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def refused(top, apply, capsys):
    """Returns a function: what the file says -> the faults, after nothing was changed."""

    def run(text):
        before = counts()
        with pytest.raises(CommandError):
            apply(text)
        assert counts() == before
        return capsys.readouterr().err.splitlines()

    return run


def counts():
    return [kind.objects.count() for kind in (Source, Document, Import, ImportItem, Event)]


def read_all():
    for number in waiting_imports():
        while work_on(number, seconds=60):
            pass


def held():
    return set(Document.objects.values_list("source__slug", "path"))


def test_a_source_is_made_with_its_documents_and_a_plan_says_the_same(cast, apply):
    before = counts()
    planned = apply(INLINE + "    sensitivity: confidential\n", "--plan")
    assert counts() == before
    said = apply(INLINE + "    sensitivity: confidential\n")
    assert said[:-1] == planned[:-1] == [
        "+ source ledger/runbooks",
        "+ document ledger/runbooks/pay.md",
        "+ document ledger/runbooks/rest.md",
    ]  # fmt: skip
    assert (said[-1], planned[-1]) == ("3 changed, 1 entries", "3 would change, 1 entries")
    read_all()
    assert held() == {("runbooks", "pay.md"), ("runbooks", "rest.md")}
    assert set(Document.objects.values_list("sensitivity", flat=True)) == {2}


def test_applied_again_it_changes_nothing_whether_or_not_a_worker_has_read(cast, apply):
    apply(INLINE)
    for _ in range(2):
        before = counts()
        assert apply(INLINE) == ["0 changed, 1 entries"]
        assert counts() == before
        read_all()


def test_what_differs_is_read_and_what_is_left_out_goes(cast, apply):
    apply(INLINE)
    read_all()
    text = INLINE.replace("Fridays", "Mondays").replace(REST, "").replace("Runbooks", "Run books")
    assert apply(text) == [
        "~ source ledger/runbooks: name 'Runbooks' -> 'Run books'",
        "~ document ledger/runbooks/pay.md",
        "- document ledger/runbooks/rest.md",
        "3 changed, 1 entries",
    ]
    assert apply(text) == ["0 changed, 1 entries"]
    read_all()
    assert apply(text) == ["0 changed, 1 entries"]
    assert held() == {("runbooks", "pay.md")}


def test_a_source_without_documents_keeps_those_that_it_has(cast, apply):
    apply(INLINE)
    read_all()
    assert apply(HEAD) == ["0 changed, 1 entries"]
    assert apply(f"{HEAD}    documents: []\n")[:2] == [
        "- document ledger/runbooks/pay.md",
        "- document ledger/runbooks/rest.md",
    ]


def test_what_could_not_be_read_is_not_tried_again_until_it_is_another(cast, apply):
    empty = f'{HEAD}    documents:\n      - {{path: empty.md, text: " "}}\n'
    assert apply(empty)[1] == "+ document ledger/runbooks/empty.md"
    read_all()
    assert ImportItem.objects.get().state == "failed"
    assert apply(empty) == ["0 changed, 1 entries"]
    assert apply(empty.replace('" "', '"Words."'))[0] == "+ document ledger/runbooks/empty.md"


def test_a_folder_is_read_from_where_the_file_stands(cast, apply, top):
    (top / "notes" / "deep").mkdir()
    (top / "notes" / "deep" / "a.md").write_text(NOTE, encoding="utf-8")
    (top / "notes" / "photo.png").write_bytes(b"x")
    assert apply(FROM)[1] == "+ document ledger/runbooks/deep/a.md"
    read_all()
    assert apply(FROM) == ["0 changed, 1 entries"]
    (top / "notes" / "deep" / "a.md").unlink()
    assert apply(FROM)[0] == "- document ledger/runbooks/deep/a.md"


def test_a_file_can_be_an_archive(cast, apply, top):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.md", NOTE)
        archive.writestr("b.md", NOTE + "More.\n")
    (top / "wiki.zip").write_bytes(file.getvalue())
    text = HEAD + "    from: ../wiki.zip\n    kind: export\n"
    assert apply(text)[1:3] == [
        "+ document ledger/runbooks/wiki.zip/a.md",
        "+ document ledger/runbooks/wiki.zip/b.md",
    ]
    read_all()
    assert apply(text) == ["0 changed, 1 entries"]


def test_a_checkout_is_read_by_what_was_committed(cast, apply, top):
    (top / "notes" / "a.md").write_text(NOTE, encoding="utf-8")
    repository = porcelain.init(str(top / "notes"))
    porcelain.add(repository, [str(top / "notes" / "a.md")])
    porcelain.commit(repository, message=b"One", author=b"A <a@example.test>", committer=b"A <a@example.test>")
    (top / "notes" / "later.md").write_text(NOTE, encoding="utf-8")
    assert apply(FROM)[1:] == ["+ document ledger/runbooks/a.md", "2 changed, 1 entries"]
    read_all()
    assert Source.objects.get().commit == repository.head().decode()
    assert apply(FROM) == ["0 changed, 1 entries"]


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("    documents: [{path: ../a.md, text: x}]\n", "6:5: “../a.md”: Its path leads out of its source"),
        ("    documents: [{path: a.mp4, text: x}]\n", "6:5: “a.mp4”: Its format is not one that is read."),
        ("    documents: [{path: a.md}]\n", "6:5: “documents” is a list of documents, each with a path and a text."),
        ("    documents: [{path: a.md, text: x}, {path: a.md, text: y}]\n", "6:5: “documents” is a list of documents, each path once."),
        ("    documents: a\n", "6:5: “documents” is a list of documents"),
        ("    documents: []\n    from: ../notes\n", "7:5: Say either “documents” or “from”."),
        ("    from: ../../\n", "6:5: It leads out of the directory that is applied."),
        ("    from: /etc\n", "6:5: It leads out of the directory that is applied."),
        ("    from: link\n", "6:5: It leads out of the directory that is applied."),
        ("    from: nowhere\n", "6:5: There is nothing at “nowhere”."),
        ("    kind: ftp\n", "6:5: “kind” is one of files, git, export."),
        ("    sensitivity: 3\n", "6:5: “sensitivity” is one of public"),
        ("    colour: red\n", "6:5: There is no “colour” here;"),
    ],
)  # fmt: skip
def test_a_fault_names_its_line_and_nothing_is_changed(cast, top, refused, more, fault):
    (top / "catalog" / "link").symlink_to("/etc")
    (said,) = refused(HEAD + more)
    assert said.startswith(f"catalog/sources.yaml:{fault}"), said


def test_every_document_at_fault_is_told(cast, top, refused):
    (top / "notes" / "large.md").write_bytes(b"x" * 4_000_001)
    (top / "notes" / "long.txt").write_bytes(b"y" * 4_000_001)
    (top / "notes" / "a.md").write_text(NOTE, encoding="utf-8")
    assert [line.split("“")[1].split("”")[0] for line in refused(FROM)] == ["large.md", "long.txt"]


def test_owner_and_kind_stay(cast, apply, refused):
    apply(INLINE)
    assert "It is files." in refused(HEAD + "    kind: git\n")[0]
    assert "“nowhere”" in refused(HEAD.replace("owner: ledger", "owner: nowhere"))[0]


def test_what_is_being_read_is_not_begun_again(cast, apply, refused):
    apply(INLINE)
    assert "is being read already" in refused(INLINE.replace("Fridays", "Mondays"))[0]


def test_a_repository_is_fetched_once_and_stays(cast, apply, refused, top, monkeypatch):
    repository = make_repository(top / "notes", {"pay.md": "# Paying\n\nOn Fridays.\n"})
    monkeypatch.setattr(settings, "HANSE", replace(settings.HANSE, repository_roots=(top,)))
    text = f"{HEAD}    kind: git\n    location: {repository.as_uri()}\n"
    assert apply(text, "--plan")[:-1] == apply(text)[:-1] != []
    (number,) = waiting_imports(is_staged=False)
    fetch(number, repository_sources())
    read_all()
    assert held() == {("runbooks", "pay.md")}
    assert apply(text)[-1].startswith("0 changed")
    assert waiting_imports(is_staged=False) == []
    assert any("10.0.0.1" in line for line in refused(f"{HEAD}    kind: git\n    location: https://10.0.0.1/x.git\n"))
