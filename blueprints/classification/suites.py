"""Which files are code and which are tests, and whether the tests assert anything."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from blueprints.classification.languages import (
    BY_ENDING,
    GENERATED_PATH,
    GENERATED_TEXT,
    HOLLOW_ASSERT,
    VENDORED,
    Language,
)
from blueprints.classification.signals import Finding, found
from blueprints.classification.tree import Tree, show

MIN_CASES: Final = 3
MANIFESTS: Final = frozenset(
    (
        *("package.json", "pyproject.toml", "setup.py", "go.mod", "pom.xml", "build.gradle", "build.gradle.kts"),
        *("Cargo.toml", "Gemfile", "composer.json", "mix.exs", "requirements.txt", "Pipfile", "deno.json"),
    )
)
_SUPPORT: Final = re.compile(r"(^|/)(tests?|__tests__|spec|testdata|fixtures|__mocks__)/|(^|/)conftest\.py$")


@dataclass(slots=True)
class Count:
    """Files, lines and cases of one package or language."""

    code_files: int = 0
    code_lines: int = 0
    test_files: int = 0
    asserting_lines: int = 0
    cases: int = 0
    asserting: int = 0
    skipped: int = 0

    def add(self, other: "Count") -> None:
        """Adds another count to this one."""
        for name in Count.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Suite:
    """Everything counted in a tree. Vendored and generated files are neither code nor tests of the repository."""

    total: Count = field(default_factory=Count)
    packages: dict[str, Count] = field(default_factory=dict)
    languages: dict[str, Count] = field(default_factory=dict)
    vendored: int = 0
    generated: int = 0
    largest: int = 0


def language_of(path: str) -> Language | None:
    """Returns the language that a file's ending tells."""
    name = path.rpartition("/")[2]
    return BY_ENDING.get("." + name.rpartition(".")[2].lower()) if "." in name else None


def is_foreign(path: str) -> bool:
    """Tells whether a path is somebody else's code, or made by a program."""
    return bool(VENDORED.search(path) or GENERATED_PATH.search(path))


def package_roots(tree: Tree) -> list[str]:
    """Returns the folders that hold a manifest of their own, deepest first; the top of the tree is always one."""
    folders = {path.rpartition("/")[0] for path in tree.files if _is_manifest(path) and not is_foreign(path)}
    return sorted(folders | {""}, key=lambda folder: (-folder.count("/") - bool(folder), folder))


def _is_manifest(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name in MANIFESTS or name.endswith(".csproj")


def count_suite(tree: Tree) -> Suite:
    """Returns what was counted. A file that was not read counts as code without tests."""
    suite = Suite()
    roots = frozenset(package_roots(tree))
    for path in tree.files:
        language = language_of(path)
        if language is None:
            continue
        text = tree.text(path)
        if VENDORED.search(path):
            suite.vendored += 1
        elif GENERATED_PATH.search(path) or GENERATED_TEXT.search(text[:1000]):
            suite.generated += 1
        else:
            _add_file(suite, _package_of(path, roots), language, _count_file(path, text, language))
    return suite


def _package_of(path: str, roots: frozenset[str]) -> str:
    folder = path.rpartition("/")[0]
    while folder and folder not in roots:
        folder = folder.rpartition("/")[0]
    return folder


def _add_file(suite: Suite, package: str, language: Language, count: Count) -> None:
    suite.largest = max(suite.largest, count.code_lines)
    for whole in (
        suite.total,
        suite.packages.setdefault(package, Count()),
        suite.languages.setdefault(language.name, Count()),
    ):
        whole.add(count)


def _count_file(path: str, text: str, language: Language) -> Count:
    plain = without_comments(text, language)
    lines = sum(1 for line in plain.splitlines() if line.strip())
    inline = language.name == "Rust" and "#[cfg(test)]" in plain
    if language.test_path.search(path):
        return _count_cases(plain, language)
    if _SUPPORT.search(path):
        return Count()
    if not inline:
        return Count(code_files=1, code_lines=lines)
    code, _, cases = plain.partition("#[cfg(test)]")
    count = _count_cases(cases, language)
    count.code_files, count.code_lines = 1, sum(1 for line in code.splitlines() if line.strip())
    return count


def _count_cases(plain: str, language: Language) -> Count:
    """A case reaches to the start of the next one; it asserts when anything but a tautology is asserted in it."""
    starts = [match.start() for match in language.case.finditer(plain)]
    bodies = [plain[start:end] for start, end in pairwise([*starts, len(plain)])]
    asserting = [body for body in bodies if language.asserts.search(HOLLOW_ASSERT.sub("", body))]
    skipped = len(language.skips.findall(plain)) if bodies else 0
    whole = bool(re.search(r"(?m)^pytestmark\b.*skip|^(?:describe\.skip|xdescribe)\b", plain))
    return Count(
        test_files=1,
        asserting_lines=sum(1 for body in asserting for line in body.splitlines() if line.strip()),
        cases=len(bodies),
        asserting=len(asserting),
        skipped=len(bodies) if whole else min(skipped, len(bodies)),
    )


def without_comments(text: str, language: Language) -> str:
    """Returns the text without comments and long strings, so that what is only talked about does not count."""
    marks = (('"""', '"""'), ("'''", "'''")) if language.name == "Python" else ()
    blocks = marks if language.comment == "#" else (("/*", "*/"),)
    for begin, end in blocks:
        text = _cut_blocks(text, begin, end)
    return re.sub(rf"(?m)(?:^|[ \t]){re.escape(language.comment)}(?!\[).*$", "", text)


def _cut_blocks(text: str, begin: str, end: str) -> str:
    """Linear whatever the text is: a block that never ends cuts the rest."""
    kept, place = [], 0
    while (start := text.find(begin, place)) >= 0:
        kept.append(text[place:start])
        stop = text.find(end, start + len(begin))
        if stop < 0:
            return "".join(kept)
        place = stop + len(end)
    kept.append(text[place:])
    return "".join(kept)


def find_tests(suite: Suite) -> dict[str, Finding]:
    """Returns the signals of the tests and of the shape of the code."""
    total = suite.total
    real = total.asserting >= MIN_CASES and 2 * total.asserting >= total.cases
    own = total.code_files + total.test_files
    foreign = suite.vendored + suite.generated
    bare = [name for name, count in suite.packages.items() if _is_bare(count, total)]
    return {
        "tests.real": found(real, files=total.test_files, cases=total.cases, asserting=total.asserting),
        "tests.ratio": found(
            total.code_lines > 0 and 10 * total.asserting_lines >= total.code_lines,
            test_lines=total.asserting_lines,
            code_lines=total.code_lines,
        ),
        "tests.every_package": found(
            total.code_files > 0 and not bare, packages=len(suite.packages), without=_names(bare)
        ),
        "tests.not_skipped": found(total.cases > 0 and 5 * total.skipped <= total.cases, skipped=total.skipped),
        "shape.own_code": found(
            total.code_files > 0 and own >= foreign,
            files=total.code_files,
            lines=total.code_lines,
            largest_file=suite.largest,
            vendored=suite.vendored,
            generated=suite.generated,
            languages={name: count.code_lines for name, count in sorted(suite.languages.items())},
            monorepo=sum(count.code_files > 0 for count in suite.packages.values()) > 1,
        ),
    }


def _is_bare(count: Count, total: Count) -> bool:
    return count.code_lines > 0 and 10 * count.code_lines >= total.code_lines and not count.asserting


def _names(paths: Iterable[str]) -> list[str]:
    return [show(path) or "." for path in sorted(paths)[:20]]
