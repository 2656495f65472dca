"""The demo's repositories are real: git can read them, their tests pass, and each is fit for what it is meant to show."""

import subprocess
import sys

import pytest

from blueprints.classification.survey import classify
from kernel import clock
from portal.demo import estate
from portal.demo.repositories import REPOSITORIES, make_repositories
from registry.addresses import AddressPolicy
from registry.git.fetching import Sources, fetched
from tests.apps.classification.repositories import run_git


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_repositories(tmp_path_factory.mktemp("demo") / "repositories")


def missing(place, level, **options):
    found = classify(place, now=clock.now(), **options)
    return found.judgement.level, [item.signal for item in found.judgement.missing if item.level <= level]


def test_one_is_ready_one_is_thin_and_one_is_regulated(made):
    executed = [f"executed.{name}" for name in ("setup", "tests", "mutation", "lint", "as_instructed")]
    assert missing(made["basket-pricing"], 4) == (3, executed)
    assert missing(made["card-tokens"], 4) == (3, ["safety.regulated", *executed])
    assert missing(made["card-tokens"], 4, harness=frozenset({"pci"})) == (3, executed)
    level, lacking = missing(made["price-import"], 2)
    assert (level, "tests.real" in lacking) == (1, True)


def test_git_finds_no_fault_and_their_tests_pass(made):
    for plan in REPOSITORIES:
        place = made[plan.slug]
        assert run_git(place, "fsck", "--strict") == ""
        assert run_git(place, "status", "--porcelain") == ""
        assert int(run_git(place, "rev-list", "--count", "HEAD")) == len(plan.changes)
        if "tests/__init__.py" in {name for change in plan.changes for name in change.files}:
            subprocess.run([sys.executable, "-B", "-m", "unittest"], cwd=place, check=True, capture_output=True)


def test_they_belong_to_teams_and_people_of_the_estate():
    roles = {(person.handle, slug) for person in estate.PEOPLE for slug, _ in person.roles}
    assert all((plan.by, plan.team) in roles for plan in REPOSITORIES)
    authors = {change.author for plan in REPOSITORIES for change in plan.changes}
    assert authors <= {person.handle for person in estate.PEOPLE}


def test_they_are_made_once_and_offered_as_they_are(made):
    directory = made["card-tokens"].parent
    heads = {slug: run_git(place, "rev-parse", "HEAD") for slug, place in made.items()}
    assert make_repositories(directory) == made
    assert {slug: run_git(place, "rev-parse", "HEAD") for slug, place in made.items()} == heads
    sources = Sources(AddressPolicy(), (directory,))
    for slug, place in made.items():
        with fetched(place.as_uri(), sources=sources) as clone:
            assert clone.commit == heads[slug]


def test_no_git_program_and_no_configuration_of_anybody_is_needed(tmp_path, monkeypatch):
    (tmp_path / ".gitconfig").write_text(
        "[commit]\n\tgpgSign = true\n[init]\n\ttemplateDir = /nowhere\n[core]\n\thooksPath = /nowhere\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    made = make_repositories(tmp_path / "repositories")
    assert all((place / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n" for place in made.values())
