"""`context ingest` and `context search`, as somebody types them."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from dulwich import porcelain

from registry.context.models import Document, Source

pytestmark = pytest.mark.django_db

WHO = {"author": b"A <a@example.test>", "committer": b"A <a@example.test>"}


def run(*words):
    out = StringIO()
    try:
        call_command("context", *map(str, words), stdout=out, stderr=out)
        code = 0
    except SystemExit as ended:
        code = ended.code
    return code, out.getvalue()


def test_files_are_read_and_found(cast, tmp_path):
    (tmp_path / "keys.md").write_text("# Keys\n\nSigning keys are rotated each quarter.\n")
    (tmp_path / "bad.md").write_bytes(b"\0\1" * 99)
    (tmp_path / ".hidden.md").write_text("# Hidden\n\nrotated\n")
    (tmp_path / "picture.png").write_bytes(b"png")
    code, said = run("ingest", tmp_path, "--team", "ledger", "--source", "notes", "--json")
    told = json.loads(said)
    assert (code, told["failed"], [fault["path"] for fault in told["faults"]]) == (1, 1, ["bad.md"])
    code, said = run("search", "rotated keys", "--team", "ledger", "--mode", "text", "--json")
    hit = next(hit for hit in json.loads(said)["hits"] if hit["path"] == "keys.md")
    assert (code, hit["source"], hit["owner"], hit["tier"], hit["line"]) == (0, "notes", "ledger", "team", 3)
    assert "Nothing was found" in run("search", "rotated keys", "--team", "rival", "--mode", "text")[1]


def test_a_checkout_is_read_by_its_commits(cast, tmp_path):
    repository = porcelain.init(tmp_path)
    (tmp_path / "a.md").write_text("# A\n\nThe first text of all.\n")
    (tmp_path / "b.md").write_text("# B\n\nThe second text of all.\n")
    porcelain.add(repository)
    first = porcelain.commit(repository, message=b"One", **WHO)
    assert run("ingest", tmp_path, "--team", "ledger", "--source", "code") == (
        0,
        "done 2, total 2\n  2 chunks have no vector and are found by their words alone\n",
    )
    assert Source.objects.get().commit == first.decode()
    (tmp_path / "a.md").write_text("# A\n\nAnother text, at last.\n")
    (tmp_path / "b.md").unlink()
    (tmp_path / "c.md").write_text("# C\n\nIt is not committed.\n")
    porcelain.add(repository, paths=["a.md"])
    porcelain.remove(repository, paths=["b.md"])
    second = porcelain.commit(repository, message=b"Two", **WHO)
    assert run("ingest", tmp_path, "--team", "ledger", "--source", "code")[1].startswith("done 2, total 2\n")
    assert list(Document.objects.values_list("path", "commit")) == [("a.md", second.decode())]
    assert run("ingest", tmp_path, "--team", "ledger", "--source", "code")[1].startswith("total 0\n")


def test_what_cannot_be_done_says_so(cast, tmp_path):
    from kernel.errors import DomainError

    for words in [("ingest", tmp_path / "none", "--team", "ledger"), ("search", "x", "--team", "nobody")]:
        with pytest.raises(DomainError):
            run(*words)
    porcelain.init(tmp_path)
    with pytest.raises(DomainError, match="no commit yet"):
        run("ingest", tmp_path, "--team", "ledger")
    (tmp_path / "set.json").write_text("[]")
    with pytest.raises(DomainError, match="must hold"):
        run("evaluate", tmp_path / "set.json")
    with pytest.raises(CommandError, match="cannot be read"):
        run("evaluate", tmp_path / "no.json")
