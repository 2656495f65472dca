"""Directories of this host: only listed ones, read as a clone, and bounded like everything else."""

import shutil

import pytest

from blueprints.classification.survey import classify
from kernel.errors import Invalid
from registry.addresses import AddressPolicy
from registry.git.bounds import Bounds
from registry.git.fetching import Sources, check_source, fetched
from tests.apps.classification.repositories import NOW, PYTHON, make_repository, run_git


@pytest.fixture
def root(tmp_path):
    (tmp_path / "mirrors").mkdir()
    make_repository(tmp_path / "mirrors" / "calc", PYTHON)
    return tmp_path / "mirrors"


@pytest.fixture
def sources(root):
    return Sources(AddressPolicy(), (root,))


def code_of(url, sources, **more):
    with pytest.raises(Invalid) as refused, fetched(url, sources=sources, **more) as clone:
        clone.check_out()
    assert "\n" not in refused.value.message
    return refused.value.error_code


@pytest.mark.parametrize("shape", ["loose", "packed", "bare", "bare and packed", "with packed refs"])
def test_a_listed_repository_is_read_as_a_clone(root, sources, shape):
    place = root / "calc"
    make_repository(place, {f"src/file{n}.py": f"x = {n}\n" * 200 for n in range(30)})
    make_repository(place, {f"src/file{n}.py": f"x = {n}\n" * 200 + "y = 1\n" for n in range(30)})
    expected = classify(place, now=NOW).as_json()
    if "bare" in shape:
        run_git(root, "clone", "-q", "--bare", str(place), "calc.git")
        place = root / "calc.git"
    if "refs" in shape:
        run_git(place, "pack-refs", "--all")
    if shape.endswith("packed"):
        run_git(place, "repack", "-q", "-a", "-d", "-f", "--depth=50")
    url = place.as_uri()
    assert check_source(url, "", sources) == url
    with fetched(url, sources=sources) as clone:
        assert clone.branch == "main"
        assert classify(clone.check_out(), now=NOW).as_json() == expected


def test_a_branch_can_be_named_and_must_be_there(root, sources):
    make_repository(root / "calc", {"more.md": "More.\n"})
    run_git(root / "calc", "branch", "older", "HEAD~1")
    url = (root / "calc").as_uri()
    with fetched(url, sources=sources, branch="older") as clone:
        assert (clone.commit, clone.branch) == (run_git(root / "calc", "rev-parse", "older"), "older")
    assert code_of(url, sources, branch="newer") == "git_no_branch"


def test_history_ends_where_the_bound_says(root, sources):
    for number in range(4):
        make_repository(root / "calc", {"number.md": f"{number}\n"})
    with fetched((root / "calc").as_uri(), sources=sources, bounds=Bounds(commits=2)) as clone:
        assert run_git(clone.top, "rev-list", "--count", "HEAD") == "2"
        assert (clone.top / ".git" / "shallow").read_text().count("\n") == 1


def test_what_is_not_listed_is_refused_alike_whether_it_is_there_or_not(root, sources, tmp_path):
    make_repository(tmp_path / "other", PYTHON)
    (root / "out").symlink_to(tmp_path / "other")
    said = set()
    for path in ("other", "nowhere", "mirrors/out", "mirrors/../other", "mirrors2/x", "mirrors/../mirrors2"):
        with pytest.raises(Invalid) as refused:
            check_source(f"file://{tmp_path}/{path}", "", sources)
        said.add(refused.value.message)
        assert refused.value.error_code == "git_not_listed"
    assert len(said) == 1
    assert code_of((root / "calc").as_uri(), Sources(AddressPolicy())) == "git_not_listed"


@pytest.mark.parametrize("url", ["file:relative", "file://host/srv/x", "file:///srv/x?a=b", "file:", "file:///a%00b"])
def test_what_names_no_directory_is_refused(url, sources):
    assert code_of(url, sources) == "url_path"


def test_what_is_no_repository_or_borrows_from_another_is_refused(root, sources, tmp_path):
    (root / "empty").mkdir()
    assert code_of((root / "empty").as_uri(), sources) == "git_no_repository"
    assert code_of((root / "nowhere").as_uri(), sources) == "git_no_repository"
    run_git(root, "init", "-q", "new")
    assert code_of((root / "new").as_uri(), sources) == "git_empty"
    secret = make_repository(tmp_path / "secret", {"secret.txt": "swordfish\n"})
    run_git(root, "clone", "-q", "--shared", str(secret), "shared")
    assert code_of((root / "shared").as_uri(), sources) == "git_borrowed"
    run_git(secret, "worktree", "add", "-q", str(root / "tree"))
    assert code_of((root / "tree").as_uri(), sources) == "git_no_repository"
    shutil.copytree(root / "calc", root / "linked", symlinks=True)
    shutil.rmtree(root / "linked" / ".git" / "objects")
    (root / "linked" / ".git" / "objects").symlink_to(secret / ".git" / "objects")
    assert code_of((root / "linked").as_uri(), sources) == "git_borrowed"
    (root / "behind").mkdir()
    (root / "behind" / ".git").symlink_to(secret / ".git")
    assert code_of((root / "behind").as_uri(), sources) == "git_no_repository"


def test_its_configuration_is_not_read(root, sources, tmp_path):
    config = root / "calc" / ".git" / "config"
    config.write_text(
        f"[include]\n\tpath = {tmp_path}/nowhere\n[core]\n\tworktree = /\n\tfsmonitor = touch {tmp_path}/ran\n"
    )
    (root / "calc" / ".git" / "hooks" / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (root / "calc" / ".git" / "hooks" / "post-checkout").chmod(0o755)
    with fetched((root / "calc").as_uri(), sources=sources) as clone:
        clone.check_out()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("shape", ["loose", "packed", "delta"])
def test_a_huge_file_is_refused_before_it_is_unfolded_and_an_old_one_is_not_looked_at(root, sources, shape):
    place = root / "calc"
    bounds = Bounds(blob=200_000)
    make_repository(place, {"large.txt": "a line that says nothing\n" * 20_000})
    make_repository(place, {"large.txt": "a line that says nothing\n" * 20_000 + "more\n"})
    if shape != "loose":
        run_git(place, "repack", "-q", "-a", "-d", "-f", "--depth=50" if shape == "delta" else "--depth=0")
    assert code_of(place.as_uri(), sources, bounds=bounds) in {"git_blob_too_large", "git_broken"}
    make_repository(place, {"large.txt": "small\n"})
    with fetched(place.as_uri(), sources=sources, bounds=bounds) as clone:
        assert (clone.check_out() / "large.txt").read_text() == "small\n"


@pytest.mark.parametrize(
    ("bounds", "code"),
    [
        (Bounds(objects=5), "git_too_many_objects"),
        (Bounds(inflated=500), "git_too_large"),
        (Bounds(files=3), "git_too_many_files"),
        (Bounds(checkout=100), "git_too_large"),
        (Bounds(depth=0), "git_too_deep"),
        (Bounds(seconds=-1), "git_too_slow"),
    ],
)
def test_every_bound_holds_for_what_lies_here_too(root, sources, bounds, code):
    assert code_of((root / "calc").as_uri(), sources, bounds=bounds) == code


def test_an_object_that_is_missing_is_said(root, sources):
    blob = run_git(root / "calc", "rev-parse", "HEAD:calc.py")
    (root / "calc" / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert code_of((root / "calc").as_uri(), sources) == "git_incomplete"
    commit = run_git(root / "calc", "rev-parse", "HEAD")
    path = root / "calc" / ".git" / "objects" / commit[:2] / commit[2:]
    path.chmod(0o644)
    path.write_bytes(b"nonsense")
    assert code_of((root / "calc").as_uri(), sources) == "git_broken"
