"""Bad input: a clear line and exit code 2, or a result that says what was not looked at. Nothing is ever executed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from blueprints.classification import history
from blueprints.classification.survey import classify
from blueprints.classification.tree import Bounds
from kernel import clock
from kernel.errors import Invalid
from tests.apps.classification.repositories import NOW, PYTHON, make_repository, report_of, run_git

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture
def repository(tmp_path):
    return make_repository(tmp_path / "repository", PYTHON)


def refused(path: Path, **options: object) -> str:
    with pytest.raises(Invalid) as error:
        classify(path, now=NOW, **options)
    assert "\n" not in error.value.message
    return error.value.message


def test_what_is_no_checkout_is_said(tmp_path, repository):
    (tmp_path / "file").touch()
    run_git(tmp_path, "clone", "-q", "--bare", str(repository), "bare")
    (tmp_path / "fake" / ".git").mkdir(parents=True)
    assert "is not a directory" in refused(tmp_path / "file")
    assert "cannot be read" in refused(tmp_path / "nowhere")
    assert "not the top of a git checkout" in refused(tmp_path)
    assert "not the top of a git checkout" in refused(repository / "tests")
    assert "bare repository" in refused(tmp_path / "bare")
    assert "no git repository" in refused(tmp_path / "fake")
    assert "two\\nlines" in refused(tmp_path / "two\nlines")
    assert "not a path" in refused(tmp_path / "nul\0")


def test_the_command_says_it_in_one_line_and_ends_with_2(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "classify", tmp_path / "no\nwhere"],
        env={**os.environ, "HANSE_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_the_command_prints_json_and_text(repository, capsys, tmp_path):
    call_command("classify", str(repository), "--json")
    said = json.loads(capsys.readouterr().out)
    assert {"pattern", "level", "signals", "missing", "commit", "rule_version"} <= said.keys()
    assert (said["pattern"], said["level"]) == ("interactive-assistant", 3)
    (tmp_path / "executed.json").write_text(json.dumps(report_of(repository, "pytest -q") | {"at": now_text()}))
    call_command("classify", str(repository), "--executed", str(tmp_path / "executed.json"))
    assert capsys.readouterr().out.startswith(f"dark-factory, level 4 (proven), commit {said['commit']}\n")


def now_text() -> str:
    return f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"


def test_links_are_never_followed(tmp_path, repository):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "test_x.py").write_text("def test_far_away():\n    assert x == 3\n")
    (repository / "out").symlink_to(tmp_path / "outside")
    (repository / "loop").symlink_to(".")
    (repository / "self").symlink_to("self")
    (repository / "CLAUDE.md").symlink_to("/etc/passwd")
    before = classify(repository, now=NOW).findings["tests.real"]
    make_repository(repository, {})
    result = classify(repository, now=NOW)
    assert result.findings["tests.real"] == before
    assert result.findings["shape.read_whole"].facts["links"] == 4
    assert result.judgement.level == 3


def test_a_folder_that_became_a_link_is_not_entered(tmp_path, repository):
    shutil.move(repository / "tests", tmp_path / "tests")
    (repository / "tests").symlink_to(tmp_path / "tests")
    result = classify(repository, now=NOW)
    assert result.findings["tests.real"].facts["cases"] == 0
    assert "tests/test_calc.py" in result.findings["checkout.clean"].facts["differing"]


def test_a_git_directory_that_is_a_link_or_points_elsewhere_is_refused(tmp_path, repository):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".git").symlink_to(repository / ".git")
    assert "a .git that is a link" in refused(tmp_path / "linked")
    (tmp_path / "pointing").mkdir()
    (tmp_path / "pointing" / ".git").write_text(f"gitdir: {repository / '.git'}\n")
    assert "points elsewhere" in refused(tmp_path / "pointing")


def test_a_checkout_cannot_borrow_another_repository(tmp_path, repository):
    own = tmp_path / "own"
    (own / "evil").mkdir(parents=True)
    (own / ".git").write_text("gitdir: evil\n")
    (own / "evil" / "HEAD").write_text("ref: refs/heads/main\n")
    (own / "evil" / "gitdir").write_text(f"{own / '.git'}\n")
    (own / "evil" / "commondir").write_text(f"{repository / '.git'}\n")
    assert "points elsewhere" in refused(own)
    linked = make_repository(tmp_path / "linked", {"a.py": "x = 1\n"})
    shutil.rmtree(linked / ".git" / "refs")
    (linked / ".git" / "refs").symlink_to(repository / ".git" / "refs")
    assert classify(linked, now=NOW).commit is None
    shutil.rmtree(linked / ".git" / "objects")
    (linked / ".git" / "objects").symlink_to(repository / ".git" / "objects")
    assert "no git repository" in refused(linked)


def test_a_worktree_that_its_repository_knows_is_classified(tmp_path, repository):
    run_git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    result = classify(tmp_path / "tree", now=NOW)
    assert (result.commit, result.judgement.level) == (run_git(repository, "rev-parse", "HEAD"), 3)


def test_no_program_that_a_repository_names_is_started(tmp_path, repository):
    trap, sign = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch {sign}\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "gpg.program", "core.sshCommand", "filter.x.clean", "diff.external"):
        run_git(repository, "config", name, str(trap))
    run_git(repository, "config", "log.showSignature", "true")
    (repository / ".gitattributes").write_text("* filter=x diff=x\n")
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        shutil.copy(trap, repository / ".git" / "hooks" / hook)
    sign.unlink(missing_ok=True)
    assert classify(repository, now=NOW).findings["history.alive"].state == "met"
    assert not sign.exists()
    run_git(repository, "status")
    assert sign.exists(), "the trap must be one"


def test_without_git_the_history_is_said_to_be_missing(monkeypatch, repository):
    monkeypatch.setattr(history.shutil, "which", lambda name: None)
    result = classify(repository, now=NOW)
    assert result.commit == run_git(repository, "rev-parse", "HEAD")
    assert result.findings["history.alive"].state == result.findings["checkout.clean"].state == "unknown"
    assert "git program" in str(result.findings["history.alive"].facts["missing"])
    assert result.judgement.level == 3


def test_a_commit_that_is_not_there_yet(tmp_path):
    run_git(tmp_path, "init", "-q")
    result = classify(tmp_path, now=NOW)
    assert (result.commit, result.judgement.level) == (None, 0)
    assert "no commit" in str(result.findings["history.alive"].facts["missing"])


def test_borrowed_objects_are_not_read(tmp_path, repository):
    run_git(tmp_path, "clone", "-q", "--shared", str(repository), "borrowed")
    result = classify(tmp_path / "borrowed", now=NOW)
    assert "another repository" in str(result.findings["checkout.clean"].facts["missing"])


def test_a_damaged_repository_is_not_clean(repository):
    shutil.rmtree(repository / ".git" / "objects")
    (repository / ".git" / "objects").mkdir()
    assert classify(repository, now=NOW).findings["checkout.clean"].state == "unknown"


def test_a_shallow_clone_says_that_it_is_one(tmp_path, repository):
    make_repository(repository, {"more.txt": "more\n"})
    run_git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", "shallow")
    facts = classify(tmp_path / "shallow", now=NOW).findings["history.shared"].facts
    assert (facts["commits"], facts["at_least"]) == (1, True)


def test_packed_refs_and_sha256(tmp_path, repository):
    run_git(repository, "pack-refs", "--all")
    assert classify(repository, now=NOW).commit == run_git(repository, "rev-parse", "HEAD")
    other = tmp_path / "sha256"
    other.mkdir()
    run_git(other, "init", "-q", "--object-format=sha256")
    result = classify(make_repository(other, PYTHON), now=NOW)
    assert (len(str(result.commit)), result.judgement.level) == (64, 3)
    assert result.findings["checkout.clean"].state == "met"


def test_strange_names_and_kinds_of_files(repository):
    names = [b"new\nline.py", b"\xff\xfe.py", b"esc\x1b[31m.py", b"-n", b"quote\"'.py"]
    for name in names:
        Path(os.fsdecode(os.fsencode(repository) + b"/" + name)).write_text("x = 1\n")
    (repository / "binary.py").write_bytes(b"\0\1\2" * 1000)
    make_repository(repository, {})
    os.mkfifo(repository / "calc.fifo")
    result = classify(repository, now=NOW)
    assert result.findings["checkout.clean"].state == "met"
    (repository / "new\nline.py").write_text("changed")
    Path(os.fsdecode(os.fsencode(repository) + b"/\xff\xfe.py")).unlink()
    said = classify(repository, now=NOW).as_json()
    assert said["signals"]["checkout.clean"]["differing"] == ["new\\nline.py", "\\xff\\xfe.py"]
    json.dumps(said, ensure_ascii=False).encode()


def test_a_pipe_in_place_of_a_file_is_not_waited_for(repository):
    (repository / "AGENTS.md").unlink()
    os.mkfifo(repository / "AGENTS.md")
    result = classify(repository, now=NOW)
    assert result.findings["conventions.agents"].state == "unmet"
    assert result.findings["shape.read_whole"].facts["special"] == 1


def test_an_unreadable_file_is_named(repository, monkeypatch):
    real = os.open

    def deny(path, *args, **options):
        if path == "calc.py":
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", deny)
    finding = classify(repository, now=NOW).findings["shape.read_whole"]
    assert (finding.state, finding.facts["unreadable"]) == ("unmet", ["calc.py"])


@pytest.mark.parametrize(
    ("bounds", "met"),
    [
        (Bounds(entries=3), ["entries"]),
        (Bounds(depth=0), ["depth"]),
        (Bounds(total_bytes=100), ["total_bytes"]),
        (Bounds(file_bytes=100), []),
    ],
)
def test_what_lies_beyond_a_bound_is_said_and_not_assumed(bounds, met, repository):
    finding = classify(repository, now=NOW, bounds=bounds).findings["shape.read_whole"]
    assert (finding.state, finding.facts["bounds_met"]) == ("unmet", met)
    assert finding.facts["bytes"] <= bounds.total_bytes


def test_submodules_are_not_this_repository(tmp_path, repository):
    whole = make_repository(tmp_path / "above", {"README.md": "# Nothing of its own at all\n"})
    run_git(whole, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "below")
    make_repository(whole, {})
    result = classify(whole, now=NOW)
    assert result.findings["shape.read_whole"].facts["submodules"] == 1
    assert result.findings["tests.real"].facts["cases"] == 0
    assert "submodule" in refused(whole / "below")


def test_what_is_not_committed_does_not_count(repository):
    (repository / "AGENTS.md").write_text("changed\n")
    (repository / "extra_test.py").write_text("def test_more():\n    assert y == 2\n")
    result = classify(repository, now=NOW)
    assert result.findings["checkout.clean"].facts["differing"] == ["AGENTS.md"]
    assert result.findings["checkout.clean"].facts["unlisted"] == 1
    assert result.findings["tests.real"].facts["files"] == 1


def test_reports_that_do_not_hold_are_refused(tmp_path, repository):
    good = report_of(repository, "pytest -q")
    texts = {
        "not JSON": b"{", "at setup": json.dumps({**good, "setup": {"state": "passed"}}).encode(),
        "at the report": json.dumps({**good, "surprise": 1}).encode(),
        "not JSON: a key stands twice": b'{"executed": 1, "executed": 1}',
        "not JSON: NaN": b'{"executed": NaN}',
        "speaks of commit": json.dumps({**good, "commit": "0" * 40}).encode(),
        "older than 30 days": json.dumps({**good, "at": "2026-10-01T00:00:00Z"}).encode(),
        "from the future": json.dumps({**good, "at": "2027-10-01T00:00:00Z"}).encode(),
        "no time": json.dumps({**good, "at": "2026-19-01T00:00:00Z"}).encode(),
        "larger than": b" " * 70_000,
        "not JSON:": b"[" * 60_000,
    }  # fmt: skip
    for words, text in texts.items():
        (tmp_path / "report").write_bytes(text)
        assert words in refused(repository, executed=tmp_path / "report")
    assert "cannot be read" in refused(repository, executed=tmp_path / "no report")
