"""Three small repositories of the invented group, made without a git program: one ready, one thin, one regulated."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from dulwich.index import build_index_from_tree, commit_tree
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.repo import Repo

from kernel import clock
from portal.demo.estate import MAIL_DOMAIN

Files = Mapping[str, str]
_FILE: Final = 0o100644
_MAIN: Final = b"refs/heads/main"


@dataclass(frozen=True, slots=True)
class Change:
    """One commit of a repository: who made it, how many days ago, what it says, and the files that it writes."""

    author: str
    days: int
    message: str
    files: Files


@dataclass(frozen=True, slots=True)
class RepositoryPlan:
    """A repository of the estate: the team that registers it, who does that, and how it came to be."""

    slug: str
    name: str
    team: str
    by: str
    changes: tuple[Change, ...]


PRICING: Final = '''"""What a basket costs: whole cents, so that nothing is lost in between."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """Some pieces of one thing."""

    sku: str
    pieces: int
    cents: int


def total(lines):
    """Returns the sum of a basket in cents."""
    return sum(line.pieces * line.cents for line in lines)


def discount(cents, percent):
    """Returns what is left after a discount; half a cent goes to the customer."""
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} percent is no discount")
    return cents - -(-cents * percent // 100)


def shipping(cents, free_from=5000, price=490):
    """Returns what sending costs: nothing from a certain sum on."""
    return 0 if cents >= free_from else price
'''
PRICING_TESTS: Final = """import unittest

from pricing import Line, discount, shipping, total


class TotalTest(unittest.TestCase):
    def test_an_empty_basket_costs_nothing(self):
        self.assertEqual(total([]), 0)

    def test_pieces_are_counted(self):
        self.assertEqual(total([Line("mug", 3, 250), Line("tea", 1, 499)]), 1249)


class DiscountTest(unittest.TestCase):
    def test_half_a_cent_goes_to_the_customer(self):
        self.assertEqual(discount(999, 50), 499)

    def test_all_and_nothing(self):
        self.assertEqual(discount(999, 0), 999)
        self.assertEqual(discount(999, 100), 0)

    def test_more_than_all_is_refused(self):
        with self.assertRaises(ValueError):
            discount(999, 101)


class ShippingTest(unittest.TestCase):
    def test_it_is_free_from_a_sum_on(self):
        self.assertEqual(shipping(4999), 490)
        self.assertEqual(shipping(5000), 0)
"""
VAULT: Final = '''"""Stands between everybody and a card number: who needs one gets a token instead."""

import secrets


class Vault:
    """Keeps numbers by token. A number goes in and only its last four digits come out."""

    def __init__(self):
        self._kept = {}

    def keep(self, number):
        """Returns a token for a card number."""
        if not is_card_number(number):
            raise ValueError("no card number")
        token = secrets.token_hex(8)
        self._kept[token] = number
        return token

    def last_four(self, token):
        """Returns the last four digits of what a token stands for."""
        return self._kept[token][-4:]


def is_card_number(text):
    """Tells whether the digits pass the check of Luhn."""
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(digits) >= 12 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
'''
VAULT_TESTS: Final = """import unittest

from pci.vault import Vault, is_card_number

SAMPLE = "4111 1111 1111 1111"


class VaultTest(unittest.TestCase):
    def test_only_the_last_four_digits_come_out(self):
        vault = Vault()
        token = vault.keep(SAMPLE)
        self.assertNotIn("4111", token)
        self.assertEqual(vault.last_four(token), "1111")

    def test_what_is_no_number_is_not_kept(self):
        with self.assertRaises(ValueError):
            Vault().keep("4111 1111 1111 1112")


class LuhnTest(unittest.TestCase):
    def test_one_wrong_digit_is_found(self):
        self.assertTrue(is_card_number(SAMPLE))
        self.assertFalse(is_card_number("4111 1111 1111 1121"))

    def test_too_few_digits_are_no_number(self):
        self.assertFalse(is_card_number("0"))
"""
IMPORT: Final = """import csv
import sys


def read(path):
    rows = []
    with open(path) as file:
        for row in csv.reader(file, delimiter=";"):
            rows.append((row[0], int(float(row[1]) * 100)))
    return rows


if __name__ == "__main__":
    for sku, cents in read(sys.argv[1]):
        print(sku, cents)
"""
WORKFLOW: Final = """on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-24.04
    steps:
      - run: python -m unittest
      - run: python -m compileall -q .
"""


def _around(name: str, says: str, owners: str) -> Files:
    """Returns what stands around the code of a repository that is looked after."""
    agents = "# For agents\n\nRun the tests before each commit; they need nothing but Python:\n\n```sh\npython -m unittest\n```\n"
    return {
        "README.md": f"# {name}\n\n{says}\n\nInvented, for trying out Hanse. The tests need nothing but Python.\n",
        "AGENTS.md": agents,
        "pyproject.toml": f'[project]\nname = "{name.lower().replace(" ", "-")}"\nversion = "1.0.0"\n\n[tool.ruff]\nline-length = 100\n',
        ".python-version": "3.12.4\n",
        "Makefile": "test:\n\tpython -m unittest\n",
        ".github/workflows/ci.yml": WORKFLOW,
        ".github/CODEOWNERS": f"* {owners}@{MAIL_DOMAIN}\n",
        "tests/__init__.py": "",
    }


REPOSITORIES: Final = (
    RepositoryPlan(
        "basket-pricing",
        "Basket pricing",
        "checkout",
        "jonas",
        (
            Change("jonas", 90, "Count what is in a basket", {"pricing.py": PRICING}),
            Change("aisha", 60, "Test every price", {"tests/test_pricing.py": PRICING_TESTS}),
            Change(
                "jonas",
                12,
                "Let agents and CI run the tests",
                _around("Basket pricing", "What a basket costs.", "jonas"),
            ),
        ),
    ),
    RepositoryPlan(
        "price-import",
        "Price import",
        "storefront",
        "tom",
        (
            Change("tom", 400, "Import prices", {"import_prices.py": IMPORT}),
            Change(
                "tom",
                300,
                "Say how it is run",
                {"README.md": "# Price import\n\nRun it with the file of the wholesaler.\n"},
            ),
        ),
    ),
    RepositoryPlan(
        "card-tokens",
        "Card tokens",
        "card-vault",
        "lena",
        (
            Change("lena", 200, "Keep numbers behind tokens", {"pci/__init__.py": "", "pci/vault.py": VAULT}),
            Change("lena", 100, "Test what comes out of the vault", {"tests/test_vault.py": VAULT_TESTS}),
            Change(
                "tom", 20, "Let agents and CI run the tests", _around("Card tokens", "Tokens for card numbers.", "lena")
            ),
        ),
    ),
)


def make_repositories(directory: Path, *, now: datetime | None = None) -> dict[str, Path]:
    """Returns the directory of each repository below `directory`, made where it is missing.

    A host offers them by listing `directory` in HANSE_REPOSITORY_ROOTS; `up` does so for `demo/repositories` by itself.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    made = {plan.slug: directory / plan.slug for plan in REPOSITORIES}
    for plan in REPOSITORIES:
        if not made[plan.slug].exists():
            _make(made[plan.slug], plan, now or clock.now())
    return made


def _make(place: Path, plan: RepositoryPlan, now: datetime) -> None:
    """Makes a repository under another name and moves it into place whole."""
    unfinished = place.with_name(f".{place.name}")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a start that was broken off
    with Repo.init(str(unfinished), mkdir=True, default_branch=b"main") as repository:
        files: dict[str, ObjectID] = {}
        head: ObjectID | None = None
        for change in plan.changes:
            for name, text in change.files.items():
                blob = Blob.from_string(text.encode())
                repository.object_store.add_object(blob)
                files[name] = blob.id
            tree = commit_tree(repository.object_store, [(name.encode(), blob, _FILE) for name, blob in files.items()])
            head = _commit(repository, tree, head, change, now - timedelta(days=change.days))
            repository.refs[_MAIN] = head  # type: ignore[index]
        build_index_from_tree(str(unfinished), repository.index_path(), repository.object_store, tree)
    unfinished.rename(place)


def _commit(repository: Repo, tree: ObjectID, parent: ObjectID | None, change: Change, at: datetime) -> ObjectID:
    commit = Commit()
    commit.tree = tree
    commit.parents = [parent] if parent else []
    commit.author = commit.committer = f"{change.author.title()} <{change.author}@{MAIL_DOMAIN}>".encode()
    commit.author_time = commit.commit_time = int(at.timestamp())
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = f"{change.message}\n".encode()
    repository.object_store.add_object(commit)
    return commit.id
